//! State dicts: every format gives the same tensors, and no hostile file does anything.

#![cfg(feature = "files")]

use cardiograd::files::npy::NpyArray;
use cardiograd::files::npz;
use cardiograd::files::state_dict::{self, Kind, StateDict, Tensor, Values};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/state_dict").join(name)
}

fn parse(bytes: &[u8]) -> cardiograd::Result<StateDict> {
    state_dict::read_bytes(Path::new("model.pt"), bytes).map(|found| found.1)
}

fn sorted(dict: &StateDict) -> BTreeMap<&str, &Tensor> {
    dict.iter().collect()
}

fn small() -> StateDict {
    let mut dict = StateDict::new();
    dict.insert("fc1.weight", Tensor::new(vec![2, 3], Values::F32(vec![1.0, -2.0, 3.5, 0.0, 1e-20, 4e30])).unwrap()).unwrap();
    dict.insert("bn.num_batches_tracked", Tensor::new(vec![], Values::I64(vec![-7])).unwrap()).unwrap();
    dict.insert("double", Tensor::new(vec![1], Values::F64(vec![1.0 / 3.0])).unwrap()).unwrap();
    dict
}

#[test]
fn the_three_formats_of_one_network_agree() {
    let (kind, zip) = state_dict::read_kind(data("standardconv.pt")).unwrap();
    assert_eq!(kind, Kind::TorchZip);
    let (kind, legacy) = state_dict::read_kind(data("standardconv_legacy.pt")).unwrap();
    assert_eq!(kind, Kind::TorchLegacy);
    let (kind, safe) = state_dict::read_kind(data("standardconv.safetensors")).unwrap();
    assert_eq!(kind, Kind::Safetensors);
    assert_eq!(zip, legacy);
    assert_eq!(sorted(&zip), sorted(&safe));
    assert_eq!(zip.iter().next().unwrap().0, "model.0.weight");
    assert_eq!(zip.get("model.0.weight").unwrap().shape(), [32, 12, 5]);
    assert_eq!(zip.get("model.16.bias").unwrap().elements(), 1);
}

#[test]
fn strides_offsets_types_and_nesting_are_honoured() {
    let safe = state_dict::read(data("odd.safetensors")).unwrap();
    assert_eq!(safe.len(), 16);
    for name in ["odd.pt", "odd_legacy.pt", "odd_protocol4.pt", "odd_legacy_protocol4.pt"] {
        let dict = state_dict::read(data(name)).unwrap();
        assert_eq!(sorted(&dict), sorted(&safe), "{name}");
    }
    let transposed = safe.get("transposed").unwrap();
    assert_eq!(transposed.shape(), [6, 4]);
    assert_eq!(transposed.to_f32()[..3], [0.0, 6.0 / 7.0, 12.0 / 7.0]);
    assert_eq!(safe.get("half").unwrap().to_f32(), [1.0, -2.5, 65504.0, 5.9604645e-8]);
    assert_eq!(safe.get("num_batches_tracked").unwrap().values(), &Values::I64(vec![41]));
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.pt", "a.safetensors"] {
        let path = folder.path().join(name);
        state_dict::write(&path, &small()).unwrap();
        assert_eq!(sorted(&state_dict::read(&path).unwrap()), sorted(&small()));
        let first = std::fs::read(&path).unwrap();
        state_dict::write(&path, &small()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first, "the same tensors give the same bytes");
    }
    assert_eq!(state_dict::write(folder.path().join("a.bin"), &small()).unwrap_err().exit_code(), 2);
}

/// A .safetensors file holds what is no tensor under this name: written, such a tensor could not be read again.
#[test]
fn a_tensor_of_the_reserved_name_is_refused_where_it_would_be_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut dict = small();
    dict.insert("__metadata__", Tensor::new(vec![1], Values::F32(vec![1.0])).unwrap()).unwrap();
    let path = folder.path().join("a.safetensors");
    let error = state_dict::write(&path, &dict).unwrap_err().to_string();
    assert!(error.contains("a.safetensors") && error.contains("__metadata__"), "{error}");
    assert!(!path.exists());
    let path = folder.path().join("a.pt");
    state_dict::write(&path, &dict).unwrap();
    assert_eq!(sorted(&state_dict::read(&path).unwrap()), sorted(&dict));
}

#[test]
fn a_wheel_gives_the_generator_inside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deepfake.whl");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for (name, bytes) in [("deepfakeecg/checkpoints/g_stat.pt", std::fs::read(data("odd_legacy.pt")).unwrap()), ("METADATA", vec![1])] {
        zip.start_file(name, options).unwrap();
        std::io::Write::write_all(&mut zip, &bytes).unwrap();
    }
    zip.finish().unwrap();
    let (kind, dict) = state_dict::read_kind(&path).unwrap();
    assert_eq!(kind, Kind::Wheel);
    assert_eq!(dict, state_dict::read(data("odd.pt")).unwrap());
}

