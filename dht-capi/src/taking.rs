//! What is there is taken away and answered, in one step that the owner of the key carries out.

use std::ffi::c_char;

use dht_core::binding::{Effect, json};
use dht_core::{Error, GetOptions, PutOptions, Result, Value};

use crate::atomic::give;
use crate::boundary::{Out, OutBytes, bytes, bytes_value, call, json_value, options, text};
use crate::error::dht_error_t;
use crate::registry::{self, dht_t};
use crate::status::dht_status;

/// Stores JSON under `key`. `previous_json`, which may be NULL, gets the JSON of what was there before; NULL if there was
/// none. `options_json` may be NULL.
///
/// Errors: DHT_WRONG_FORMAT if what was there is bytes and wanted: the new value is stored nevertheless, and
/// dht_error_maybe_applied true. As dht_put_with.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_get_and_put(
    d: *mut dht_t,
    key: *const c_char,
    value_json: *const c_char,
    options_json: *const c_char,
    previous_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_get_and_put", err, || {
            let (key, out) = (text("key", key)?, Out::optional(previous_json));
            let options = options(options_json)?.put();
            get_and_put_json(d, key.as_bytes(), json_value(value_json)?, options, out)
        })
    }
}

/// As dht_get_and_put, for a key of bytes, which may be NULL where its length is 0.
///
/// Errors: as dht_get_and_put.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_get_and_put_json(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    value_json: *const c_char,
    options_json: *const c_char,
    previous_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_get_and_put_json", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::optional(previous_json));
            let options = options(options_json)?.put();
            get_and_put_json(d, key, json_value(value_json)?, options, out)
        })
    }
}

/// Stores bytes under a key of bytes. `previous` gets the bytes of what was there before, or the text of its JSON, as
/// dht_get_bytes gives them; NULL of length 0 if there was none. `previous` and `previous_len` may both be NULL; `key` and
/// `value` where their length is 0; `options_json`.
///
/// Errors: as dht_put_bytes.
///
/// # Safety
/// The rules at the top; the lengths are those of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_get_and_put_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    value: *const u8,
    value_len: usize,
    options_json: *const c_char,
    previous: *mut *mut u8,
    previous_len: *mut usize,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_get_and_put_bytes", err, || {
            let key = bytes("key", key, key_len)?;
            let out = OutBytes::optional(["previous", "previous_len"], previous, previous_len)?;
            let options = options(options_json)?.put();
            let before = get_and_put(d, key, bytes_value(value, value_len)?, options)?;
            out.set(before.as_ref().map(|before| &before.bytes[..]));
            Ok(true)
        })
    }
}

/// Deletes `key`. `previous_json`, which may be NULL, gets the JSON of what was there. `options_json` may be NULL and have
/// no ttl.
///
/// Errors: DHT_NOT_FOUND if there was none, and then no error is set; DHT_WRONG_FORMAT if it was bytes and is wanted: it
/// is deleted nevertheless, and dht_error_maybe_applied true. As dht_delete_with.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_get_and_delete(
    d: *mut dht_t,
    key: *const c_char,
    options_json: *const c_char,
    previous_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_get_and_delete", err, || {
            let (key, out) = (text("key", key)?, Out::optional(previous_json));
            get_and_delete_json(d, key.as_bytes(), options(options_json)?.get()?, out)
        })
    }
}

/// As dht_get_and_delete, for a key of bytes, which may be NULL where its length is 0.
///
/// Errors: as dht_get_and_delete.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_get_and_delete_json(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    options_json: *const c_char,
    previous_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_get_and_delete_json", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::optional(previous_json));
            get_and_delete_json(d, key, options(options_json)?.get()?, out)
        })
    }
}

/// Deletes a key of bytes. `previous` gets the bytes of what was there, or the text of its JSON, as dht_get_bytes gives
/// them. `previous` and `previous_len` may both be NULL; `key` where its length is 0; `options_json`.
///
/// Errors: DHT_NOT_FOUND if there was none, and then no error is set. As dht_delete_bytes.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_get_and_delete_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    options_json: *const c_char,
    previous: *mut *mut u8,
    previous_len: *mut usize,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_get_and_delete_bytes", err, || {
            let key = bytes("key", key, key_len)?;
            let out = OutBytes::optional(["previous", "previous_len"], previous, previous_len)?;
            let Some(before) = get_and_delete(d, key, options(options_json)?.get()?)? else { return Ok(false) };
            out.set(Some(&before.bytes));
            Ok(true)
        })
    }
}

fn get_and_put(d: *const dht_t, key: &[u8], value: Value, options: PutOptions) -> Result<Option<Value>> {
    let running = registry::find(d)?.running()?;
    running.block_on(Effect::Writes, running.dht().get_and_put_value(key, value, options), None)
}

fn get_and_delete(d: *const dht_t, key: &[u8], options: GetOptions) -> Result<Option<Value>> {
    let running = registry::find(d)?.running()?;
    running.block_on(Effect::Writes, running.dht().get_and_delete_value(key, options), None)
}

fn get_and_put_json(
    d: *const dht_t,
    key: &[u8],
    value: Value,
    options: PutOptions,
    out: Out<*mut c_char>,
) -> Result<bool> {
    match get_and_put(d, key, value, options)? {
        Some(before) => give(out, || told(&before))?,
        None => out.set(std::ptr::null_mut()),
    }
    Ok(true)
}

fn get_and_delete_json(d: *const dht_t, key: &[u8], options: GetOptions, out: Out<*mut c_char>) -> Result<bool> {
    match get_and_delete(d, key, options)? {
        Some(before) => give(out, || told(&before)).map(|()| true),
        None => Ok(false),
    }
}

/// What was taken away is gone, whether or not it can be told.
fn told(before: &Value) -> Result<String> {
    json::json_text(before).map(str::to_owned).map_err(Error::unknown_outcome)
}
