//! A pickle machine that builds data and calls nothing.
//!
//! The opcodes are those of CPython's `pickletools` that `torch.save` writes under protocols 2 to 4. A global is looked up in
//! a list of what state dicts need; any other ends the reading. Nodes live in an arena and refer to each other by
//! index, so that a pickle that nests or repeats itself without end costs no more memory than its own length and no
//! stack. (candle-core 0.11's pickle reads neither the format before PyTorch 1.6 nor strided views, copies whole
//! trees at each memo access, and passes any global.)

use std::collections::HashMap;
use std::io::{BufRead, Read};

use tch::Kind;

use super::WeightsError;
use super::globals::{Global, global};

/// Index of a node.
pub type Id = usize;

#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    None,
    Bool(bool),
    /// Python's int; what does not fit is [`Node::Opaque`].
    Int(i128),
    Str(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Storage),
    Tensor(TensorRef),
    /// A value that a state dict may have beside it and that nobody asks for: floats, bytes, numpy scalars, …
    Opaque,
}

/// Raw elements in another entry (zip) or at the end (legacy) of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    pub kind: Kind,
    pub key: String,
    /// Number of elements.
    pub numel: u64,
}

/// A view into a storage; offset and strides in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorRef {
    pub storage: Storage,
    pub offset: u64,
    pub size: Vec<u64>,
    pub stride: Vec<u64>,
}

fn broken(reason: impl Into<String>) -> WeightsError {
    WeightsError::Format(format!("pickle: {}", reason.into()))
}

/// The machine: an arena of nodes that several pickles of one file may fill in turn.
#[derive(Debug, Default)]
pub struct Pickle {
    nodes: Vec<Node>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl Pickle {
    pub fn node(&self, id: Id) -> &Node {
        self.nodes.get(id).unwrap_or(&Node::Opaque)
    }

    /// Every storage that was named, in the state dict or beside it.
    pub fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.nodes.iter().filter_map(|node| if let Node::Storage(storage) = node { Some(storage) } else { None })
    }

    /// The string-keyed entries of a dict, in order; None for anything else.
    pub fn dict(&self, id: Id) -> Option<Vec<(&str, Id)>> {
        let Node::Dict(entries) = self.node(id) else { return None };
        let text = |(key, value): &(Id, Id)| match self.node(*key) {
            Node::Str(key) => Some((key.as_str(), *value)),
            _ => None,
        };
        Some(entries.iter().filter_map(text).collect())
    }

