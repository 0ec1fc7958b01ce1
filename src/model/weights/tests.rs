use std::io::Write;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

/// A pickle of what `torch.save` writes, by hand: protocol 2 opcodes.
#[derive(Default)]
pub(in crate::model) struct Pickler(Vec<u8>);

impl Pickler {
    pub(in crate::model) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(in crate::model) fn text(self, text: &str) -> Self {
        let length = u32::try_from(text.len()).unwrap().to_le_bytes();
        self.raw(b"X").raw(&length).raw(text.as_bytes())
    }

    fn int(self, value: i64) -> Self {
        self.raw(b"J").raw(&i32::try_from(value).unwrap().to_le_bytes())
    }

    fn ints(self, values: &[i64]) -> Self {
        values.iter().fold(self.raw(b"("), |p, &v| p.int(v)).raw(b"t")
    }

    /// `torch._utils._rebuild_tensor_v2(("storage", kind, key, "cpu", numel), offset, size, stride, False, OrderedDict())`
    fn tensor(self, kind: &str, key: &str, numel: i64, [offset, size, stride]: [&[i64]; 3]) -> Self {
        let storage = self.raw(b"ctorch._utils\n_rebuild_tensor_v2\n((").text("storage").raw(b"ctorch\n");
        let storage = storage.raw(kind.as_bytes()).raw(b"\n").text(key).text("cpu").int(numel).raw(b"tQ");
        storage.int(offset[0]).ints(size).ints(stride).raw(b"\x89ccollections\nOrderedDict\n)RtR")
    }

    pub(in crate::model) fn float(self, key: &str, size: &[i64]) -> Self {
        let numel = size.iter().product();
        let stride: Vec<i64> = (0..size.len()).map(|i| size[i + 1..].iter().product()).collect();
        self.tensor("FloatStorage", key, numel, [&[0], size, &stride])
    }
}

pub(in crate::model) fn pickle(body: impl FnOnce(Pickler) -> Pickler) -> Vec<u8> {
    body(Pickler::default().raw(b"\x80\x02")).raw(b".").0
}

