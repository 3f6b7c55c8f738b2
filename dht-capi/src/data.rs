//! Single keys.

use std::ffi::c_char;
use std::time::Duration;

use bytes::Bytes;
use dht_core::binding::Effect;
use dht_core::binding::json::{self, Options};
use dht_core::{ErrorKind, GetOptions, PutOptions, Result, Value};

use crate::boundary::{Out, bytes, call, give_bytes, optional_text, text, text_as};
use crate::error::dht_error_t;
use crate::registry::{self, dht_t};
use crate::status::dht_status;

/// Stores JSON under `key`, for ever. `outcome_json` may be NULL, else it gets {"version", "acks", "wanted",
/// "set_size", "degraded"}.
///
/// Errors: DHT_INVALID_VALUE if it is no JSON; DHT_TOO_LARGE; DHT_NOT_STARTED: nothing was done. DHT_STOPPED: the same,
/// unless the node ended during the call: see dht_error_maybe_applied, as for those that follow.
/// DHT_NOT_JOINED, DHT_OVERLOADED, DHT_UNREACHABLE, DHT_QUORUM, DHT_TIMEOUT: see dht_error_maybe_applied.
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
            let options = Options::read(optional_text("options_json", options_json)?)?.put();
            put(d, key.as_bytes(), json_value(value_json)?, options, out)
        })
    }
}

/// The JSON of `key`.
///
/// Errors: DHT_NOT_FOUND if there is no value, and then no error is set; DHT_WRONG_FORMAT if it is bytes;
/// DHT_TOO_LARGE (the key), DHT_NOT_STARTED, DHT_STOPPED, DHT_NOT_JOINED, DHT_QUORUM, DHT_TIMEOUT.
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
            get_json(d, key, GetOptions::default(), out)
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
            let options = Options::read(optional_text("options_json", options_json)?)?.get()?;
            get_json(d, key, options, out)
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
            let options = Options::read(optional_text("options_json", options_json)?)?.put();
            let value = bytes("value", value, value_len)?;
            put(d, key, Value::from_bytes(Bytes::copy_from_slice(value)), options, out)
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
            let (out, out_len) = (Out::needed("value", value)?, Out::needed("value_len", value_len)?);
            let options = Options::read(optional_text("options_json", options_json)?)?.get()?;
            let Some(found) = get(d, key, options)? else { return Ok(false) };
            out.set(give_bytes(&found.bytes));
            out_len.set(found.bytes.len());
            Ok(true)
        })
    }
}

/// Deletes `key`; `existed`, which may be NULL, tells whether it had a value. That it had none is no error.
///
/// Errors: as dht_put.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_delete(
    d: *mut dht_t,
    key: *const c_char,
    existed: *mut bool,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_delete", err, || {
            let (key, out) = (text("key", key)?, Out::optional(existed));
            let running = registry::find(d)?.node.running()?;
            out.set(running.block_on(Effect::Writes, running.dht().delete(key), None)?);
            Ok(true)
        })
    }
}

/// Whether `key` has a value.
///
/// Errors: as dht_get, without DHT_NOT_FOUND and DHT_WRONG_FORMAT.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_contains(
    d: *mut dht_t,
    key: *const c_char,
    contains: *mut bool,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_contains", err, || {
            let (key, out) = (text("key", key)?, Out::needed("contains", contains)?);
            let running = registry::find(d)?.node.running()?;
            out.set(running.block_on(Effect::Reads, running.dht().contains(key), None)?);
            Ok(true)
        })
    }
}

/// How many milliseconds `key` still lives, rounded up; -1 if it has no value or never expires.
///
/// Errors: as dht_contains.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_ttl_ms(
    d: *mut dht_t,
    key: *const c_char,
    ttl_ms: *mut i64,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_ttl_ms", err, || {
            let (key, out) = (text("key", key)?, Out::needed("ttl_ms", ttl_ms)?);
            let running = registry::find(d)?.node.running()?;
            let ttl = running.block_on(Effect::Reads, running.dht().ttl(key), None)?;
            let whole = |ttl: Duration| i64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
            out.set(ttl.map_or(-1, whole));
            Ok(true)
        })
    }
}

/// # Safety
/// As `text_as`.
unsafe fn json_value(text: *const c_char) -> Result<Value> {
    // SAFETY: promised by the caller.
    let text = unsafe { text_as("value_json", text, ErrorKind::InvalidValue) }?;
    Value::from_json_text(Bytes::copy_from_slice(text.as_bytes()))
}

fn put(d: *const dht_t, key: &[u8], value: Value, options: PutOptions, out: Out<*mut c_char>) -> Result<bool> {
    let running = registry::find(d)?.node.running()?;
    let outcome = running.block_on(Effect::Writes, running.dht().put_value(key, value, options), None)?;
    if out.wanted() {
        out.set_text(json::outcome(&outcome))?;
    }
    Ok(true)
}

fn get(d: *const dht_t, key: &[u8], options: GetOptions) -> Result<Option<Value>> {
    let running = registry::find(d)?.node.running()?;
    // Most gets of a cache end here, without a look at the runtime.
    let found = match running.dht().get_from_memory(key, options) {
        Some(found) => found?,
        None => running.block_on(Effect::Reads, running.dht().get_versioned(key, options), None)?,
    };
    Ok(found.map(|found| found.value))
}

fn get_json(d: *const dht_t, key: &str, options: GetOptions, out: Out<*mut c_char>) -> Result<bool> {
    match get(d, key.as_bytes(), options)? {
        Some(found) => out.set_text(json::json_text(&found)?).map(|()| true),
        None => Ok(false),
    }
}
