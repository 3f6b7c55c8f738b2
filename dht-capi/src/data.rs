//! Single keys: put and get.

use std::ffi::c_char;
use std::time::Duration;

use dht_core::binding::{Effect, json};
use dht_core::{GetOptions, PutOptions, Result, Value, Versioned};

use crate::boundary::{Out, OutBytes, bytes, bytes_value, call, json_value, options, text};
use crate::error::dht_error_t;
use crate::registry::{self, dht_t};
use crate::status::dht_status;

/// Stores JSON under `key`, for ever. `outcome_json` may be NULL, else it gets {"version", "acks", "wanted",
/// "set_size", "degraded"}.
///
/// Errors: DHT_INVALID_VALUE if it is no JSON; DHT_TOO_LARGE; DHT_NOT_STARTED: nothing was done. DHT_STOPPED: the same,
/// unless the node ended during the call: see dht_error_maybe_applied, as for those that follow.
/// DHT_NOT_JOINED, DHT_OVERLOADED, DHT_UNREACHABLE, DHT_QUORUM, DHT_TIMEOUT; DHT_MEMORY_FULL, DHT_STORAGE if a store takes
/// nothing; DHT_CLOCK_SKEW if a clock is too far ahead: see dht_error_maybe_applied.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_put(
    d: *mut dht_t,
    key: *const c_char,
    value_json: *const c_char,
    outcome_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_put", err, || {
            let (key, out) = (text("key", key)?, Out::optional(outcome_json));
            put(d, key.as_bytes(), json_value(value_json)?, PutOptions::default(), out)
        })
    }
}

/// As dht_put, for `ttl_ms` milliseconds, which must be above 0.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_put_with_ttl(
    d: *mut dht_t,
    key: *const c_char,
    value_json: *const c_char,
    ttl_ms: u64,
    outcome_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_put_with_ttl", err, || {
            let (key, out) = (text("key", key)?, Out::optional(outcome_json));
            let options = PutOptions { ttl: Some(Duration::from_millis(ttl_ms)), ..PutOptions::default() };
            put(d, key.as_bytes(), json_value(value_json)?, options, out)
        })
    }
}

/// As dht_put, with options, which may be NULL.
///
/// Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_put.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_put_with(
    d: *mut dht_t,
    key: *const c_char,
    value_json: *const c_char,
    options_json: *const c_char,
    outcome_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_put_with", err, || {
            let (key, out) = (text("key", key)?, Out::optional(outcome_json));
            let options = options(options_json)?.put();
            put(d, key.as_bytes(), json_value(value_json)?, options, out)
        })
    }
}

/// The JSON of `key`.
///
/// Errors: DHT_NOT_FOUND if there is no value, and then no error is set; DHT_WRONG_FORMAT if it is bytes;
/// DHT_TOO_LARGE (the key), DHT_NOT_STARTED, DHT_STOPPED, DHT_NOT_JOINED, DHT_QUORUM, DHT_TIMEOUT, DHT_OVERLOADED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_get(
    d: *mut dht_t,
    key: *const c_char,
    value_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_get", err, || {
            let (key, out) = (text("key", key)?, Out::needed("value_json", value_json)?);
            get_json(d, key.as_bytes(), GetOptions::default(), out)
        })
    }
}

/// As dht_get, with options, which may be NULL and have no ttl.
///
/// Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_get.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_get_with(
    d: *mut dht_t,
    key: *const c_char,
    options_json: *const c_char,
    value_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_get_with", err, || {
            let (key, out) = (text("key", key)?, Out::needed("value_json", value_json)?);
            get_json(d, key.as_bytes(), options(options_json)?.get()?, out)
        })
    }
}

/// As dht_put_with, for a key of bytes, which may be NULL where its length is 0.
///
/// Errors: as dht_put_with.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_put_json(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    value_json: *const c_char,
    options_json: *const c_char,
    outcome_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_put_json", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::optional(outcome_json));
            let options = options(options_json)?.put();
            put(d, key, json_value(value_json)?, options, out)
        })
    }
}