    /// Runs one pickle, from its PROTO to its STOP, and gives its root.
    ///
    /// # Errors
    /// [`WeightsError::Format`] for a truncated or malformed pickle, [`WeightsError::Global`].
    pub fn run(&mut self, reader: &mut impl BufRead) -> Result<Id, WeightsError> {
        (self.stack, self.marks, self.memo) = Default::default();
        loop {
            let [opcode] = bytes(reader)?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode, reader)?;
        }
    }

    fn step(&mut self, opcode: u8, r: &mut impl BufRead) -> Result<(), WeightsError> {
        match opcode {
            0x80 => bytes::<1>(r).map(drop)?, // PROTO
            0x95 => bytes::<8>(r).map(drop)?, // FRAME
            b'(' => self.marks.push(self.stack.len()),
            b'0' => self.pop().map(drop)?,
            b'1' => self.pop_to_mark().map(drop)?,
            b'2' => self.stack.push(self.top()?),
            b'N' => self.push(Node::None),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'J' => self.push(Node::Int(i32::from_le_bytes(bytes(r)?).into())),
            b'K' => self.push(Node::Int(bytes::<1>(r)?[0].into())),
            b'M' => self.push(Node::Int(u16::from_le_bytes(bytes(r)?).into())),
            b'I' | b'L' => {
                let line = line(r)?;
                let node = match line.trim_end_matches('L') {
                    "00" => Node::Bool(false),
                    "01" => Node::Bool(true),
                    digits => Node::Int(digits.parse().map_err(|_| broken(format!("\"{line}\" is not an integer")))?),
                };
                self.push(node);
            }
            0x8a => {
                let length = bytes::<1>(r)?[0].into();
                let data = data(r, length)?;
                self.push(long(&data));
            }
            0x8b => {
                let data = sized::<4>(r)?;
                self.push(long(&data));
            }
            b'G' => self.opaque(bytes::<8>(r).map(drop))?,
            b'F' => self.opaque(line(r).map(drop))?,
            // Python 2's str is the text of names and keys there.
            b'U' => self.string(sized::<1>(r)?)?,
            b'T' => self.string(sized::<4>(r)?)?,
            b'X' => self.string(sized::<4>(r)?)?,
            0x8c => self.string(sized::<1>(r)?)?,
            0x8d => self.string(sized::<8>(r)?)?,
            b'C' => self.opaque(sized::<1>(r).map(drop))?,
            b'B' => self.opaque(sized::<4>(r).map(drop))?,
            0x8e | 0x96 => self.opaque(sized::<8>(r).map(drop))?,
            b']' => self.push(Node::List(vec![])),
            b'l' => {
                let items = self.pop_to_mark()?;
                self.push(Node::List(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.extend(items)?;
            }
            b')' => self.push(Node::Tuple(vec![])),
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items));
            }
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let at = self.stack.len().checked_sub(count).ok_or_else(underflow)?;
                let items = self.stack.split_off(at);
                self.push(Node::Tuple(items));
            }
            0x8f => self.push(Node::Opaque), // EMPTY_SET
            0x91 => {
                self.pop_to_mark()?;
                self.push(Node::Opaque);
            }
            b'}' => self.push(Node::Dict(vec![])),
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Dict(vec![]));
                self.set_items(&items)?;
            }
            b's' => {
                let at = self.stack.len().checked_sub(2).ok_or_else(underflow)?;
                let items = self.stack.split_off(at);
                self.set_items(&items)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }
            b'c' => {
                let (module, name) = (line(r)?, line(r)?);
                self.push(Node::Global(global(&module, &name)?));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Node::Str(module), Node::Str(name)) = (self.node(module), self.node(name)) else {
                    return Err(broken("STACK_GLOBAL without two strings"));
                };
                let global = global(module, name)?;
                self.push(Node::Global(global));
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                let node = self.call(callable, arguments)?;
                self.push(node);
            }
            0x92 => {
                // NEWOBJ_EX: class, arguments, keyword arguments
                for _ in 0..3 {
                    self.pop()?;
                }
                self.push(Node::Opaque);
            }
            // BUILD: the state of an object (OrderedDict's `_metadata`) says nothing about tensors.
            b'b' => self.pop().map(drop)?,
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Node::Storage(storage));
            }
            b'q' => self.memoize(bytes::<1>(r)?[0].into())?,
            b'r' => self.memoize(u32::from_le_bytes(bytes(r)?))?,
            b'p' => self.memoize(line(r)?.parse().map_err(|_| broken("PUT without an index"))?)?,
            0x94 => self.memoize(u32::try_from(self.memo.len()).unwrap_or(u32::MAX))?,
            b'h' => self.recall(bytes::<1>(r)?[0].into())?,
            b'j' => self.recall(u32::from_le_bytes(bytes(r)?))?,
            b'g' => self.recall(line(r)?.parse().map_err(|_| broken("GET without an index"))?)?,
            other => return Err(broken(format!("opcode {other:#04x} is not one that torch.save writes"))),
        }
        Ok(())
    }

    fn push(&mut self, node: Node) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    /// A value read over and not needed.
    fn opaque(&mut self, read: Result<(), WeightsError>) -> Result<(), WeightsError> {
        read?;
        self.push(Node::Opaque);
        Ok(())
    }

    fn string(&mut self, data: Vec<u8>) -> Result<(), WeightsError> {
        self.push(Node::Str(String::from_utf8(data).map_err(|_| broken("a string is not UTF-8"))?));
        Ok(())
    }

    /// Nothing below the last mark may be taken: CPython keeps a stack of its own for each mark.
    fn pop(&mut self) -> Result<Id, WeightsError> {
        if self.marks.last().is_some_and(|&mark| mark == self.stack.len()) {
            return Err(underflow());
        }
        self.stack.pop().ok_or_else(underflow)
    }

    fn top(&self) -> Result<Id, WeightsError> {
        self.stack.last().copied().ok_or_else(underflow)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, WeightsError> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len()).ok_or_else(|| broken("no MARK"))?;
        Ok(self.stack.split_off(mark))
    }

    fn extend(&mut self, items: Vec<Id>) -> Result<(), WeightsError> {
        let top = self.top()?;
        match &mut self.nodes[top] {
            Node::List(list) => list.extend(items),
            Node::Opaque => {}
            _ => return Err(broken("APPEND to something that is not a list")),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Id]) -> Result<(), WeightsError> {
        let top = self.top()?;
        match &mut self.nodes[top] {
            Node::Dict(entries) => entries.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1]))),
            Node::Opaque => {}
            _ => return Err(broken("SETITEM on something that is not a dict")),
        }
        Ok(())
    }

    fn memoize(&mut self, index: u32) -> Result<(), WeightsError> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), WeightsError> {
        let id = *self.memo.get(&index).ok_or_else(|| broken(format!("no memo {index}")))?;
        self.stack.push(id);
        Ok(())
    }

    /// What REDUCE of a listed global gives; no code runs.
    fn call(&self, callable: Id, arguments: Id) -> Result<Node, WeightsError> {
        let Node::Global(global) = self.node(callable) else { return Ok(Node::Opaque) };
        let Node::Tuple(arguments) = self.node(arguments) else {
            return Err(broken("REDUCE without a tuple of arguments"));
        };
        match (global, &arguments[..]) {
            (Global::Dict, []) => Ok(Node::Dict(vec![])),
            // defaultdict(factory), and OrderedDict([(key, value), …])
            (Global::Dict, [first, ..]) => Ok(Node::Dict(self.pairs(*first))),
            (Global::RebuildTensor, [storage, offset, size, stride, ..]) => {
                Ok(Node::Tensor(self.tensor(*storage, *offset, *size, *stride)?))
            }
            (Global::RebuildParameter, [tensor, ..]) => match self.node(*tensor) {
                Node::Tensor(tensor) => Ok(Node::Tensor(tensor.clone())),
                _ => Err(broken("a parameter without a tensor")),
            },
            // One level only: the functions that it stands for do not take themselves.
            (Global::RebuildFromType, [function, _, arguments, ..])
                if self.node(*function) != &Node::Global(Global::RebuildFromType) =>
            {
                self.call(*function, *arguments)
            }
            (Global::Opaque | Global::StorageType(_), _) => Ok(Node::Opaque),
            (global, arguments) => Err(broken(format!("{global:?} with {} arguments", arguments.len()))),
        }
    }

    fn pairs(&self, id: Id) -> Vec<(Id, Id)> {
        let Node::List(items) = self.node(id) else { return vec![] };
        let pair = |item: &Id| match self.node(*item) {
            Node::Tuple(pair) | Node::List(pair) if pair.len() == 2 => Some((pair[0], pair[1])),
            _ => None,
        };
        items.iter().filter_map(pair).collect()
    }

    fn tensor(&self, storage: Id, offset: Id, size: Id, stride: Id) -> Result<TensorRef, WeightsError> {
        let Node::Storage(storage) = self.node(storage) else { return Err(broken("a tensor without a storage")) };
        let storage = storage.clone();
        Ok(TensorRef { storage, offset: self.int(offset)?, size: self.ints(size)?, stride: self.ints(stride)? })
    }

    fn int(&self, id: Id) -> Result<u64, WeightsError> {
        match self.node(id) {
            Node::Int(value) => u64::try_from(*value).map_err(|_| broken(format!("{value} is not a size"))),
            other => Err(broken(format!("found {other:?}, expected an integer"))),
        }
    }

    fn ints(&self, id: Id) -> Result<Vec<u64>, WeightsError> {
        match self.node(id) {
            Node::Tuple(items) | Node::List(items) if items.len() <= 16 => items.iter().map(|&i| self.int(i)).collect(),
            _ => Err(broken("found no tuple of at most 16 integers as a shape or stride")),
        }
    }

    /// `("storage", type, key, location, number of elements[, view])`
    fn storage(&self, id: Id) -> Result<Storage, WeightsError> {
        let Node::Tuple(items) = self.node(id) else { return Err(broken("a persistent id that is not a tuple")) };
        let nodes: Vec<&Node> = items.iter().map(|&i| self.node(i)).collect();
        match nodes[..] {
            // Each tensor keeps a copy of the key: a number in decimal, so a long one is no key.
            [Node::Str(tag), Node::Global(Global::StorageType(kind)), Node::Str(key), _, _]
            | [Node::Str(tag), Node::Global(Global::StorageType(kind)), Node::Str(key), _, _, Node::None]
                if tag == "storage" && key.len() <= 64 =>
            {
                Ok(Storage { kind: *kind, key: key.clone(), numel: self.int(items[4])? })
            }
            _ => Err(broken("a persistent id that is no storage: save model.state_dict(), not the model")),
        }
    }
}

