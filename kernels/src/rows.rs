//! Between channel-major samples and rows of registers: transposing loads and stores.

use crate::simd::{Lanes, MAX_WIDTH};

/// Signals of several channels, `lane_stride` apart, as a frame's lanes.
#[derive(Clone, Copy)]
pub struct Channels {
    /// Offset of the first lane.
    pub first: usize,
    /// From lane to lane.
    pub stride: usize,
    /// Lanes that are there.
    pub lanes: usize,
}

/// The lanes of a group: channels group·width.. of a (channels, len) signal.
pub fn channels(count: usize, group: usize, width: usize, len: usize) -> Channels {
    Channels { first: group * width * len, stride: len, lanes: width.min(count - group * width) }
}

const ZEROS: [f32; MAX_WIDTH] = [0.0; MAX_WIDTH];

/// Frame row `row(t)` ← sample t of every lane, for t < count; other rows are left. Lanes beyond `channels.lanes` become 0.
///
/// # Safety
/// V's instruction set is available; `from` holds the channels' samples 0..count; every row is writable.
#[inline(always)]
pub unsafe fn load_rows<V: Lanes>(from: *const f32, channels: Channels, count: usize, frame: *mut f32, row: impl Fn(usize) -> usize) {
    let w = V::WIDTH;
    // SAFETY: blocks cover samples t..t + WIDTH ≤ count; the last one overlaps its neighbour and writes the same values again.
    unsafe {
        let from = from.add(channels.first);
        let mut t = 0;
        while t < count && count >= w {
            let at = t.min(count - w);
            let (mut lanes, mut rows) = ([ZEROS.as_ptr(); MAX_WIDTH], [frame; MAX_WIDTH]);
            for l in 0..channels.lanes {
                lanes[l] = from.add(l * channels.stride + at);
            }
            for (i, to) in rows.iter_mut().enumerate().take(w) {
                *to = frame.add(row(at + i) * w);
            }
            V::transpose(&lanes, &rows);
            t += w;
        }
        for t in t..count {
            let to = frame.add(row(t) * w);
            V::splat(0.0).store(to);
            for l in 0..channels.lanes {
                *to.add(l) = *from.add(l * channels.stride + t);
            }
        }
    }
}

/// The way back of [`load_rows`]: sample t of every lane ← frame row `row(t)`.
///
/// # Safety
/// As [`load_rows`], with `to` writable and rows readable.
#[inline(always)]
pub unsafe fn store_rows<V: Lanes>(frame: *const f32, to: *mut f32, channels: Channels, count: usize, row: impl Fn(usize) -> usize) {
    let w = V::WIDTH;
    // SAFETY: as in `load_rows`; lanes that are not there go to a sink.
    unsafe {
        let to = to.add(channels.first);
        let mut sink = [0.0f32; MAX_WIDTH];
        let mut t = 0;
        while t < count && count >= w {
            let at = t.min(count - w);
            let (mut rows, mut lanes) = ([frame; MAX_WIDTH], [sink.as_mut_ptr(); MAX_WIDTH]);
            for (i, from) in rows.iter_mut().enumerate().take(w) {
                *from = frame.add(row(at + i) * w);
            }
            for l in 0..channels.lanes {
                lanes[l] = to.add(l * channels.stride + at);
            }
            V::transpose(&rows, &lanes);
            t += w;
        }
        for t in t..count {
            let from = frame.add(row(t) * w);
            for l in 0..channels.lanes {
                *to.add(l * channels.stride + t) = *from.add(l);
            }
        }
    }
}

/// Sets rows `rows` of a frame to 0.
///
/// # Safety
/// V's instruction set is available and the rows are writable.
#[inline(always)]
pub unsafe fn clear<V: Lanes>(frame: *mut f32, rows: core::ops::Range<usize>) {
    for row in rows {
        // SAFETY: the caller's contract.
        unsafe { V::splat(0.0).store(frame.add(row * V::WIDTH)) };
    }
}
