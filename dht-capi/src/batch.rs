//! Many keys in one call, grouped per owner. That some keys failed is told per key and is no failure of the call.

use std::ffi::c_char;

use bytes::Bytes;
use dht_core::binding::{Effect, json};
use dht_core::{Format, GetOptions, PutOptions, Result, Value, Versioned};

use crate::boundary::{Out, call, options, text};
use crate::error::dht_error_t;
use crate::registry::{self, dht_t};
use crate::status::dht_status;

/// Stores the entries of a JSON object, {key: value, ...}. `results_json` gets {key: {"ok": outcome} or {"error":
/// {"code", "name", "message", "maybe_applied"}}, ...}. Of a key that is there twice the later value counts.
///
/// Errors: DHT_INVALID_ARGUMENT for what is no JSON object; DHT_NOT_STARTED; DHT_STOPPED: nothing was done,
/// unless the node ended during the call: see dht_error_maybe_applied.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_put_many(
    d: *mut dht_t,
    entries_json: *const c_char,
    results_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_put_many", err, || {
            let (input, out) = (text("entries_json", entries_json)?, Out::needed("results_json", results_json)?);
            put_many(d, input, PutOptions::default(), out)
        })
    }
}

/// As dht_put_many, with options, which may be NULL. `timeout` bounds the whole batch.
///
/// Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_put_many.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_put_many_with(
    d: *mut dht_t,
    entries_json: *const c_char,
    options_json: *const c_char,
    results_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_put_many_with", err, || {
            let (input, out) = (text("entries_json", entries_json)?, Out::needed("results_json", results_json)?);
            put_many(d, input, options(options_json)?.put(), out)
        })
    }
}

/// The values of the keys of a JSON list. `values_json` gets {key: {"ok": value} or {"error": {"code", "name",
/// "message", "maybe_applied"}}, ...} in the order asked, without the keys that have no value.
///
/// Errors: DHT_INVALID_ARGUMENT for what is no JSON list of strings; DHT_NOT_STARTED; DHT_STOPPED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_get_many(
    d: *mut dht_t,
    keys_json: *const c_char,
    values_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_get_many", err, || {
            let (input, out) = (text("keys_json", keys_json)?, Out::needed("values_json", values_json)?);
            get_many(d, input, GetOptions::default(), Ok, out)
        })
    }
}

/// As dht_get_many, with options, which may be NULL and have no ttl. `timeout` bounds the whole batch.
///
/// Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_get_many.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_get_many_with(
    d: *mut dht_t,
    keys_json: *const c_char,
    options_json: *const c_char,
    values_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_get_many_with", err, || {
            let (input, out) = (text("keys_json", keys_json)?, Out::needed("values_json", values_json)?);
            get_many(d, input, options(options_json)?.get()?, Ok, out)
        })
    }
}

/// The values of the keys of a JSON list, JSON or bytes, as dht_get_versioned tells them: `values_json` gets {key: {"ok":
/// {"version", "expires_at", "format", "value"}} or {"error": {"code", "name", "message", "maybe_applied"}}, ...} in the
/// order asked, without the keys that have no value. `options_json` may be NULL and have no ttl; `timeout` bounds the whole
/// batch.
///
/// Errors: as dht_get_many_with. No key fails with DHT_WRONG_FORMAT.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_get_many_versioned(
    d: *mut dht_t,
    keys_json: *const c_char,
    options_json: *const c_char,
    values_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_get_many_versioned", err, || {
            let (input, out) = (text("keys_json", keys_json)?, Out::needed("values_json", values_json)?);
            get_many(d, input, options(options_json)?.get()?, told_whole, out)
        })
    }
}

/// Deletes the keys of a JSON list. `results_json` gets {key: {"ok": existed} or {"error": {"code", "name", "message",
/// "maybe_applied"}}, ...}.
///
/// Errors: DHT_INVALID_ARGUMENT for what is no JSON list of strings; DHT_NOT_STARTED; DHT_STOPPED: nothing was done,
/// unless the node ended during the call: see dht_error_maybe_applied.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_delete_many(
    d: *mut dht_t,
    keys_json: *const c_char,
    results_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_delete_many", err, || {
            let (input, out) = (text("keys_json", keys_json)?, Out::needed("results_json", results_json)?);
            delete_many(d, input, GetOptions::default(), out)
        })
    }
}

/// As dht_delete_many, with options, which may be NULL and have no ttl. `timeout` bounds the whole batch.
///
/// Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_delete_many.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_delete_many_with(
    d: *mut dht_t,
    keys_json: *const c_char,
    options_json: *const c_char,
    results_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_delete_many_with", err, || {
            let (input, out) = (text("keys_json", keys_json)?, Out::needed("results_json", results_json)?);
            delete_many(d, input, options(options_json)?.get()?, out)
        })
    }
}

fn put_many(d: *const dht_t, entries: &str, options: PutOptions, out: Out<*mut c_char>) -> Result<bool> {
    let entry = registry::find(d)?;
    let (keys, values): (Vec<String>, Vec<Value>) = json::entries(entries)?.into_iter().unzip();
    let running = entry.running()?;
    let entries: Vec<(Bytes, Value)> = keys.iter().map(|key| copied(key)).zip(values).collect();
    let results = running.block_on(Effect::Writes, running.dht().put_many(entries, options), None)?;
    out.set_text(json::outcomes(&keys, &results)).map(|()| true)
}

/// `tell` makes of what was found what is answered in its place; if its value is no JSON, the key fails.
fn get_many(
    d: *const dht_t,
    keys: &str,
    options: GetOptions,
    tell: impl Fn(Versioned<Value>) -> Result<Versioned<Value>>,
    out: Out<*mut c_char>,
) -> Result<bool> {
    let entry = registry::find(d)?;
    let keys = json::keys(keys)?;
    let running = entry.running()?;
    let call = running.dht().get_many(keys.iter().map(|key| copied(key)), options);
    let results = running.block_on(Effect::Reads, call, None)?;
    let told: Vec<_> = results.into_iter().map(|result| result?.map(&tell).transpose()).collect();
    out.set_text(json::found(&keys, &told)).map(|()| true)
}

/// In place of a value what dht_get_versioned says of it, which is JSON whatever the value is.
fn told_whole(found: Versioned<Value>) -> Result<Versioned<Value>> {
    let value = Value { format: Format::Json, bytes: Bytes::from(json::versioned(&found)?) };
    Ok(Versioned { value, ..found })
}

fn delete_many(d: *const dht_t, keys: &str, options: GetOptions, out: Out<*mut c_char>) -> Result<bool> {
    let entry = registry::find(d)?;
    let keys = json::keys(keys)?;
    let running = entry.running()?;
    let call = running.dht().delete_many(keys.iter().map(|key| copied(key)), options);
    let results = running.block_on(Effect::Writes, call, None)?;
    out.set_text(json::deleted(&keys, &results)).map(|()| true)
}

fn copied(key: &str) -> Bytes {
    Bytes::copy_from_slice(key.as_bytes())
}
