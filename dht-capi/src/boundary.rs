//! The border between C and Rust: pointers become references, text and results; panics become a status.

use std::any::Any;
use std::ffi::{CStr, CString, c_char};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI32, Ordering};

use bytes::Bytes;
use dht_core::binding::json::Options;
use dht_core::binding::{Effect, Running};
use dht_core::{Error, ErrorKind, Result, Value};

use crate::error::dht_error_t;
use crate::status::dht_status;

/// Runs the body of an exported function. `Ok(false)`: there is no such key.
///
/// # Safety
/// `err` is NULL or writable.
pub(crate) unsafe fn call(
    function: &'static str,
    err: *mut *mut dht_error_t,
    body: impl FnOnce() -> Result<bool>,
) -> dht_status {
    // Unwind safe: nothing that the body can leave half done is looked at afterwards but by the core, which keeps its
    // state whole under panics.
    let result = catch_unwind(AssertUnwindSafe(|| {
        #[cfg(test)]
        crate::tests::inject();
        body()
    }));
    let error = match result {
        Ok(Ok(true)) => return dht_status::DHT_OK,
        Ok(Ok(false)) => return dht_status::DHT_NOT_FOUND,
        Ok(Err(error)) => error,
        Err(panic) => {
            let error = Error::new(ErrorKind::Internal, format!("panic in {function}: {}", text_of(&*panic)));
            forget(panic);
            error.unknown_outcome()
        }
    };
    let status = error.kind().into();
    if !err.is_null() {
        // SAFETY: promised by the caller.
        unsafe { err.write(Box::into_raw(dht_error_t::new(error))) };
    }
    status
}

/// Runs the body of an exported function that cannot tell an error.
pub(crate) fn contained<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    let result = catch_unwind(AssertUnwindSafe(|| {
        #[cfg(test)]
        crate::tests::inject();
        body()
    }));
    result.unwrap_or_else(|panic| {
        forget(panic);
        otherwise
    })
}

/// Dropping what a panic carries may panic again, outside of any guard.
fn forget(panic: Box<dyn Any + Send>) {
    if catch_unwind(AssertUnwindSafe(|| drop(panic))).is_err() {
        std::process::abort();
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a text")
}

fn null(name: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, format!("{name} is NULL"))
}

/// Text that must be there.
///
/// # Errors
/// `InvalidArgument` for NULL, `kind` if it is not UTF-8.
///
/// # Safety
/// `text` is NULL or NUL-terminated, and unchanged for `'a`.
pub(crate) unsafe fn text_as<'a>(name: &str, text: *const c_char, kind: ErrorKind) -> Result<&'a str> {
    if text.is_null() {
        return Err(null(name));
    }
    // SAFETY: promised by the caller.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|e| Error::new(kind, format!("{name} is not UTF-8")).with_source(e))
}

/// Text that must be there.
///
/// # Errors
/// `InvalidArgument` for NULL and for what is not UTF-8.
///
/// # Safety
/// As [`text_as`].
pub(crate) unsafe fn text<'a>(name: &str, text: *const c_char) -> Result<&'a str> {
    // SAFETY: promised by the caller.
    unsafe { text_as(name, text, ErrorKind::InvalidArgument) }
}

/// Text that may be NULL.
///
/// # Errors
/// `InvalidArgument` for what is not UTF-8.
///
/// # Safety
/// As [`text_as`].
pub(crate) unsafe fn optional_text<'a>(name: &str, pointer: *const c_char) -> Result<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: promised by the caller.
    unsafe { text(name, pointer) }.map(Some)
}

/// Options, which may be NULL.
///
/// # Errors
/// `InvalidArgument`.
///
/// # Safety
/// As [`text_as`].
pub(crate) unsafe fn options(json: *const c_char) -> Result<Options> {
    // SAFETY: promised by the caller.
    Options::read(unsafe { optional_text("options_json", json) }?)
}

/// A JSON value.
///
/// # Errors
/// `InvalidArgument` for NULL, `InvalidValue` if it is no JSON.
///
/// # Safety
/// As [`text_as`].
pub(crate) unsafe fn json_value(text: *const c_char) -> Result<Value> {
    // SAFETY: promised by the caller.
    let text = unsafe { text_as("value_json", text, ErrorKind::InvalidValue) }?;
    Value::from_json_text(Bytes::copy_from_slice(text.as_bytes()))
}

/// Bytes; NULL only with length 0.
///
/// # Errors
/// `InvalidArgument`.
///
/// # Safety
/// `len` bytes can be read at `bytes`, and stay unchanged for `'a`.
pub(crate) unsafe fn bytes<'a>(name: &str, bytes: *const u8, len: usize) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if bytes.is_null() {
        return Err(null(name));
    }
    if isize::try_from(len).is_err() {
        return Err(Error::new(ErrorKind::InvalidArgument, format!("{name} cannot have {len} bytes")));
    }
    // SAFETY: promised by the caller; the length was checked.
    Ok(unsafe { std::slice::from_raw_parts(bytes, len) })
}

/// Bytes that must be there, as a value.
///
/// # Errors
/// As [`bytes`].
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn bytes_value(value: *const u8, len: usize) -> Result<Value> {
    // SAFETY: promised by the caller.
    Ok(Value::from_bytes(Bytes::copy_from_slice(unsafe { bytes("value", value, len) }?)))
}

