//! SHA-256 digests of files, in lower-case hexadecimal as `sha256sum` prints them.

use crate::{Error, Result, intake};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::Path;

/// The digest of bytes in memory.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The digest of a file of any size.
///
/// # Errors
/// [`Error::Io`].
pub fn sha256_file(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let io = |source| Error::io(path, source);
    let (mut file, _) = intake::open(path)?;
    let mut state = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => return Ok(hex(&state.finalize())),
            count => state.update(&buffer[..count]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_standards_examples() {
        assert_eq!(super::sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"abc").unwrap();
        assert_eq!(super::sha256_file(file.path()).unwrap(), super::sha256(b"abc"));
    }
}
