//! Writing a `.pt` that `torch.load(weights_only=True)` reads: a zip archive of one pickle and one entry per storage.

use super::{StateDict, Tensor, Values};
use crate::files::archive::Builder;
use crate::files::atomic::AtomicFile;
use crate::{Error, Result};
use std::io::{self, Write};
use std::path::Path;

/// The folder inside the archive; PyTorch takes any.
const PREFIX: &str = "archive";

pub(super) fn write(path: &Path, dict: &StateDict) -> Result<()> {
    let io = |source| Error::io(path, source);
    let file = AtomicFile::create(path)?;
    let mut file = fill(Builder::new(file), dict).map_err(io)?;
    file.flush().map_err(io)?;
    file.commit()
}

fn fill(mut zip: Builder<AtomicFile>, dict: &StateDict) -> io::Result<AtomicFile> {
    let mut put = |name: &str, bytes: &[u8]| zip.entry(&format!("{PREFIX}/{name}"), bytes.len() as u64)?.write_all(bytes);
    put("data.pkl", &pickle(dict)?)?;
    put("byteorder", b"little")?;
    for (i, (_, tensor)) in dict.iter().enumerate() {
        put(&format!("data/{i}"), &tensor.to_bytes())?;
    }
    put("version", b"3\n")?;
    zip.finish()
}

/// `OrderedDict([(name, _rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict())), …])` in protocol 2.
fn pickle(dict: &StateDict) -> io::Result<Vec<u8>> {
    let mut out = b"\x80\x02ccollections\nOrderedDict\n)R".to_vec();
    out.push(b'(');
    for (i, (name, tensor)) in dict.iter().enumerate() {
        text(&mut out, name)?;
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        storage(&mut out, i, tensor)?;
        integer(&mut out, 0);
        sizes(&mut out, tensor.shape());
        sizes(&mut out, &strides(tensor.shape()));
        out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    out.extend(b"u.");
    Ok(out)
}

fn storage(out: &mut Vec<u8>, index: usize, tensor: &Tensor) -> io::Result<()> {
    let class: &[u8] = match tensor.values() {
        Values::F32(_) => b"ctorch\nFloatStorage\n",
        Values::F64(_) => b"ctorch\nDoubleStorage\n",
        Values::I64(_) => b"ctorch\nLongStorage\n",
    };
    text(out, "storage")?;
    out.extend(class);
    text(out, &index.to_string())?;
    text(out, "cpu")?;
    integer(out, tensor.elements());
    out.extend(b"tQ");
    Ok(())
}

fn text(out: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let length = u32::try_from(text.len()).map_err(|_| io::Error::other("a name of more than 4 GiB"))?;
    out.push(b'X');
    out.extend(length.to_le_bytes());
    out.extend(text.as_bytes());
    Ok(())
}

/// LONG1: any size in eight bytes and a zero for the sign.
fn integer(out: &mut Vec<u8>, value: usize) {
    out.extend([0x8a, 9]);
    out.extend((value as u64).to_le_bytes());
    out.push(0);
}

fn sizes(out: &mut Vec<u8>, values: &[usize]) {
    out.push(b'(');
    for &value in values {
        integer(out, value);
    }
    out.push(b't');
}

/// Strides of a contiguous tensor, in elements.
fn strides(shape: &[usize]) -> Vec<usize> {
    super::storage::View::contiguous(shape.to_vec()).stride
}