pub(in crate::model) fn zip_bytes(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    zip.start_file("archive/data.pkl", stored).unwrap();
    zip.write_all(pickle).unwrap();
    for (key, bytes) in storages {
        zip.start_file(format!("archive/data/{key}"), stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The format before PyTorch 1.6.
fn stream_bytes(object: &[u8], storages: &[(&str, u64, &[u8])]) -> Vec<u8> {
    let mut bytes = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    bytes.extend(pickle(|p| p.raw(b"}").text("little_endian").raw(b"\x88s")));
    bytes.extend(object);
    bytes.extend(pickle(|p| storages.iter().fold(p.raw(b"]("), |p, (key, ..)| p.text(key)).raw(b"e")));
    for (_, numel, data) in storages {
        bytes.extend(numel.to_le_bytes());
        bytes.extend(*data);
    }
    bytes
}

pub(in crate::model) fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn read(bytes: &[u8], format: WeightsFormat) -> Result<StateDict, WeightsError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights");
    std::fs::write(&file, bytes).unwrap();
    StateDict::read(&file, format)
}

fn read_pth(bytes: &[u8]) -> Result<StateDict, WeightsError> {
    read(bytes, WeightsFormat::Pytorch)
}

/// {"fc.weight": [[1, 2, 3], [4, 5, 6]]}
fn small_zip() -> Vec<u8> {
    let object = pickle(|p| p.raw(b"}(").text("fc.weight").float("0", &[2, 3]).raw(b"u"));
    zip_bytes(&object, &[("0", &floats(&[1., 2., 3., 4., 5., 6.]))])
}

#[test]
fn state_dict_bare_wrapped_and_prefixed() {
    let data = floats(&[1., 2., 3., 4., 5., 6.]);
    let dict = |p: Pickler, key: &str| {
        p.raw(b"ccollections\nOrderedDict\n)R(").text(key).float("0", &[2, 3]).raw(b"u}").text("_metadata").raw(b"}sb")
    };
    let objects = [
        pickle(|p| dict(p, "fc.weight")),
        pickle(|p| dict(p.raw(b"}(").text("epoch").int(7).text("model_state_dict"), "fc.weight").raw(b"u")),
        pickle(|p| dict(p.raw(b"}(").text("state_dict"), "module.fc.weight").text("loss").raw(b"G\0\0\0\0\0\0\0\0u")),
    ];
    for object in objects {
        for file in [zip_bytes(&object, &[("0", &data)]), stream_bytes(&object, &[("0", 6, &data)])] {
            let state_dict = read_pth(&file).unwrap();
            assert_eq!(state_dict.shapes().collect::<Vec<_>>(), [("fc.weight", vec![2, 3])]);
            assert_eq!(state_dict.values("fc.weight").unwrap(), [1., 2., 3., 4., 5., 6.]);
        }
    }
}

/// Name, then offset, size and stride, then the values expected.
type Case<'a> = (&'a str, [&'a [i64]; 3], &'a [f64]);

#[test]
fn views_share_a_storage() {
    let data = floats(&[0., 1., 2., 3., 4., 5.]);
    let cases: [Case; 4] = [
        ("offset", [&[3], &[3], &[1]], &[3., 4., 5.]),
        ("transposed", [&[0], &[3, 2], &[1, 3]], &[0., 3., 1., 4., 2., 5.]),
        ("strided", [&[1], &[2, 2], &[3, 1]], &[1., 2., 4., 5.]),
        ("scalar", [&[4], &[], &[]], &[4.]),
    ];
    let object = pickle(|p| {
        let add = |p: Pickler, (key, view, _): &Case| p.text(key).tensor("FloatStorage", "0", 6, *view);
        cases.iter().fold(p.raw(b"}("), add).raw(b"u")
    });
    let state_dict = read_pth(&zip_bytes(&object, &[("0", &data)])).unwrap();
    for (key, _, expected) in cases {
        assert_eq!(state_dict.values(key).unwrap(), expected, "{key}");
    }
}

#[test]
fn views_outside_their_storage_are_refused() {
    for view in
        [[&[0][..], &[7], &[1]], [&[4], &[3], &[1]], [&[0], &[2, 2], &[9, 1]], [&[0], &[1 << 30, 1 << 30], &[0, 0]]]
    {
        let object = pickle(|p| p.raw(b"}(").text("w").tensor("FloatStorage", "0", 6, view).raw(b"u"));
        let error = read_pth(&zip_bytes(&object, &[("0", &floats(&[0.; 6]))])).unwrap_err().to_string();
        assert!(error.contains("key w") && error.contains("outside its storage of 6 elements"), "{error}");
    }
}

#[test]
fn a_pickle_that_names_a_program_is_refused_by_that_name() {
    let bodies: [(&str, Vec<u8>); 4] = [
        ("os.system", pickle(|p| p.raw(b"cos\nsystem\n(").text("true").raw(b"tR"))),
        ("posix.system", pickle(|p| p.text("posix").text("system").raw(b"\x93(").text("true").raw(b"tR"))),
        // Its result thrown away, a good state dict after it.
        (
            "builtins.eval",
            pickle(|p| p.raw(b"cbuiltins\neval\n(").text("1").raw(b"tR0}(").text("w").float("0", &[1]).raw(b"u")),
        ),
        // A whole model.
        ("torchvision.models.resnet.ResNet", pickle(|p| p.raw(b"ctorchvision.models.resnet\nResNet\n)\x81}b"))),
    ];
    for (name, object) in bodies {
        for file in [zip_bytes(&object, &[("0", &floats(&[1.]))]), stream_bytes(&object, &[])] {
            match read_pth(&file) {
                Err(WeightsError::Global(global)) => assert_eq!(global, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

/// Nesting costs no stack, repetition no memory.
#[test]
fn hostile_pickles_end() {
    let deep = pickle(|p| p.raw(b")").raw(&vec![0x85; 1_000_000]));
    let laughs = pickle(|p| (0..200).fold(p.raw(b")q\0"), |p, _| p.raw(b"h\0h\0\x86q\0")));
    let endless_string = pickle(|p| p.raw(b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f"));
    let rebuild =
        pickle(|p| (0..100_000).fold(p.raw(b")"), |p, _| p.raw(b"ctorch._tensor\n_rebuild_from_type_v2\n0\x85")));
    for object in [deep, laughs, endless_string, rebuild] {
        let error = read_pth(&zip_bytes(&object, &[])).unwrap_err();
        assert!(matches!(error, WeightsError::Format(_)), "{error}");
    }
}

#[test]
fn every_truncation_and_most_flips_are_errors() {
    let good = small_zip();
    let stream = {
        let object = pickle(|p| p.raw(b"}(").text("w").float("0", &[2]).raw(b"u"));
        stream_bytes(&object, &[("0", 2, &floats(&[1., 2.]))])
    };
    assert!(read_pth(&good).is_ok() && read_pth(&stream).is_ok());
    for file in [&good, &stream] {
        for end in 0..file.len() {
            let error = read_pth(&file[..end]).unwrap_err();
            assert!(matches!(error, WeightsError::Format(_)), "{end}: {error}");
        }
    }
    // A flipped bit may hit what nobody reads (a time stamp); it may not panic, and the tensor's bytes have a checksum.
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        if let Ok(state_dict) = read_pth(&bad) {
            let values = state_dict.values("fc.weight");
            assert!(values.is_none_or(|v| v == [1., 2., 3., 4., 5., 6.]), "byte {at}");
        }
    }
}

#[test]
fn a_file_of_another_kind_says_so() {
    for (bytes, expected) in [
        (&b"<html>not found</html>"[..], "neither a zip archive nor PyTorch's stream format"),
        (b"", "neither a zip archive nor PyTorch's stream format"),
        (b"version https://git-lfs.github.com/spec/v1\n", "neither a zip archive"),
    ] {
        let error = read_pth(bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let list = pickle(|p| p.raw(b"]"));
    let error = read_pth(&zip_bytes(&list, &[])).unwrap_err().to_string();
    assert!(error.contains("the root is no dict"), "{error}");
    let nested = pickle(|p| p.raw(b"}(").text("net").raw(b"}").text("epoch").int(3).raw(b"u"));
    let error = read_pth(&zip_bytes(&nested, &[])).unwrap_err().to_string();
    assert!(error.contains("\"net\" is no tensor (keys at the root: net, epoch)"), "{error}");
}

fn safetensors_bytes() -> Vec<u8> {
    let header = br#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[8,16]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(floats(&[0.5, -2.0]));
    bytes.extend(9i64.to_le_bytes());
    bytes
}

#[test]
fn safetensors_whole_and_truncated() {
    let good = safetensors_bytes();
    let state_dict = read(&good, WeightsFormat::Safetensors).unwrap();
    assert_eq!(state_dict.values("a").unwrap(), [0.5, -2.0]);
    // The counter is neither needed nor extra.
    state_dict.check(&[("a".into(), vec![2])]).unwrap();
    for end in 0..good.len() {
        let error = read(&good[..end], WeightsFormat::Safetensors).unwrap_err();
        assert!(matches!(error, WeightsError::Format(_)), "{end}: {error}");
    }
    assert!(read(&small_zip(), WeightsFormat::Safetensors).is_err());
}

#[test]
fn differing_keys_are_listed_by_name() {
    let state_dict = read_pth(&small_zip()).unwrap();
    let mut expected: Vec<(String, Vec<i64>)> = (0..25).map(|i| (format!("conv{i}.weight"), vec![1])).collect();
    expected.push(("fc.weight".into(), vec![3, 2]));
    let error = state_dict.check(&expected).unwrap_err().to_string();
    assert!(error.starts_with("keys do not fit the network: 25 missing: conv0.weight, conv1.weight, "), "{error}");
    assert!(
        error.contains("conv19.weight, and 5 more; 1 mis-shaped: fc.weight (found [2, 3], expected [3, 2])"),
        "{error}"
    );
    let error = state_dict.check(&[]).unwrap_err().to_string();
    assert_eq!(error, "keys do not fit the network: 1 extra: fc.weight");
}

#[test]
fn integers_are_no_weights() {
    let mut state_dict = read(&safetensors_bytes(), WeightsFormat::Safetensors).unwrap();
    let error = state_dict.take("b.num_batches_tracked").unwrap_err().to_string();
    assert_eq!(error, "key b.num_batches_tracked: found dtype Int64, expected a floating-point one");
}

#[test]
fn sha256_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights");
    std::fs::write(&file, b"abc").unwrap();
    // FIPS 180-2, appendix B.1
    assert_eq!(sha256(&file).unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
