//! The border to C: pointers become slices, errors and panics become a code and a line.

use crate::{CARDIOGRAD_FAILED, CARDIOGRAD_FAULT, CARDIOGRAD_OK, CARDIOGRAD_USAGE};
use cardiograd::Error;
use std::ffi::{CStr, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A code and a line.
pub struct Failure {
    code: c_int,
    line: String,
}

impl Failure {
    /// A wrong request.
    pub fn usage(line: &str) -> Self {
        Failure { code: CARDIOGRAD_USAGE, line: line.to_owned() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error {
            Error::Usage(_) | Error::Shape { .. } | Error::Value { .. } => CARDIOGRAD_USAGE,
            _ => CARDIOGRAD_FAILED,
        };
        Failure { code, line: error.to_string() }
    }
}

/// The caller's buffer for a line.
pub struct Message {
    start: *mut c_char,
    size: usize,
}

impl Message {
    /// # Safety
    /// `start` must be null or writable for `size` bytes while the message lives.
    pub unsafe fn new(start: *mut c_char, size: usize) -> Self {
        Message { start, size }
    }

    /// Nobody wants to know.
    pub fn none() -> Self {
        Message { start: std::ptr::null_mut(), size: 0 }
    }

    /// Writes as much of a line as there is room for, cut between characters, its end marked by 0.
    fn write(&self, line: &str) {
        if self.start.is_null() || self.size == 0 {
            return;
        }
        let mut room = line.len().min(self.size - 1);
        while !line.is_char_boundary(room) {
            room -= 1;
        }
        // SAFETY: `start` is writable for `size` bytes, as `new` was promised, and room < size. Both are bytes, and a line of ours does not overlap it.
        unsafe {
            std::ptr::copy_nonoverlapping(line.as_ptr(), self.start.cast::<u8>(), room);
            self.start.add(room).write(0);
        }
    }
}

/// Does the work of a call: its code comes back, its line goes to the caller, empty on success.
pub fn guarded(message: Message, work: impl FnOnce() -> Result<(), Failure>) -> c_int {
    let (code, line) = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => (CARDIOGRAD_OK, String::new()),
        Ok(Err(Failure { code, line })) => (code, line),
        Err(reason) => {
            let said = reason.downcast_ref::<String>().map(String::as_str).or(reason.downcast_ref::<&str>().copied()).unwrap_or("");
            let line = format!("a fault of cardiograd, please report it: {said}").replace(['\n', '\r', '\0'], " ");
            // What a panic carries may panic when it is dropped.
            std::mem::forget(reason);
            (CARDIOGRAD_FAULT, line)
        }
    };
    message.write(&line);
    code
}

/// An array of the caller's to read.
///
/// # Safety
/// `start` must be null or readable for `count` values for as long as the slice is used, and nobody write there.
pub unsafe fn array<'a, T>(start: *const T, count: usize, what: &str) -> Result<&'a [T], Failure> {
    check(start, count, what)?;
    // SAFETY: not null, aligned and no larger than memory, and readable as the caller promises.
    Ok(if count == 0 { &[] } else { unsafe { std::slice::from_raw_parts(start, count) } })
}

/// An array of the caller's to write.
///
/// # Safety
/// `start` must be null or writable, and initialised, for `count` values for as long as the slice is used, and nobody else use it.
pub unsafe fn array_mut<'a, T>(start: *mut T, count: usize, what: &str) -> Result<&'a mut [T], Failure> {
    check(start, count, what)?;
    // SAFETY: not null, aligned and no larger than memory, and writable as the caller promises.
    Ok(if count == 0 { &mut [] } else { unsafe { std::slice::from_raw_parts_mut(start, count) } })
}

fn check<T>(start: *const T, count: usize, what: &str) -> Result<(), Failure> {
    if count == 0 {
        return Ok(());
    }
    if start.is_null() {
        return Err(Failure::usage(&format!("{what} is null")));
    }
    if !start.is_aligned() {
        return Err(Failure::usage(&format!("{what} is not aligned for its values")));
    }
    match count.checked_mul(size_of::<T>()) {
        Some(bytes) if bytes <= isize::MAX as usize => Ok(()),
        _ => Err(Failure::usage(&format!("{what}: {count} values are more than there is memory"))),
    }
}

/// A text of the caller's.
///
/// # Safety
/// `start` must be null or end with 0.
pub unsafe fn text<'a>(start: *const c_char, what: &str) -> Result<&'a str, Failure> {
    if start.is_null() {
        return Err(Failure::usage(&format!("{what} is null")));
    }
    // SAFETY: not null, and ends with 0 as the caller promises.
    let text = unsafe { CStr::from_ptr(start) };
    text.to_str().map_err(|_| Failure::usage(&format!("{what} is not UTF-8")))
}
