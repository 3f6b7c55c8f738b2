//! `dht_error_t`: what a failed call tells.

use std::ffi::{CString, c_char};

use dht_core::Error;

use crate::boundary::contained;
use crate::status::dht_status;

/// Why a call failed. Free it with dht_error_free. It may be read from many threads.
pub struct dht_error_t {
    error: Error,
    message: CString,
}

impl dht_error_t {
    pub(crate) fn new(error: Error) -> Box<Self> {
        let message = format!("{error:#}").replace('\0', "\u{fffd}");
        Box::new(Self { error, message: CString::new(message).unwrap_or_default() })
    }
}

/// The status that the call returned; DHT_OK for NULL.
///
/// # Safety
/// `error` is NULL or from this library and not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_error_code(error: *const dht_error_t) -> dht_status {
    contained(dht_status::DHT_INTERNAL, || {
        // SAFETY: promised by the caller.
        let error = unsafe { error.as_ref() };
        error.map_or(dht_status::DHT_OK, |e| e.error.kind().into())
    })
}

/// What was attempted and what was in the way, beginning with the name of the status. Lives as long as the error; never
/// NULL, and empty for NULL.
///
/// # Safety
/// `error` is NULL or from this library and not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_error_message(error: *const dht_error_t) -> *const c_char {
    contained(c"INTERNAL", || {
        // SAFETY: promised by the caller.
        let error = unsafe { error.as_ref() };
        error.map_or(c"", |e| e.message.as_c_str())
    })
    .as_ptr()
}

/// True where the outcome is unknown: the operation may have been applied, or may still be. False means that nothing
/// was changed; false for NULL.
///
/// # Safety
/// `error` is NULL or from this library and not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_error_maybe_applied(error: *const dht_error_t) -> bool {
    contained(true, || {
        // SAFETY: promised by the caller.
        let error = unsafe { error.as_ref() };
        error.is_some_and(|e| e.error.maybe_applied())
    })
}

/// Frees an error; NULL is allowed.
///
/// # Safety
/// `error` is NULL or from this library and not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_error_free(error: *mut dht_error_t) {
    contained((), || {
        if !error.is_null() {
            // SAFETY: promised by the caller; it was made by Box::into_raw in `boundary::call`.
            drop(unsafe { Box::from_raw(error) });
        }
    });
}
