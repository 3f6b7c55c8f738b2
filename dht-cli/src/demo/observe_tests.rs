//! Each way in which a ring may not be whole must be seen.

use super::*;
use serde_json::json;

/// What a node tells that is well, in a ring of `nodes`, and that holds `items`.
fn well(nodes: &[&str], items: u64) -> Told {
    let node = |id: &&str| {
        json!({
            "id": id, "address": "h:1", "state": "active", "last_seen": 0.0, "incarnation": 0, "vnodes": 1, "zone": "",
            "positions": ["00"], "share": 0.5,
        })
    };
    let nodes: Vec<_> = nodes.iter().map(node).collect();
    let ring = json!({"hash_bits": 8, "slot_bits": 1, "replication_factor": 3, "view": "v", "nodes": nodes});
    let health = json!({
        "joined": true, "handed_over": true, "fully_replicated": true, "under_replicated_slots": 0, "bytes_to_go": 0,
        "storage_ok": true,
    });
    let mut statistics = json!({"errors": {}, "misbehaviour_kinds": {}, "misbehaving_peers": {}});
    for name in ["start_time", "uptime", "average_store_time", "average_lookup_time", "store_time_p50"] {
        statistics[name] = json!(0.0);
    }
    for name in ["store_time_p99", "lookup_time_p50", "lookup_time_p99", "lookup_success_rate", "store_success_rate"] {
        statistics[name] = json!(0.0);
    }
    for name in ["node_availability", "finger_table_accuracy"] {
        statistics[name] = json!(0.0);
    }
    for name in [
        "messages_sent",
        "messages_received",
        "bytes_sent",
        "bytes_received",
        "stores_successful",
        "stores_failed",
        "lookups_successful",
        "lookups_failed",
        "lookups_not_found",
        "data_bytes_stored",
        "nodes_joined",
        "nodes_left",
        "network_errors",
        "stabilize_operations",
        "finger_table_updates",
        "heartbeats_sent",
        "replications_sent",
        "conflicts_resolved",
        "under_replicated_slots",
        "hits",
        "misses",
        "evictions",
        "expirations",
        "misbehaviours",
    ] {
        statistics[name] = json!(0);
    }
    statistics["data_items_stored"] = json!(items);
    Told {
        health: serde_json::from_value(health).expect("a health"),
        ring: serde_json::from_value(ring).expect("a ring"),
        statistics: serde_json::from_value(statistics).expect("statistics"),
    }
}

/// Two nodes that are well and hold 3 + 4 records, but for what `spoil` does to the second.
fn ring(spoil: impl FnOnce(&mut Told)) -> Result<Items, String> {
    let mut second = well(&["a", "b"], 4);
    spoil(&mut second);
    let told = BTreeMap::from([("a".to_owned(), well(&["a", "b"], 3)), ("b".to_owned(), second)]);
    judge(&told, 7)
}

#[test]
fn a_whole_ring() {
    assert_eq!(ring(|_| {}), Ok(Items::from([("a".to_owned(), 3), ("b".to_owned(), 4)])));
}

#[test]
fn everything_that_may_be_missing() {
    type Spoil = fn(&mut Told);
    let spoils: [(&str, Spoil); 11] = [
        ("sees the nodes", |told| drop(told.ring.nodes.pop())),
        ("sees the nodes", |told| "c".clone_into(&mut told.ring.nodes[0].node.id)),
        ("sees b as joining", |told| "joining".clone_into(&mut told.ring.nodes[1].node.state)),
        ("has not joined", |told| told.health.joined = false),
        ("takes no writes", |told| told.health.storage_ok = false),
        ("under-replicated", |told| told.health.fully_replicated = false),
        ("2 under-replicated", |told| told.health.under_replicated_slots = 2),
        ("hand over", |told| told.health.handed_over = false),
        ("different views", |told| "w".clone_into(&mut told.ring.view)),
        ("hold 6 records", |told| told.statistics.data_items_stored = 3),
        ("hold 8 records", |told| told.statistics.data_items_stored = 5),
    ];
    for (expected, spoil) in spoils {
        let missing = ring(spoil).expect_err(expected);
        assert!(missing.contains(expected), "{missing}");
    }
}
