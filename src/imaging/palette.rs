//! PALETTE COLOR: the lookup tables of an image (PS3.3 C.7.6.3.1.5 and C.7.9), plain or segmented.

use dicom_core::{PrimitiveValue, Tag};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use ndarray::Array3;

use super::{ImagingError, Pixels};

/// Descriptor, data and segmented data of each colour.
const TABLES: [(Tag, Tag, Tag, &str); 3] = [
    (
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        "RedPaletteColorLookupTable",
    ),
    (
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        "GreenPaletteColorLookupTable",
    ),
    (
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        "BluePaletteColorLookupTable",
    ),
];

/// Most entries of one table (PS3.3 C.7.6.3.1.5).
const MAX_ENTRIES: usize = 1 << 16;

/// The three tables of an image.
pub struct Palette {
    tables: [Table; 3],
}

struct Table {
    /// The stored value of the first entry; lower ones take it too, higher than the last the last.
    first: i32,
    entries: Vec<u8>,
}

impl Palette {
    /// # Errors
    /// Names the table that is missing, or does not fit its descriptor.
    pub fn read(dataset: &InMemDicomObject, signed: bool) -> Result<Self, ImagingError> {
        let table = |i: usize| Table::read(dataset, TABLES[i], signed);
        Ok(Self { tables: [table(0)?, table(1)?, table(2)?] })
    }

    /// The RGB of stored values, (row, column, sample).
    pub fn apply(&self, pixels: &Pixels) -> Array3<u8> {
        let (rows, columns) = pixels.dim();
        let values: Box<dyn Iterator<Item = i32> + '_> = match pixels {
            Pixels::U8(a) => Box::new(a.iter().map(|&v| v.into())),
            Pixels::U16(a) => Box::new(a.iter().map(|&v| v.into())),
            Pixels::I16(a) => Box::new(a.iter().map(|&v| v.into())),
        };
        let samples = values.flat_map(|v| self.tables.each_ref().map(|table| table.of(v))).collect();
        // As many samples as pixels times three: the shape fits.
        Array3::from_shape_vec((rows, columns, 3), samples).unwrap_or_default()
    }
}

impl Table {
    fn read(
        dataset: &InMemDicomObject,
        (descriptor, data, segmented, keyword): (Tag, Tag, Tag, &'static str),
        signed: bool,
    ) -> Result<Self, ImagingError> {
        let missing = || ImagingError::Missing { keyword, expected: "the descriptor and the data of the table" };
        let numbers = dataset.get(descriptor).ok_or_else(missing)?.to_multi_int::<i64>();
        let expected = "entries, first value mapped, 8 or 16 bits";
        let numbers =
            numbers.map_err(|_| ImagingError::invalid(keyword, "a descriptor that is no number", expected))?;
        let &[count, first, bits] = &numbers[..] else {
            let found = format!("a descriptor of {} values", numbers.len());
            return Err(ImagingError::invalid(keyword, found, expected));
        };
        // VR SS or US, as PixelRepresentation says, but written either way: the bits count. 0 entries are 2^16.
        let count = match count as u16 {
            0 => MAX_ENTRIES,
            n => usize::from(n),
        };
        let first = if signed { i32::from(first as u16 as i16) } else { i32::from(first as u16) };
        if bits != 8 && bits != 16 {
            return Err(ImagingError::invalid(keyword, format!("{bits} bits an entry"), "8 or 16"));
        }
        let values = match (dataset.get(data), dataset.get(segmented)) {
            (Some(plain), _) => entries(plain.value().primitive().ok_or_else(missing)?, count, bits == 8),
            (None, Some(segments)) => {
                let words = words(segments.value().primitive().ok_or_else(missing)?);
                expand(&words, count)
                    .map_err(|found| ImagingError::invalid(keyword, found, "segments (PS3.3 C.7.9.2)"))?
            }
            (None, None) => return Err(missing()),
        };
        if values.len() < count {
            return Err(ImagingError::invalid(keyword, format!("{} entries", values.len()), format!("{count}")));
        }
        // Many writers say 16 bits and fill in 8.
        let wide = bits == 16 && values.iter().take(count).any(|v| *v > 255);
        let entries = values.into_iter().take(count).map(|v| if wide { (v >> 8) as u8 } else { v as u8 }).collect();
        Ok(Self { first, entries })
    }

    fn of(&self, stored: i32) -> u8 {
        let last = self.entries.len() as i32 - 1;
        self.entries.get((stored - self.first).clamp(0, last.max(0)) as usize).copied().unwrap_or_default()
    }
}

/// 16-bit words, in whatever VR the parser found them.
fn words(value: &PrimitiveValue) -> Vec<u16> {
    match value {
        PrimitiveValue::U8(bytes) => bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect(),
        other => other.to_multi_int::<i32>().unwrap_or_default().into_iter().map(|v| v as u16).collect(),
    }
}

/// One entry a word, or two 8-bit entries a word (PS3.3 C.7.6.3.1.6: low byte first).
fn entries(value: &PrimitiveValue, count: usize, bytes: bool) -> Vec<u16> {
    let words = words(value);
    if bytes && words.len() < count {
        words.iter().flat_map(|w| w.to_le_bytes()).map(u16::from).collect()
    } else {
        words
    }
}

/// Segments to entries (PS3.3 C.7.9.2): discrete (0), linear (1), indirect (2), which repeats segments before it.
fn expand(words: &[u16], count: usize) -> Result<Vec<u16>, String> {
    let mut out = Vec::with_capacity(count);
    let mut starts = Vec::new();
    let mut at = 0;
    while at < words.len() && out.len() < count {
        let start = at;
        at = match words[at] {
            0 | 1 => segment(words, at, &mut out)?,
            2 => {
                let short = || "an indirect segment that is cut short".to_string();
                let [repeats, low, high] =
                    *words.get(at + 1..at + 4).and_then(|w| w.first_chunk::<3>()).ok_or_else(short)?;
                // Bytes from the start of the data to the first segment that is repeated.
                let mut from = (usize::from(low) | usize::from(high) << 16) / 2;
                for _ in 0..repeats {
                    if !starts.contains(&from) {
                        return Err("an indirect segment that points at no segment before it".into());
                    }
                    from = segment(words, from, &mut out)?;
                }
                at + 4
            }
            code => return Err(format!("segment code {code}")),
        };
        // Indirect segments may not repeat one another.
        if words[start] != 2 {
            starts.push(start);
        }
        if out.len() > MAX_ENTRIES {
            return Err(format!("more than {MAX_ENTRIES} entries"));
        }
    }
    Ok(out)
}

/// A discrete or linear segment at `at`; gives the place after it.
fn segment(words: &[u16], at: usize, out: &mut Vec<u16>) -> Result<usize, String> {
    let short = || "a segment that is cut short".to_string();
    let (code, length) = (words[at], usize::from(*words.get(at + 1).ok_or_else(short)?));
    if code == 0 {
        let values = words.get(at + 2..at + 2 + length).ok_or_else(short)?;
        out.extend_from_slice(values);
        return Ok(at + 2 + length);
    }
    let last = f64::from(*words.get(at + 2).ok_or_else(short)?);
    let first = f64::from(*out.last().ok_or("a linear segment with none before it")?);
    let value = |i: usize| (first + (last - first) * i as f64 / length as f64).round() as u16;
    out.extend((1..=length).map(value));
    Ok(at + 3)
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, VR};
    use ndarray::array;