fn underflow() -> WeightsError {
    broken("stack underflow")
}

fn bytes<const N: usize>(r: &mut impl Read) -> Result<[u8; N], WeightsError> {
    let mut bytes = [0; N];
    r.read_exact(&mut bytes).map_err(|_| broken("truncated"))?;
    Ok(bytes)
}

/// `length` bytes; memory grows with what is there, not with what is promised.
fn data(r: &mut impl Read, length: u64) -> Result<Vec<u8>, WeightsError> {
    let mut data = Vec::new();
    r.take(length).read_to_end(&mut data)?;
    if data.len() as u64 == length { Ok(data) } else { Err(broken("truncated")) }
}

/// Bytes after a little-endian length of N bytes.
fn sized<const N: usize>(r: &mut impl Read) -> Result<Vec<u8>, WeightsError> {
    let mut length = [0; 8];
    length[..N].copy_from_slice(&bytes::<N>(r)?);
    data(r, u64::from_le_bytes(length))
}

fn line(r: &mut impl BufRead) -> Result<String, WeightsError> {
    let mut line = Vec::new();
    r.take(4096).read_until(b'\n', &mut line)?;
    match line.pop() {
        Some(b'\n') => String::from_utf8(line).map_err(|_| broken("a name is not UTF-8")),
        _ => Err(broken("truncated")),
    }
}

/// Two's complement, little-endian, any length.
fn long(data: &[u8]) -> Node {
    if data.len() > 16 {
        return Node::Opaque;
    }
    let sign = if data.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    let mut wide = [sign; 16];
    wide[..data.len()].copy_from_slice(data);
    Node::Int(i128::from_le_bytes(wide))
}
