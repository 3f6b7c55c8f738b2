use super::*;

use std::collections::BTreeSet;

/// Each number another one, so that none can stand in for another.
fn statistics() -> Statistics {
    let of = |names: &[(&str, u64)]| names.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
    Statistics {
        start_time: 1_700_000_000.25,
        uptime: 12.5,
        messages_sent: 101,
        messages_received: 102,
        bytes_sent: 103,
        bytes_received: 104,
        stores_successful: 105,
        stores_failed: 106,
        lookups_successful: 107,
        lookups_failed: 108,
        lookups_not_found: 109,
        average_store_time: 0.000_11,
        average_lookup_time: 0.000_000_111,
        store_time_p50: 0.112,
        store_time_p99: 0.113,
        lookup_time_p50: 0.114,
        lookup_time_p99: 0.115,
        data_items_stored: 116,
        data_bytes_stored: u64::MAX,
        nodes_joined: 118,
        nodes_left: 119,
        network_errors: 120,
        stabilize_operations: 121,
        finger_table_updates: 122,
        heartbeats_sent: 123,
        replications_sent: 124,
        lookup_success_rate: 0.25,
        store_success_rate: 0.5,
        node_availability: 0.75,
        finger_table_accuracy: 0.875,
        conflicts_resolved: 129,
        under_replicated_slots: 130,
        hits: 131,
        misses: 132,
        evictions: 133,
        expirations: 134,
        misbehaviours: 135,
        misbehaviour_kinds: of(&[("flood", 136), ("of_a_later_release", 137)]),
        misbehaving_peers: of(&[("10.0.0.1", 138), ("a \"b\"\\c\n\0é", 139)]),
        errors: of(&[("TIMEOUT", 140), ("OF_A_LATER_RELEASE", 141)]),
    }
}

const HEALTH: Health = Health {
    joined: true,
    handed_over: false,
    fully_replicated: true,
    under_replicated_slots: 130,
    bytes_to_go: 142,
    storage_ok: false,
};

fn members() -> BTreeMap<String, u64> {
    let node = |state: &str| NodeInfo {
        id: "n".to_owned(),
        address: "127.0.0.1:1".to_owned(),
        state: state.to_owned(),
        last_seen: 0.0,
        incarnation: 0,
        vnodes: 16,
        zone: String::new(),
    };
    by_state(&STATES, &[node("active"), node("dead"), node("active")])
}

const TOTALS: Totals = Totals {
    stores: Total { took: Duration::from_millis(11_550), count: 105 },
    lookups: Total { took: Duration::from_nanos(1), count: 107 },
};

#[test]
fn the_text_of_known_statistics() {
    let text = text(&statistics(), &HEALTH, &members(), Some(TOTALS));
    let known = include_str!("prometheus_known.txt");
    for (line, known) in text.lines().zip(known.lines()) {
        assert_eq!(line, known);
    }
    assert_eq!(text, known);
}

#[test]
fn every_number_is_there() {
    let text = text(&statistics(), &HEALTH, &members(), Some(TOTALS));
    let told: BTreeSet<&str> = text.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    let mut numbers = 0;
    let mut values = vec![serde_json::to_value(statistics()).unwrap(), serde_json::to_value(HEALTH).unwrap()];
    while let Some(value) = values.pop() {
        match value {
            serde_json::Value::Object(members) => values.extend(members.into_iter().map(|(_, member)| member)),
            serde_json::Value::Number(number) => {
                numbers += 1;
                let shown = number.as_u64().map_or_else(|| number.as_f64().unwrap().to_string(), |n| n.to_string());
                assert!(told.contains(shown.as_str()), "{shown} is not there:\n{text}");
            }
            flag => assert!(flag.is_boolean(), "{flag}"),
        }
    }
    assert_eq!(numbers, 37 + 6 + 2, "statistics, those with names, health");
}

#[test]
fn what_is_not_known_is_left_out() {
    let unmeasured = Statistics {
        store_time_p50: 0.0,
        store_time_p99: 0.0,
        lookup_time_p50: 0.0,
        lookup_time_p99: 0.0,
        misbehaving_peers: BTreeMap::new(),
        ..statistics()
    };
    let text = text(&unmeasured, &HEALTH, &by_state(&PRESENT, []), None);
    assert!(!text.contains("quantile") && !text.contains("_sum") && !text.contains("_count"), "{text}");
    assert!(text.contains("# TYPE dht_store_duration_seconds summary\n# HELP "), "{text}");
    assert!(text.contains("dht_members{state=\"active\"} 0\n") && !text.contains("dead"), "{text}");
    assert!(text.ends_with("# TYPE dht_misbehaving_peers_total counter\n"), "{text}");
}
