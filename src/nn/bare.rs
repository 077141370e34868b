//! The network alone of a model file's bytes: all that a device needs that has no files.

use super::container::{self, Kind};
use super::stored::{Packed, StoredTensor, restore};
#[cfg(not(feature = "std"))]
use crate::plain::*;
use crate::tape::{Network, Program};
use crate::{Error, Result};
use serde::de::DeserializeOwned;

/// Version 1 knows what the study's trainings need; what goes beyond them is in version 2, behind the same, and behind that, in version 3, how the network
/// was calibrated. Of 16-bit weights the first version knows what version 2 does.
pub(super) const PLAIN: Kind = Kind { letters: *b"CGM", version: 1, name: "cardiograd model" };
pub(super) const KIND: Kind = Kind { version: 2, ..PLAIN };
pub(super) const CALIBRATED: Kind = Kind { version: 3, ..PLAIN };
pub(super) const HALVED: Kind = Kind { letters: *b"CGH", version: 1, name: "cardiograd model of 16-bit weights" };
pub(super) const HALVED_CALIBRATED: Kind = Kind { version: 2, ..HALVED };

/// The kind and version of a model file by its beginning; the newest, where the version is none that is known.
pub(super) fn kind_of(file: &[u8]) -> Kind {
    let kinds: &[Kind] = if file.starts_with(&HALVED.magic()) { &[HALVED_CALIBRATED, HALVED] } else { &[CALIBRATED, KIND, PLAIN] };
    let known = kinds.iter().find(|kind| container::version(kind, file) == Some(kind.version));
    *known.unwrap_or(&kinds[0])
}

/// The network of a model file (`.cgm`, of any version, weights of 32 or 16 bits) from its bytes; what the file knows besides is left unread. `name` is
/// for messages. Needs no feature of this crate.
///
/// # Errors
/// [`Error::Format`] for anything but whole, undamaged bytes of a model file.
pub fn network_from_bytes(bytes: &[u8], name: &str) -> Result<Network<f32>> {
    let fail = |problem: String| Error::format(name, problem);
    // Every version's payload begins with the program and its parameters.
    fn beginning<T: DeserializeOwned>(kind: &Kind, bytes: &[u8]) -> core::result::Result<(Program, Vec<T>), String> {
        container::beginning(container::payload(kind, bytes)?)
    }
    let kind = kind_of(bytes);
    let read = if kind.letters == HALVED.letters {
        beginning::<Packed>(&kind, bytes).and_then(|(program, packed)| {
            let whole = packed.into_iter().map(Packed::whole).collect::<Result<Vec<StoredTensor>>>();
            whole.map(|parameters| (program, parameters)).map_err(|error| error.to_string())
        })
    } else {
        beginning::<StoredTensor>(&kind, bytes)
    };
    let (program, parameters) = read.map_err(fail)?;
    restore(parameters).and_then(|parameters| Network::new(program, parameters)).map_err(|error| fail(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Model, initialise, standardconv};

    #[test]
    fn it_is_the_network_of_the_whole_reader_and_damage_is_refused_alike() {
        let program = standardconv(12, None).unwrap();
        let model = Model::new(Network::new(program.clone(), initialise(&program, 3, 0).unwrap()).unwrap());
        let bytes = model.to_bytes().unwrap();
        let same =
            |network: &Network<f32>| network.program() == model.network.program() && network.parameters() == model.network.parameters();
        assert!(same(&network_from_bytes(&bytes, "device").unwrap()));
        for end in [0, 7, 23, bytes.len() / 2, bytes.len() - 1] {
            let (bare, whole) =
                (network_from_bytes(&bytes[..end], "device").unwrap_err(), Model::from_bytes(&bytes[..end], "device").unwrap_err());
            assert_eq!(bare.to_string(), whole.to_string(), "{end} bytes");
        }
        let mut damaged = bytes.clone();
        damaged[bytes.len() / 2] ^= 4;
        assert!(network_from_bytes(&damaged, "device").unwrap_err().to_string().starts_with("device: its checksum"));
    }
}