/// Waits for `future` until it is done, or another thread makes `given_up` other than 0.
///
/// # Errors
/// Those of `future`; `Cancelled`: nothing was done if it was given up before it began.
///
/// # Safety
/// `given_up` is NULL, or an aligned number that lives as long as the call; whoever changes it meanwhile does so atomically.
pub(crate) unsafe fn block_until<T>(
    running: &Running,
    effect: Effect,
    future: impl Future<Output = Result<T>>,
    given_up: *const i32,
) -> Result<T> {
    if given_up.is_null() {
        return running.block_on(effect, future, None);
    }
    // SAFETY: promised by the caller. It is only read.
    let given_up = unsafe { AtomicI32::from_ptr(given_up.cast_mut()) };
    // Nothing is read that was written before it.
    let mut tick = || match given_up.load(Ordering::Relaxed) {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    };
    if tick().is_break() {
        return Err(Error::new(ErrorKind::Cancelled, "it was given up before it began"));
    }
    running.block_on(effect, future, Some(&mut tick))
}

/// Where an answer goes: written once and only on success.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Errors
    /// `InvalidArgument` for NULL.
    ///
    /// # Safety
    /// `place` is NULL or writable until the call ends.
    pub(crate) unsafe fn needed(name: &str, place: *mut T) -> Result<Self> {
        if place.is_null() { Err(null(name)) } else { Ok(Self(place)) }
    }

    /// NULL: the answer is not wanted.
    ///
    /// # Safety
    /// `place` is NULL or writable until the call ends.
    pub(crate) unsafe fn optional(place: *mut T) -> Self {
        Self(place)
    }

    pub(crate) fn wanted(&self) -> bool {
        !self.0.is_null()
    }

    pub(crate) fn set(self, value: T) {
        if self.wanted() {
            // SAFETY: promised to the constructors.
            unsafe { self.0.write(value) };
        }
    }
}

impl Out<*mut c_char> {
    /// Gives text to the caller.
    ///
    /// # Errors
    /// `WrongFormat` if there is a NUL inside, which JSON cannot have.
    pub(crate) fn set_text(self, text: impl Into<Vec<u8>>) -> Result<()> {
        let text = CString::new(text)
            .map_err(|e| Error::new(ErrorKind::WrongFormat, "the text holds a NUL byte").with_source(e))?;
        self.set(text.into_raw());
        Ok(())
    }
}

/// Where bytes and their length go.
pub(crate) struct OutBytes {
    bytes: Out<*mut u8>,
    len: Out<usize>,
}

impl OutBytes {
    /// # Errors
    /// `InvalidArgument` if one of them is NULL.
    ///
    /// # Safety
    /// Both are NULL or writable until the call ends.
    pub(crate) unsafe fn needed(names: [&str; 2], bytes: *mut *mut u8, len: *mut usize) -> Result<Self> {
        // SAFETY: promised by the caller.
        unsafe { Ok(Self { bytes: Out::needed(names[0], bytes)?, len: Out::needed(names[1], len)? }) }
    }

    /// Both NULL: the answer is not wanted.
    ///
    /// # Errors
    /// `InvalidArgument` if only one of them is NULL.
    ///
    /// # Safety
    /// As [`OutBytes::needed`].
    pub(crate) unsafe fn optional(names: [&str; 2], bytes: *mut *mut u8, len: *mut usize) -> Result<Self> {
        if bytes.is_null() && len.is_null() {
            return Ok(Self { bytes: Out(bytes), len: Out(len) });
        }
        // SAFETY: promised by the caller.
        unsafe { Self::needed(names, bytes, len) }
    }

    /// Gives bytes to the caller; `None`: NULL of length 0.
    pub(crate) fn set(self, bytes: Option<&[u8]>) {
        if self.bytes.wanted() {
            self.bytes.set(bytes.map_or(std::ptr::null_mut(), give_bytes));
            self.len.set(bytes.map_or(0, <[u8]>::len));
        }
    }
}

/// Bytes for the caller, with a NUL after them that their length does not count.
fn give_bytes(bytes: &[u8]) -> *mut u8 {
    let mut given = Vec::with_capacity(bytes.len() + 1);
    given.extend_from_slice(bytes);
    given.push(0);
    Box::into_raw(given.into_boxed_slice()).cast()
}

/// Frees text of this library; NULL is allowed.
///
/// # Safety
/// `text` is NULL or from this library, unchanged in length and not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_string_free(text: *mut c_char) {
    contained((), || {
        if !text.is_null() {
            // SAFETY: promised by the caller; it was made by CString::into_raw in `Out::set_text`.
            drop(unsafe { CString::from_raw(text) });
        }
    });
}

/// Frees bytes of this library, `len` being the length that came with them; NULL is allowed.
///
/// # Safety
/// `bytes` is NULL or from this library, with its length, and not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_bytes_free(bytes: *mut u8, len: usize) {
    contained((), || {
        if !bytes.is_null() {
            // SAFETY: promised by the caller; `give_bytes` made a box of one byte more.
            drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(bytes, len.saturating_add(1))) });
        }
    });
}
