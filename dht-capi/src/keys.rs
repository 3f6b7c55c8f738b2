//! Single keys: whether they are there, for how long, and their end.

use std::ffi::c_char;
use std::time::Duration;

use dht_core::binding::Effect;
use dht_core::{GetOptions, Result};

use crate::boundary::{Out, bytes, call, options, text};
use crate::data::get;
use crate::error::dht_error_t;
use crate::registry::{self, dht_t};
use crate::status::dht_status;

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
            delete(d, key.as_bytes(), GetOptions::default(), out)
        })
    }
}

/// As dht_delete, with options, which may be NULL and have no ttl.
///
/// Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_delete.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_delete_with(
    d: *mut dht_t,
    key: *const c_char,
    options_json: *const c_char,
    existed: *mut bool,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_delete_with", err, || {
            let (key, out) = (text("key", key)?, Out::optional(existed));
            delete(d, key.as_bytes(), options(options_json)?.get()?, out)
        })
    }
}

/// As dht_delete_with, for a key of bytes, which may be NULL where its length is 0.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_delete_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    options_json: *const c_char,
    existed: *mut bool,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_delete_bytes", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::optional(existed));
            delete(d, key, options(options_json)?.get()?, out)
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
            is_there(d, key.as_bytes(), GetOptions::default(), out)
        })
    }
}

/// As dht_contains, with options, which may be NULL and have no ttl.
///
/// Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_contains.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_contains_with(
    d: *mut dht_t,
    key: *const c_char,
    options_json: *const c_char,
    contains: *mut bool,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_contains_with", err, || {
            let (key, out) = (text("key", key)?, Out::needed("contains", contains)?);
            is_there(d, key.as_bytes(), options(options_json)?.get()?, out)
        })
    }
}

/// As dht_contains_with, for a key of bytes, which may be NULL where its length is 0.
///
/// Errors: as dht_contains_with.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_contains_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    options_json: *const c_char,
    contains: *mut bool,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_contains_bytes", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::needed("contains", contains)?);
            is_there(d, key, options(options_json)?.get()?, out)
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
            ttl(d, key.as_bytes(), out)
        })
    }
}

/// As dht_ttl_ms, for a key of bytes, which may be NULL where its length is 0.
///
/// Errors: as dht_ttl_ms.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_ttl_ms_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    ttl_ms: *mut i64,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_ttl_ms_bytes", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::needed("ttl_ms", ttl_ms)?);
            ttl(d, key, out)
        })
    }
}

/// Lets what is under `key` live for `ttl_ms` milliseconds from now, above 0, whatever its expiry was. `existed`, which may
/// be NULL, tells whether there is a value.
///
/// Errors: DHT_INVALID_ARGUMENT for a ttl of 0, and as dht_put.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_expire(
    d: *mut dht_t,
    key: *const c_char,
    ttl_ms: u64,
    existed: *mut bool,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_expire", err, || {
            let (key, out) = (text("key", key)?, Out::optional(existed));
            expire(d, key.as_bytes(), Some(Duration::from_millis(ttl_ms)), GetOptions::default(), out)
        })
    }
}

/// As dht_expire, with options, which may be NULL and have no ttl.
///
/// Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_expire.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_expire_with(
    d: *mut dht_t,
    key: *const c_char,
    ttl_ms: u64,
    options_json: *const c_char,
    existed: *mut bool,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_expire_with", err, || {
            let (key, out) = (text("key", key)?, Out::optional(existed));
            let options = options(options_json)?.get()?;
            expire(d, key.as_bytes(), Some(Duration::from_millis(ttl_ms)), options, out)
        })
    }
}

/// As dht_expire_with, for a key of bytes, which may be NULL where its length is 0.
///
/// Errors: as dht_expire_with.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_expire_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    ttl_ms: u64,
    options_json: *const c_char,
    existed: *mut bool,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_expire_bytes", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::optional(existed));
            let options = options(options_json)?.get()?;
            expire(d, key, Some(Duration::from_millis(ttl_ms)), options, out)
        })
    }
}

/// Lets what is under `key` live for ever. `persisted`, which may be NULL, tells whether there is a value that would have
/// expired.
///
/// Errors: as dht_put.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_persist(
    d: *mut dht_t,
    key: *const c_char,
    persisted: *mut bool,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_persist", err, || {
            let (key, out) = (text("key", key)?, Out::optional(persisted));
            expire(d, key.as_bytes(), None, GetOptions::default(), out)
        })
    }
}

/// As dht_persist, with options, which may be NULL and have no ttl.
///
/// Errors: DHT_INVALID_ARGUMENT for wrong options, and as dht_persist.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_persist_with(
    d: *mut dht_t,
    key: *const c_char,
    options_json: *const c_char,
    persisted: *mut bool,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_persist_with", err, || {
            let (key, out) = (text("key", key)?, Out::optional(persisted));
            expire(d, key.as_bytes(), None, options(options_json)?.get()?, out)
        })
    }
}

/// As dht_persist_with, for a key of bytes, which may be NULL where its length is 0.
///
/// Errors: as dht_persist_with.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_persist_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    options_json: *const c_char,
    persisted: *mut bool,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_persist_bytes", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::optional(persisted));
            expire(d, key, None, options(options_json)?.get()?, out)
        })
    }
}

fn delete(d: *const dht_t, key: &[u8], options: GetOptions, out: Out<bool>) -> Result<bool> {
    let running = registry::find(d)?.running()?;
    out.set(running.block_on(Effect::Writes, running.dht().delete_with(key, options), None)?);
    Ok(true)
}

fn is_there(d: *const dht_t, key: &[u8], options: GetOptions, out: Out<bool>) -> Result<bool> {
    out.set(get(d, key, options)?.is_some());
    Ok(true)
}

fn ttl(d: *const dht_t, key: &[u8], out: Out<i64>) -> Result<bool> {
    let running = registry::find(d)?.running()?;
    let ttl = running.block_on(Effect::Reads, running.dht().ttl(key), None)?;
    let whole = |ttl: Duration| i64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
    out.set(ttl.map_or(-1, whole));
    Ok(true)
}

fn expire(d: *const dht_t, key: &[u8], ttl: Option<Duration>, options: GetOptions, out: Out<bool>) -> Result<bool> {
    let running = registry::find(d)?.running()?;
    let call = running.dht().expire_with(key, ttl, options);
    out.set(running.block_on(Effect::Writes, call, None)?);
    Ok(true)
}