/// As dht_get_with, for a key of bytes, which may be NULL where its length is 0.
///
/// Errors: as dht_get_with.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_get_json(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    options_json: *const c_char,
    value_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_get_json", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::needed("value_json", value_json)?);
            get_json(d, key, options(options_json)?.get()?, out)
        })
    }
}

/// Stores bytes under a key of bytes. `key` and `value` may be NULL where their length is 0; `options_json` and
/// `outcome_json` may be NULL.
///
/// Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_put.
///
/// # Safety
/// The rules at the top; the lengths are those of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_put_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    value: *const u8,
    value_len: usize,
    options_json: *const c_char,
    outcome_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_put_bytes", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::optional(outcome_json));
            let options = options(options_json)?.put();
            put(d, key, bytes_value(value, value_len)?, options, out)
        })
    }
}

/// The value of a key of bytes: its bytes, or the text of its JSON. `options_json` may be NULL; `key` where its length
/// is 0. After the bytes stands a NUL that `value_len` does not count. Free them with dht_bytes_free.
///
/// Errors: as dht_get_with, without DHT_WRONG_FORMAT.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_get_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    options_json: *const c_char,
    value: *mut *mut u8,
    value_len: *mut usize,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_get_bytes", err, || {
            let key = bytes("key", key, key_len)?;
            let out = OutBytes::needed(["value", "value_len"], value, value_len)?;
            let Some(found) = get(d, key, options(options_json)?.get()?)? else { return Ok(false) };
            out.set(Some(&found.value.bytes));
            Ok(true)
        })
    }
}

/// The value of `key` with what the ring knows of it: {"version", "expires_at", "format", "value"}. `version` is what
/// dht_compare_and_swap expects; `expires_at` Unix seconds, null: never. `value` is the JSON, or for bytes, of `format`
/// "bytes", their hexadecimal digits as a text. `options_json` may be NULL.
///
/// Errors: as dht_get_with, without DHT_WRONG_FORMAT.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_get_versioned(
    d: *mut dht_t,
    key: *const c_char,
    options_json: *const c_char,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_get_versioned", err, || {
            let (key, out) = (text("key", key)?, Out::needed("json", json)?);
            get_versioned(d, key.as_bytes(), options(options_json)?.get()?, out)
        })
    }
}

/// The same for a key of bytes, which may be NULL where its length is 0.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_get_versioned_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    options_json: *const c_char,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_get_versioned_bytes", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::needed("json", json)?);
            get_versioned(d, key, options(options_json)?.get()?, out)
        })
    }
}

fn put(d: *const dht_t, key: &[u8], value: Value, options: PutOptions, out: Out<*mut c_char>) -> Result<bool> {
    let running = registry::find(d)?.running()?;
    let outcome = running.block_on(Effect::Writes, running.dht().put_value(key, value, options), None)?;
    if out.wanted() {
        out.set_text(json::shape(&outcome)?)?;
    }
    Ok(true)
}

/// The value of `key`, if there is one.
pub(crate) fn get(d: *const dht_t, key: &[u8], options: GetOptions) -> Result<Option<Versioned<Value>>> {
    let running = registry::find(d)?.running()?;
    // Most gets of a cache end here, without a look at the runtime.
    match running.dht().get_from_memory(key, options) {
        Some(found) => found,
        None => running.block_on(Effect::Reads, running.dht().get_versioned(key, options), None),
    }
}

fn get_json(d: *const dht_t, key: &[u8], options: GetOptions, out: Out<*mut c_char>) -> Result<bool> {
    match get(d, key, options)? {
        Some(found) => out.set_text(json::json_text(&found.value)?).map(|()| true),
        None => Ok(false),
    }
}

fn get_versioned(d: *const dht_t, key: &[u8], options: GetOptions, out: Out<*mut c_char>) -> Result<bool> {
    match get(d, key, options)? {
        Some(found) => out.set_text(json::versioned(&found)?).map(|()| true),
        None => Ok(false),
    }
}
