//! The C interface: what `include/dht.h` declares. Each exported function converts what comes in, does one call of
//! `dht_core::binding`, and converts what goes out.
//!
//! Invariants: no pointer of the caller is read before it was checked for NULL, none is kept; a `dht_t *` is a number
//! that is looked up, never an address that is followed; no panic crosses the border (`boundary::call`).
#![allow(non_camel_case_types, reason = "types have their names in C")]

mod atomic;
mod backup;
mod batch;
mod boundary;
mod data;
mod error;
mod keys;
mod life;
mod log;
mod places;
mod registry;
mod scan;
mod status;
mod taking;
mod topology;
mod version;

#[cfg(test)]
mod tests;

pub use atomic::{
    dht_compare_and_swap, dht_compare_and_swap_bytes, dht_compare_and_swap_json, dht_increment, dht_increment_bytes,
    dht_put_if_absent, dht_put_if_absent_bytes, dht_put_if_absent_json,
};
pub use backup::{dht_restore, dht_restore_until, dht_snapshot};
pub use batch::{
    dht_delete_many, dht_delete_many_with, dht_get_many, dht_get_many_versioned, dht_get_many_with, dht_put_many,
    dht_put_many_with,
};
pub use boundary::{dht_bytes_free, dht_string_free};
pub use data::{
    dht_get, dht_get_bytes, dht_get_json, dht_get_versioned, dht_get_versioned_bytes, dht_get_with, dht_put,
    dht_put_bytes, dht_put_json, dht_put_with, dht_put_with_ttl,
};
pub use error::{dht_error_code, dht_error_free, dht_error_maybe_applied, dht_error_message, dht_error_t};
pub use keys::{
    dht_contains, dht_contains_bytes, dht_contains_with, dht_delete, dht_delete_bytes, dht_delete_with, dht_expire,
    dht_expire_bytes, dht_expire_with, dht_persist, dht_persist_bytes, dht_persist_with, dht_ttl_ms, dht_ttl_ms_bytes,
};
pub use life::{dht_free, dht_join, dht_leave, dht_new, dht_start, dht_stop, dht_wait_ready};
pub use places::{
    dht_hash_key, dht_hash_key_bytes, dht_locate, dht_locate_bytes, dht_lookup_trace, dht_lookup_trace_bytes,
    dht_trace, dht_trace_bytes,
};
pub use registry::dht_t;
pub use scan::{
    dht_clear, dht_clear_until, dht_count, dht_count_until, dht_len, dht_scan, dht_scan_free, dht_scan_next, dht_scan_t,
};
pub use status::{dht_status, dht_status_name};
pub use taking::{
    dht_get_and_delete, dht_get_and_delete_bytes, dht_get_and_delete_json, dht_get_and_put, dht_get_and_put_bytes,
    dht_get_and_put_json,
};
pub use topology::{
    dht_finger_table, dht_health, dht_members, dht_metrics, dht_node_info, dht_predecessor, dht_ring, dht_statistics,
    dht_successor_list,
};
pub use version::{DHT_ABI_VERSION, dht_abi_version, dht_version};
