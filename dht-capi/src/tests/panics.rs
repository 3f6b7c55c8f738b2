use std::ffi::{CStr, c_char};
use std::ptr::{null, null_mut};

use super::panicking;
use crate::dht_status::{DHT_INTERNAL, DHT_OK};
use crate::*;

/// Calls a function, which panics, and expects its status and an error that says so.
fn internal(name: &str, call: impl FnOnce(*mut *mut dht_error_t) -> dht_status) {
    let mut err: *mut dht_error_t = null_mut();
    assert_eq!(panicking(|| call(&raw mut err)), DHT_INTERNAL, "{name}");
    assert!(!err.is_null(), "{name}");
    // SAFETY: the error is fresh and freed once.
    unsafe {
        assert_eq!(dht_error_code(err), DHT_INTERNAL);
        assert!(dht_error_maybe_applied(err));
        let message = CStr::from_ptr(dht_error_message(err)).to_str().unwrap();
        assert_eq!(message, format!("INTERNAL: panic in {name}: injected (it may have been applied)"));
        dht_error_free(err);
    }
}

/// `name(arguments…, err)` of each.
macro_rules! internal {
    ($($name:ident($($argument:expr),*);)+) => {
        const CALLED: &[&str] = &[$(stringify!($name)),+];
        // SAFETY: NULL is checked, and everything else is valid.
        $(internal(stringify!($name), |err| unsafe { $name($($argument,)* err) });)+
    };
}

