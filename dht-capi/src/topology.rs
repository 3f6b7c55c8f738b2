//! Who is there, how it goes. All answered from memory.

use std::ffi::c_char;

use dht_core::binding::json;
use dht_core::{Dht, Result};

use crate::boundary::{Out, call};
use crate::error::dht_error_t;
use crate::registry::{self, dht_t};
use crate::status::dht_status;

/// This node: a NodeInfo {"id", "address", "state", "last_seen", "incarnation", "vnodes", "zone"}. `address` is what
/// dht_join of another node takes. After dht_leave, until dht_stop, it tells of a node that has left.
///
/// Errors: DHT_NOT_STARTED, DHT_STOPPED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_node_info(
    d: *mut dht_t,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe {
        call("dht_node_info", err, || {
            let out = Out::needed("json", json)?;
            out.set_text(json::shape(&registry::find(d)?.node_info()?)?).map(|()| true)
        })
    }
}

/// The first other node before this node's position 0, a NodeInfo; null alone.
///
/// Errors: DHT_NOT_STARTED, DHT_STOPPED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_predecessor(
    d: *mut dht_t,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe { call("dht_predecessor", err, || show(d, json, |dht| json::shape(&dht.predecessor()?))) }
}

/// The next distinct others clockwise, a list of NodeInfo; empty alone.
///
/// Errors: DHT_NOT_STARTED, DHT_STOPPED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_successor_list(
    d: *mut dht_t,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe { call("dht_successor_list", err, || show(d, json, |dht| json::shape(&dht.successor_list()?))) }
}

/// The finger table of position 0, ascending: a list of {"index", "start", "node"}; finger k is the node that owns position 0 + 2^k.
///
/// Errors: DHT_NOT_STARTED, DHT_STOPPED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_finger_table(
    d: *mut dht_t,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe { call("dht_finger_table", err, || show(d, json, |dht| json::shape(&dht.finger_table()?))) }
}

/// The ring as this node sees it: {"hash_bits", "slot_bits", "replication_factor", "view", "nodes"}, each node a NodeInfo
/// with "positions" and "share".
///
/// Errors: DHT_NOT_STARTED, DHT_STOPPED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_ring(d: *mut dht_t, json: *mut *mut c_char, err: *mut *mut dht_error_t) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe { call("dht_ring", err, || show(d, json, |dht| json::shape(&dht.ring()?))) }
}

/// All nodes that this node remembers, those that are gone included: a list of NodeInfo.
///
/// Errors: DHT_NOT_STARTED, DHT_STOPPED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_members(d: *mut dht_t, json: *mut *mut c_char, err: *mut *mut dht_error_t) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe { call("dht_members", err, || show(d, json, |dht| json::shape(&dht.members()?))) }
}

/// What was counted and measured since the start, a flat object; times are seconds. Operations are counted per key, at the
/// node that was called. What each key means: statistics.md in share/doc/dht.
///
/// "start_time" (Unix seconds), "uptime"; keys written or deleted: "stores_successful", "stores_failed", "store_success_rate"
/// (0 to 1), "average_store_time", "store_time_p50", "store_time_p99"; keys read: "lookups_successful" (those without a value
/// included), "lookups_failed", "lookups_not_found", "hits", "misses", "lookup_success_rate", "average_lookup_time",
/// "lookup_time_p50", "lookup_time_p99"; errors by name: "errors" (an object).
///
/// What this node keeps, replicas included: "data_items_stored", "data_bytes_stored", "evictions", "expirations",
/// "conflicts_resolved", "replications_sent" (records), "under_replicated_slots".
///
/// The network: "messages_sent", "messages_received", "bytes_sent", "bytes_received", "network_errors"; the ring:
/// "nodes_joined", "nodes_left", "heartbeats_sent", "node_availability" (0 to 1), "stabilize_operations",
/// "finger_table_updates", "finger_table_accuracy" (0 to 1); what others did that no node does: "misbehaviours",
/// "misbehaviour_kinds", "misbehaving_peers" (objects).
///
/// Errors: DHT_NOT_STARTED, DHT_STOPPED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_statistics(
    d: *mut dht_t,
    json: *mut *mut c_char,
    err: *mut *mut dht_error_t,
) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe { call("dht_statistics", err, || show(d, json, |dht| json::shape(&dht.statistics()?))) }
}

/// Whether this node and its part of the ring are well: {"joined", "handed_over", "fully_replicated",
/// "under_replicated_slots", "bytes_to_go", "storage_ok"}.
///
/// Errors: DHT_NOT_STARTED, DHT_STOPPED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_health(d: *mut dht_t, json: *mut *mut c_char, err: *mut *mut dht_error_t) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe { call("dht_health", err, || show(d, json, |dht| json::shape(&dht.health()?))) }
}

/// Statistics, health and the number of members by state as text in Prometheus' exposition format, version 0.0.4: what a
/// page that is scraped answers, as "text/plain; version=0.0.4". Every metric is called dht_ and the name of the statistic,
/// with _seconds behind times and _total behind what is counted since the start. What calls took is in the summaries
/// dht_store_duration_seconds and dht_lookup_duration_seconds, without quantiles if enable_metrics is false.
///
/// dht_misbehaving_peers_total has a label for each peer. Where untrusted ones can reach the node, drop it when scraping:
/// who they say they are is for them to choose.
///
/// Errors: DHT_NOT_STARTED, DHT_STOPPED.
///
/// # Safety
/// The rules at the top.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dht_metrics(d: *mut dht_t, text: *mut *mut c_char, err: *mut *mut dht_error_t) -> dht_status {
    // SAFETY: promised by the caller.
    unsafe { call("dht_metrics", err, || told("text", d, text, Dht::metrics)) }
}

/// # Safety
/// `json` is NULL or writable.
unsafe fn show(d: *const dht_t, json: *mut *mut c_char, tell: impl FnOnce(&Dht) -> Result<String>) -> Result<bool> {
    // SAFETY: promised by the caller.
    unsafe { told("json", d, json, tell) }
}

/// # Safety
/// `text` is NULL or writable; `name` is what the function calls it.
unsafe fn told(
    name: &'static str,
    d: *const dht_t,
    text: *mut *mut c_char,
    tell: impl FnOnce(&Dht) -> Result<String>,
) -> Result<bool> {
    // SAFETY: promised by the caller.
    let out = unsafe { Out::needed(name, text) }?;
    let running = registry::find(d)?.running()?;
    out.set_text(tell(running.dht())?).map(|()| true)
}