#[test]
fn every_truncation_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let legacy = std::fs::read(data("odd_legacy.pt")).unwrap();
    let mut files = vec![legacy, std::fs::read(data("odd.safetensors")).unwrap()];
    let path = folder.path().join("a.pt");
    state_dict::write(&path, &small()).unwrap();
    files.push(std::fs::read(&path).unwrap());
    for bytes in files {
        parse(&bytes).unwrap();
        for length in 0..bytes.len() {
            assert!(parse(&bytes[..length]).is_err(), "{length} of {}", bytes.len());
        }
    }
    let mut longer = std::fs::read(data("odd_legacy.pt")).unwrap();
    longer.push(0);
    assert!(parse(&longer).unwrap_err().to_string().contains("after the last storage"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn flipped_bits_never_panic_and_never_inflate(which in 0usize..3, at in any::<prop::sample::Index>(), byte: u8, more in prop::option::of(any::<prop::sample::Index>())) {
        let mut bytes = std::fs::read(data(["odd.pt", "odd_legacy.pt", "odd.safetensors"][which])).unwrap();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        if let Some(more) = more {
            let place = more.index(bytes.len());
            bytes[place] ^= byte;
        }
        if let Ok(dict) = parse(&bytes) {
            let held: usize = dict.iter().map(|(_, tensor)| tensor.elements()).sum();
            prop_assert!(held <= 16 * bytes.len());
        }
    }
}

/// A legacy file with any pickle of the object, any storage keys, any storages.
fn legacy(object: &[u8], keys: &[u8], storages: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
    out.extend(b"\x80\x02M\xe9\x03.\x80\x02}.");
    out.extend(object);
    out.extend(keys);
    out.extend(storages);
    out
}

fn refused(object: &[u8], hint: &str) {
    let error = parse(&legacy(object, b"\x80\x02].", b"")).unwrap_err().to_string();
    assert!(error.contains(hint), "{error}");
    assert!(!error.contains('\n') && error.len() < 400, "{error}");
}

/// `{'w': _rebuild_tensor_v2(('storage', FloatStorage, 'k', 'cpu', count), offset, (size,), (stride,), False, {})}`
fn one_tensor(count: i32, offset: i32, size: i32, stride: i32) -> Vec<u8> {
    let mut out =
        b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0kX\x03\0\0\0cpuJ"
            .to_vec();
    out.extend(count.to_le_bytes());
    out.extend(b"tQJ");
    out.extend(offset.to_le_bytes());
    for value in [size, stride] {
        out.push(b'J');
        out.extend(value.to_le_bytes());
        out.push(0x85);
    }
    out.extend(b"\x89}tRs.");
    out
}

#[test]
fn nothing_but_tensors_in_dictionaries_is_read() {
    refused(b"\x80\x02cos\nsystem\nX\x0f\0\0\0touch /tmp/hacked\x85R.", "os.system");
    refused(b"\x80\x02cposix\nsystem\n.", "nothing is executed");
    refused(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", "builtins.eval");
    refused(b"\x80\x02cmodels\nStevenNet\n)\x81.", "state_dict");
    refused(b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n.", "plain CPU tensors");
    refused(b"\x80\x02]\x94.", "a list");
    refused(b"\x80\x02N.", "None");
    refused(b"\x80\x02}X\x05\0\0\0epochK\x03s.", "'epoch' is a number");
    refused(b"\x80\x02}K\x01K\x03s.", "a key is a number");
    refused(b"\x80\x02(lp0\n.", "opcode");
    refused(b"\x80\x09N.", "protocol 9");
    refused(b"\x80\x02R.", "damaged");
    refused(b"\x80\x02}b.", "damaged");
    refused(b"\x80\x02(0.", "damaged");
    refused(b"\x80\x02h\x07.", "memo");
    refused(b"\x80\x02ccollections\nOrderedDict\n]]\x86R.", "arguments");
    refused(b"\x80\x02X\xff\xff\xff\xffabc", "truncated");
    refused(b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc", "truncated");
    // A list and a dictionary that contain themselves.
    refused(b"\x80\x02]q\0h\0a.", "a list");
    refused(b"\x80\x02}q\0X\x0a\0\0\0state_dicth\0s.", "nested too deep");
    let error = state_dict::read(data("whole_model.pt")).unwrap_err().to_string();
    assert!(error.contains("torch.nn.modules.linear.Linear") && error.contains("save model.state_dict()"), "{error}");
}

#[test]
fn tensors_stay_inside_their_storages() {
    let keys = b"\x80\x02]X\x01\0\0\0ka.";
    let storage = |count: u64, floats: &[f32]| -> Vec<u8> {
        count.to_le_bytes().into_iter().chain(floats.iter().flat_map(|v| v.to_le_bytes())).collect()
    };
    let good = storage(3, &[1.0, 2.0, 3.0]);
    let dict = parse(&legacy(&one_tensor(3, 1, 2, 1), keys, &good)).unwrap();
    assert_eq!(dict.get("w").unwrap().to_f32(), [2.0, 3.0]);
    for (tensor, storage, hint) in [
        (one_tensor(3, 2, 2, 1), good.clone(), "beyond"),
        (one_tensor(3, 0, 2, 3), good.clone(), "beyond"),
        (one_tensor(3, 0, i32::MAX, 0), good.clone(), "more elements"),
        (one_tensor(3, 0, -1, 1), good.clone(), "damaged"),
        (one_tensor(3, -1, 1, 1), good.clone(), "damaged"),
        (one_tensor(9, 0, 1, 1), good.clone(), "not of the type and size"),
        (one_tensor(3, 0, 1, 1), storage(1 << 60, &[1.0]), "truncated"),
        (one_tensor(3, 0, 1, 1), storage(u64::MAX, &[1.0]), "truncated"),
        (one_tensor(3, 0, 1, 1), storage(4, &[1.0]), "truncated"),
    ] {
        let error = parse(&legacy(&tensor, keys, &storage)).unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
    }
    let error = parse(&legacy(&one_tensor(3, 0, 1, 1), b"\x80\x02].", b"")).unwrap_err().to_string();
    assert!(error.contains("storage is missing"), "{error}");
    let mut complex = one_tensor(3, 0, 1, 1);
    let at = complex.windows(12).position(|window| window == b"FloatStorage").unwrap();
    complex.splice(at..at, *b"Complex");
    let error = parse(&legacy(&complex, keys, &good)).unwrap_err().to_string();
    assert!(error.contains("ComplexFloatStorage"), "{error}");
}

#[test]
fn a_storage_may_not_be_shown_a_thousand_times() {
    // {'aaaa': T, 'aaab': T, …}, each the whole of one storage.
    let floats = 40_000u64;
    let one = one_tensor(floats as i32, 0, floats as i32, 1);
    let tensor = &one[9..one.len() - 2];
    let mut object = b"\x80\x02}(".to_vec();
    for i in 0..100u32 {
        object.extend(b"X\x04\0\0\0");
        object.extend(format!("{i:04}").bytes());
        object.extend(tensor);
    }
    object.extend(b"u.");
    let storage: Vec<u8> = floats.to_le_bytes().into_iter().chain(std::iter::repeat_n(0, 160_000)).collect();
    let error = parse(&legacy(&object, b"\x80\x02]X\x01\0\0\0ka.", &storage)).unwrap_err().to_string();
    assert!(error.contains("overlap too often"), "{error}");
}

#[test]
fn other_files_are_told_apart() {
    for (bytes, hint) in [
        (&b""[..], "empty"),
        (b"\x80\x04N.", "torch.save did not write"),
        (b"hello", "neither"),
        (b"PK\x03\x04", "zip"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x0f{}", "neither"),
        (b"\x02\0\0\0\0\0\0\0{]", "safetensors"),
    ] {
        let error = parse(bytes).unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
    }
    assert!(state_dict::read("absent.pt").unwrap_err().to_string().contains("absent.pt"));
}

#[test]
fn a_zip_bomb_is_refused_before_it_expands() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.npz");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    zip.start_file("x.npy", zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated)).unwrap();
    let zeros = vec![0u8; 1 << 20];
    (0..70).for_each(|_| std::io::Write::write_all(&mut zip, &zeros).unwrap());
    zip.finish().unwrap();
    let error = npz::read(&path).unwrap_err().to_string();
    assert!(error.contains("zip bomb"), "{error}");
}

#[test]
fn npz_round_trips_under_numpys_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.npz");
    let saliency: NpyArray = ndarray::arr2(&[[1.0f32, -2.0], [3.0, f32::MIN_POSITIVE]]).into();
    let counts: NpyArray = ndarray::arr1(&[1i64, 2, 3]).into();
    npz::write(&path, &[("saliency", &saliency), ("counts", &counts)]).unwrap();
    let first = std::fs::read(&path).unwrap();
    npz::write(&path, &[("saliency", &saliency), ("counts", &counts)]).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
    assert_eq!(npz::names(&path).unwrap(), ["saliency", "counts"]);
    assert_eq!(npz::read(&path).unwrap(), [("saliency".into(), saliency.clone()), ("counts".into(), counts)]);
    assert_eq!(npz::read_one(&path, "saliency").unwrap(), saliency);
    assert!(npz::read_one(&path, "deeplift").unwrap_err().to_string().contains("saliency, counts"));
    let mut writer = npz::NpzWriter::create(&path).unwrap();
    writer.add("a", ndarray::arr1(&[1.0f32]).view()).unwrap();
    assert_eq!(writer.add("a", ndarray::arr1(&[1.0f32]).view()).unwrap_err().exit_code(), 2);
    drop(writer);
    assert_eq!(std::fs::read(&path).unwrap(), first, "an unfinished file leaves the old one");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    for length in (0..first.len()).step_by(7) {
        std::fs::write(&path, &first[..length]).unwrap();
        assert!(npz::read(&path).is_err());
    }
}