#[test]
fn a_panic_in_any_function_is_contained() {
    let mut d: *mut dht_t = null_mut();
    // SAFETY: NULL is the default configuration.
    assert_eq!(unsafe { dht_new(null(), &raw mut d, null_mut()) }, DHT_OK);
    let mut text: *mut c_char = null_mut();
    let out = &raw mut text;
    let (k, v) = (c"k".as_ptr(), c"1".as_ptr());
    internal! {
        dht_new(null(), null_mut());
        dht_start(d);
        dht_stop(d);
        dht_leave(d, 1);
        dht_wait_ready(d, 1);
        dht_join(d, k);
        dht_put(d, k, v, out);
        dht_put_with_ttl(d, k, v, 1, out);
        dht_put_with(d, k, v, null(), out);
        dht_get(d, k, out);
        dht_get_with(d, k, null(), out);
        dht_put_bytes(d, null(), 0, null(), 0, null(), out);
        dht_get_bytes(d, null(), 0, null(), null_mut(), null_mut());
        dht_put_json(d, null(), 0, v, null(), out);
        dht_get_json(d, null(), 0, null(), out);
        dht_get_versioned(d, k, null(), out);
        dht_get_versioned_bytes(d, null(), 0, null(), out);
        dht_delete(d, k, null_mut());
        dht_delete_with(d, k, null(), null_mut());
        dht_delete_bytes(d, null(), 0, null(), null_mut());
        dht_contains(d, k, null_mut());
        dht_contains_with(d, k, null(), null_mut());
        dht_contains_bytes(d, null(), 0, null(), null_mut());
        dht_ttl_ms(d, k, null_mut());
        dht_ttl_ms_bytes(d, null(), 0, null_mut());
        dht_expire(d, k, 1, null_mut());
        dht_expire_with(d, k, 1, null(), null_mut());
        dht_expire_bytes(d, null(), 0, 1, null(), null_mut());
        dht_persist(d, k, null_mut());
        dht_persist_with(d, k, null(), null_mut());
        dht_persist_bytes(d, null(), 0, null(), null_mut());
        dht_compare_and_swap(d, k, v, v, null(), out);
        dht_compare_and_swap_bytes(d, null(), 0, v, null(), 0, null(), out);
        dht_compare_and_swap_json(d, null(), 0, v, v, null(), out);
        dht_put_if_absent(d, k, v, null(), out);
        dht_put_if_absent_bytes(d, null(), 0, null(), 0, null(), out);
        dht_put_if_absent_json(d, null(), 0, v, null(), out);
        dht_increment(d, k, v, null(), out);
        dht_increment_bytes(d, null(), 0, v, null(), out);
        dht_get_and_put(d, k, v, null(), out);
        dht_get_and_put_bytes(d, null(), 0, null(), 0, null(), null_mut(), null_mut());
        dht_get_and_put_json(d, null(), 0, v, null(), out);
        dht_get_and_delete(d, k, null(), out);
        dht_get_and_delete_bytes(d, null(), 0, null(), null_mut(), null_mut());
        dht_get_and_delete_json(d, null(), 0, null(), out);
        dht_put_many(d, v, out);
        dht_put_many_with(d, v, null(), out);
        dht_get_many(d, v, out);
        dht_get_many_with(d, v, null(), out);
        dht_get_many_versioned(d, v, null(), out);
        dht_delete_many(d, v, out);
        dht_delete_many_with(d, v, null(), out);
        dht_scan(d, null(), 0, null(), null_mut());
        dht_scan_next(null_mut(), null_mut(), null_mut(), null_mut(), null_mut(), null_mut());
        dht_count(d, null(), 0, null_mut());
        dht_len(d, null_mut());
        dht_clear(d, null(), 0, null_mut());
        dht_count_until(d, null(), 0, null(), null_mut());
        dht_clear_until(d, null(), 0, null(), null_mut());
        dht_hash_key(d, k, out);
        dht_hash_key_bytes(d, null(), 0, out);
        dht_locate(d, k, out);
        dht_locate_bytes(d, null(), 0, out);
        dht_lookup_trace(d, k, out);
        dht_lookup_trace_bytes(d, null(), 0, out);
        dht_trace(d, k, null(), out);
        dht_trace_bytes(d, null(), 0, null(), out);
        dht_snapshot(d, k, out);
        dht_restore(d, k, out);
        dht_restore_until(d, k, null(), out);
        dht_node_info(d, out);
        dht_predecessor(d, out);
        dht_successor_list(d, out);
        dht_finger_table(d, out);
        dht_ring(d, out);
        dht_members(d, out);
        dht_statistics(d, out);
        dht_health(d, out);
        dht_metrics(d, out);
    }
    assert!(text.is_null(), "written without success");
    // SAFETY: NULL is allowed everywhere here, and the handle is freed once.
    unsafe {
        let mut err: *mut dht_error_t = null_mut();
        assert_ne!(dht_get(null_mut(), k, out, &raw mut err), DHT_OK);
        panicking(|| {
            assert_eq!(dht_error_code(err), DHT_INTERNAL);
            assert_eq!(CStr::from_ptr(dht_error_message(err)), c"INTERNAL");
            assert!(dht_error_maybe_applied(err));
            assert_eq!(CStr::from_ptr(dht_status_name(1)), c"INTERNAL");
            assert_eq!(dht_abi_version(), DHT_ABI_VERSION);
            assert!(!dht_version().is_null());
            dht_error_free(err);
            dht_string_free(null_mut());
            dht_bytes_free(null_mut(), 0);
            dht_scan_free(null_mut());
            dht_free(d);
        });
        dht_error_free(err);
        dht_free(d);
    }
    let others = [
        "dht_error_code",
        "dht_error_message",
        "dht_error_maybe_applied",
        "dht_error_free",
        "dht_status_name",
        "dht_abi_version",
        "dht_version",
        "dht_string_free",
        "dht_bytes_free",
        "dht_free",
        "dht_scan_free",
    ];
    let header = include_str!("../../../include/dht.h");
    let declared =
        |line: &str| line.split_once('(').and_then(|(head, _)| head.rsplit([' ', '*']).next().map(str::to_owned));
    let mut exported: Vec<String> =
        header.lines().filter(|l| !l.starts_with([' ', '/', '#'])).filter_map(declared).collect();
    let mut called: Vec<String> = CALLED.iter().chain(&others).map(|name| (*name).to_owned()).collect();
    exported.sort();
    called.sort();
    assert_eq!(exported, called, "a function of the header is not tried here");
}
