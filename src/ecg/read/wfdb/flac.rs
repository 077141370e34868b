//! Signals that FLAC packs, a channel each.

use claxon::FlacReader;
use std::io::Read;

/// The channels of a FLAC stream, `frames` samples each (all that there are if not said), no more than `most` in all.
pub(super) fn channels(from: impl Read, channels: usize, bits: u32, frames: Option<usize>, most: usize) -> Result<Vec<Vec<i64>>, String> {
    let bad = |error: claxon::Error| format!("not FLAC that can be read: {error}");
    let mut reader = FlacReader::new(from).map_err(bad)?;
    let about = reader.streaminfo();
    if about.channels as usize != channels || about.bits_per_sample != bits {
        let (found, has) = (about.channels, about.bits_per_sample);
        return Err(format!("{found} channels of {has} bits where the header has {channels} of {bits}"));
    }
    let mut out = vec![Vec::new(); channels];
    let (mut blocks, mut buffer) = (reader.blocks(), Vec::new());
    while let Some(block) = blocks.read_next_or_eof(buffer).map_err(bad)? {
        if block.channels() as usize != channels {
            return Err(format!("a block of {} channels where there are {channels}: damaged", block.channels()));
        }
        for (at, channel) in out.iter_mut().enumerate() {
            channel.extend(block.channel(at as u32).iter().map(|value| i64::from(*value)));
        }
        if out[0].len().saturating_mul(channels) > most {
            return Err(format!("more than {most} samples"));
        }
        buffer = block.into_buffer();
        if frames.is_some_and(|frames| out[0].len() >= frames) {
            break;
        }
    }
    let held = out[0].len();
    match frames {
        Some(frames) if frames > held => Err(format!("truncated: {held} samples a signal where the header announces {frames}")),
        Some(frames) => Ok(out.into_iter().map(|channel| channel[..frames].to_vec()).collect()),
        None => Ok(out),
    }
}
