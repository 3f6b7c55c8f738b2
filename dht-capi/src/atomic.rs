//! Operations that look at the present value: the owner of the key carries each out alone with it.

use std::ffi::c_char;

use dht_core::binding::{Effect, json};
use dht_core::{Expected, GetOptions, Number, PutOptions, Result, Value};

use crate::boundary::{Out, bytes, bytes_value, call, json_value, options, text};
use crate::error::dht_error_t;
use crate::registry::{self, dht_t};
use crate::status::dht_status;

/// Stores JSON under `key` if what is there is as expected; if not, nothing is written, which is no error.
///
/// `expected_json` is {"absent": true}: never put, deleted or expired; or {"version": text}: a value of exactly this
/// version; or {"value": value}: a value that is the same, whatever its white space, the order of its members and its
/// escapes, numbers being the same only if they are written alike. {"value": hexadecimal digits, "format": "bytes"}
/// expects bytes. `options_json` may be NULL. `swap_json`, which may be NULL, gets {"swapped", "version", "format",
/// "value"}: the version of the new value, or version and value of what is there instead. `format` is "json", "bytes",
/// whose value is hexadecimal digits, or null if there is none. `version` is null if there never was a value.
///
/// Errors: DHT_INVALID_ARGUMENT for what is no expectation, and as dht_put_with.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_compare_and_swap(
    d: *mut dht_t,
    key: *const c_char,
    expected_json: *const c_char,
    value_json: *const c_char,
    options_json: *const c_char,
    swap_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_compare_and_swap", err, || {
            let (key, out) = (text("key", key)?, Out::optional(swap_json));
            let expected = json::expected(text("expected_json", expected_json)?)?;
            let options = options(options_json)?.put();
            compare_and_swap(d, key.as_bytes(), expected, json_value(value_json)?, options, out)
        })
    }
}

/// As dht_compare_and_swap, storing bytes under a key of bytes. `key` and `value` may be NULL where their length is 0.
///
/// # Safety
/// The rules at the top; the lengths are those of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_compare_and_swap_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    expected_json: *const c_char,
    value: *const u8,
    value_len: usize,
    options_json: *const c_char,
    swap_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_compare_and_swap_bytes", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::optional(swap_json));
            let expected = json::expected(text("expected_json", expected_json)?)?;
            let options = options(options_json)?.put();
            compare_and_swap(d, key, expected, bytes_value(value, value_len)?, options, out)
        })
    }
}

/// As dht_compare_and_swap, for a key of bytes, which may be NULL where its length is 0.
///
/// Errors: as dht_compare_and_swap.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_compare_and_swap_json(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    expected_json: *const c_char,
    value_json: *const c_char,
    options_json: *const c_char,
    swap_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_compare_and_swap_json", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::optional(swap_json));
            let expected = json::expected(text("expected_json", expected_json)?)?;
            let options = options(options_json)?.put();
            compare_and_swap(d, key, expected, json_value(value_json)?, options, out)
        })
    }
}

/// As dht_compare_and_swap with {"absent": true}.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_put_if_absent(
    d: *mut dht_t,
    key: *const c_char,
    value_json: *const c_char,
    options_json: *const c_char,
    swap_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_put_if_absent", err, || {
            let (key, out) = (text("key", key)?, Out::optional(swap_json));
            let options = options(options_json)?.put();
            compare_and_swap(d, key.as_bytes(), Expected::Absent, json_value(value_json)?, options, out)
        })
    }
}

/// As dht_put_if_absent, storing bytes under a key of bytes. `key` and `value` may be NULL where their length is 0.
///
/// Errors: as dht_put_bytes.
///
/// # Safety
/// The rules at the top; the lengths are those of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_put_if_absent_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    value: *const u8,
    value_len: usize,
    options_json: *const c_char,
    swap_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_put_if_absent_bytes", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::optional(swap_json));
            let options = options(options_json)?.put();
            compare_and_swap(d, key, Expected::Absent, bytes_value(value, value_len)?, options, out)
        })
    }
}

/// As dht_put_if_absent, for a key of bytes, which may be NULL where its length is 0.
///
/// Errors: as dht_put_with.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_put_if_absent_json(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    value_json: *const c_char,
    options_json: *const c_char,
    swap_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_put_if_absent_json", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::optional(swap_json));
            let options = options(options_json)?.put();
            compare_and_swap(d, key, Expected::Absent, json_value(value_json)?, options, out)
        })
    }
}

/// Adds `by_json`, such as "1", "-2" or "0.5", to the number under `key`, 0 if there is none. `sum_json`, which may be
/// NULL, gets the sum. Integers have 64 bits and a sign; with a float, which has a fraction or an exponent, the sum is a
/// float. The expiry of what is there stays. `options_json` may be NULL and have no ttl.
///
/// Errors: DHT_WRONG_FORMAT if the value is no number, or a float and `by_json` an integer; DHT_INVALID_VALUE if
/// `by_json` is no number or the sum does not fit: nothing was done. DHT_INVALID_ARGUMENT for wrong options. As dht_put.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_increment(
    d: *mut dht_t,
    key: *const c_char,
    by_json: *const c_char,
    options_json: *const c_char,
    sum_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_increment", err, || {
            let (key, out) = (text("key", key)?, Out::optional(sum_json));
            let by = text("by_json", by_json)?.parse()?;
            increment(d, key.as_bytes(), by, options(options_json)?.get()?, out)
        })
    }
}

/// As dht_increment, for a key of bytes, which may be NULL where its length is 0.
///
/// Errors: as dht_increment.
///
/// # Safety
/// The rules at the top; the length is that of what is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_increment_bytes(
    d: *mut dht_t,
    key: *const u8,
    key_len: usize,
    by_json: *const c_char,
    options_json: *const c_char,
    sum_json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_increment_bytes", err, || {
            let (key, out) = (bytes("key", key, key_len)?, Out::optional(sum_json));
            let by = text("by_json", by_json)?.parse()?;
            increment(d, key, by, options(options_json)?.get()?, out)
        })
    }
}

fn compare_and_swap(
    d: *const dht_t,
    key: &[u8],
    expected: Expected,
    value: Value,
    options: PutOptions,
    out: Out<*mut c_char>,
) -> Result<bool> {
    let running = registry::find(d)?.running()?;
    let call = running.dht().compare_and_swap_value(key, expected, value, options);
    let swap = running.block_on(Effect::Writes, call, None)?;
    give(out, || json::swap(&swap)).map(|()| true)
}

fn increment(d: *const dht_t, key: &[u8], by: Number, options: GetOptions, out: Out<*mut c_char>) -> Result<bool> {
    let running = registry::find(d)?.running()?;
    let sum = running.block_on(Effect::Writes, running.dht().increment_with(key, by, options), None)?;
    give(out, || Ok(sum.to_string())).map(|()| true)
}

/// Gives a text if it is wanted.
pub(crate) fn give(out: Out<*mut c_char>, text: impl FnOnce() -> Result<String>) -> Result<()> {
    if out.wanted() { out.set_text(text()?) } else { Ok(()) }
}