    use super::*;

    fn dataset(descriptor: [u16; 3], data: PrimitiveValue, segmented: bool) -> InMemDicomObject {
        let mut set = InMemDicomObject::new_empty();
        for (d, plain, segments, _) in TABLES {
            set.put(DataElement::new(d, VR::US, PrimitiveValue::U16(descriptor.as_slice().into())));
            set.put(DataElement::new(if segmented { segments } else { plain }, VR::OW, data.clone()));
        }
        set
    }

    fn red(set: &InMemDicomObject, pixels: &Pixels) -> Vec<u8> {
        let rgb = Palette::read(set, false).unwrap().apply(pixels);
        rgb.slice(ndarray::s![.., .., 0]).iter().copied().collect()
    }

    #[test]
    fn values_outside_take_the_ends() {
        let pixels = Pixels::U8(array![[0, 9, 10, 11, 12, 255]]);
        let wide = dataset([3, 10, 16], PrimitiveValue::U16(vec![0x1000, 0x8000, 0xFFFF].into()), false);
        assert_eq!(red(&wide, &pixels), [0x10, 0x10, 0x10, 0x80, 0xFF, 0xFF]);
        // Two entries a word, and 8 bits in words that say 16.
        let bytes = dataset([4, 9, 8], PrimitiveValue::U16(vec![0x0201, 0x0403].into()), false);
        assert_eq!(red(&bytes, &pixels), [1, 1, 2, 3, 4, 4]);
        let low = dataset([3, 10, 16], PrimitiveValue::U16(vec![5, 6, 7].into()), false);
        assert_eq!(red(&low, &pixels), [5, 5, 5, 6, 7, 7]);
    }

    #[test]
    fn segments_are_expanded() {
        // Two values, four on the way to 400, and both once more.
        let words = vec![0, 2, 100, 200, 1, 4, 400, 2, 2, 0, 0];
        assert_eq!(expand(&words, 12).unwrap(), [100, 200, 250, 300, 350, 400, 100, 200, 250, 300, 350, 400]);
        for (words, reason) in [
            (vec![1, 4, 400], "none before it"),
            (vec![0, 9, 1], "cut short"),
            (vec![7, 1, 1], "segment code 7"),
            (vec![0, 1, 5, 2, 1, 2, 0], "no segment before it"),
        ] {
            assert!(expand(&words, 12).unwrap_err().contains(reason), "{words:?}");
        }
        let set = dataset([6, 0, 16], PrimitiveValue::U16(vec![0, 2, 0x100, 0x200, 1, 4, 0x600].into()), true);
        assert_eq!(red(&set, &Pixels::U8(array![[0, 1, 2, 3, 4, 5, 6]])), [1, 2, 3, 4, 5, 6, 6]);
    }

    #[test]
    fn tables_that_do_not_fit_are_refused() {
        let words = |n| PrimitiveValue::U16(vec![1; n].into());
        let refused = |set: &InMemDicomObject| Palette::read(set, false).err().unwrap().to_string();
        assert!(refused(&dataset([5, 0, 16], words(4), false)).contains("found 4 entries, expected 5"));
        assert!(refused(&dataset([5, 0, 12], words(5), false)).contains("12 bits an entry"));
        assert!(refused(&InMemDicomObject::new_empty()).contains("RedPaletteColorLookupTable is missing"));
    }
}
