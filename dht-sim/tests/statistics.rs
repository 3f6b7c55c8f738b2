//! The statistics that move with time, or only while something is held up, on the paused clock. The others, and the
//! table of all, are in `dht-core/tests/statistics.rs`.

use crate::common;
use crate::held;

use std::sync::Arc;
use std::time::Duration;

use common::calm;
use dht_core::{Config, Consistency, Dht, PutOptions, Statistics};
use dht_sim::Crash;
use held::{Gate, Start, pass, ring};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn stats(node: &Dht) -> Statistics {
    node.statistics().expect("it runs")
}

#[test]
fn finger_table_accuracy_falls_with_newcomers_and_recovers() {
    for virtual_nodes in [4, 16] {
        calm(|world| async move {
            // Long, so that the newcomers are all there before the next time.
            let fix_finger_interval = 100 * SECOND;
            let config = Config { fix_finger_interval, virtual_nodes: Some(virtual_nodes), ..Config::default() };
            let mut nodes = ring(&world, &config, 2).await;
            assert_eq!(stats(&nodes[0]).finger_table_accuracy, 1.0, "an empty table has no mistake");
            pass(350 * SECOND).await;
            assert_eq!(stats(&nodes[0]).finger_table_accuracy, 1.0);
            let updates = stats(&nodes[0]).finger_table_updates;
            assert!(updates > 0);
            for number in 2..10 {
                nodes.push(Start::new(&world, &config, &[0]).node(number).await.expect("it joins"));
            }
            let accuracy = stats(&nodes[0]).finger_table_accuracy;
            // With many positions a node owns most of its near fingers itself, and the few others may stay right.
            assert!(virtual_nodes > 4 || accuracy < 1.0, "{accuracy}");
            assert!((0.0..=1.0).contains(&accuracy), "{accuracy}");
            pass(400 * SECOND).await;
            assert_eq!(stats(&nodes[0]).finger_table_accuracy, 1.0);
            assert!(accuracy == 1.0 || stats(&nodes[0]).finger_table_updates > updates);
        });
    }
}

#[test]
fn node_availability_is_the_share_of_answered_heartbeats() {
    calm(|world| async move {
        let nodes = ring(&world, &Config::default(), 2).await;
        pass(10 * SECOND + Duration::from_millis(100)).await;
        let sent = stats(&nodes[0]).heartbeats_sent;
        assert!(sent >= 8, "{sent}");
        // The last one may be on its way.
        assert!(stats(&nodes[0]).node_availability >= 1.0 - 1.0 / sent as f64);
        world.network().crash(&world.address(1), Crash::Machine);
        pass(3 * SECOND).await;
        let availability = stats(&nodes[0]).node_availability;
        assert!((0.5..0.95).contains(&availability), "{availability}: two or three of a dozen are missing");
    });
}

#[test]
fn under_replicated_slots_are_those_not_known_to_be_equal() {
    calm(|world| async move {
        let gate = Arc::<Gate>::default();
        let first = Start { gate: gate.clone(), ..Start::new(&world, &Config::default(), &[]) }.node(0).await;
        let first = first.expect("it starts");
        for i in 0..100 {
            first.put(format!("k{i}"), &i).await.expect("alone");
        }
        assert_eq!(stats(&first).under_replicated_slots, 0, "as many replicas as there are nodes");
        assert!(first.health().expect("it runs").fully_replicated);
        gate.close();
        let second = Start::new(&world, &Config::default(), &[0]).node(1).await.expect("it joins");
        pass(10 * SECOND).await;
        let health = first.health().expect("it runs");
        assert!(health.under_replicated_slots > 0 && !health.fully_replicated, "{health:?}");
        assert_eq!(stats(&first).under_replicated_slots, health.under_replicated_slots);
        gate.open();
        pass(10 * SECOND).await;
        for node in [&first, &second] {
            let health = node.health().expect("it runs");
            assert!(health.under_replicated_slots == 0 && health.fully_replicated, "{health:?}");
            assert_eq!(stats(node).under_replicated_slots, 0);
            assert_eq!(stats(node).data_items_stored, 100);
        }
    });
}

#[test]
fn bytes_to_go_are_what_others_should_hold() {
    calm(|world| async move {
        let config = Config { replication_factor: 1, ..Config::default() };
        let gate = Arc::<Gate>::default();
        let first = Start { gate: gate.clone(), ..Start::new(&world, &config, &[]) }.node(0).await;
        let first = first.expect("it starts");
        for i in 0..100 {
            first.put(format!("k{i:02}"), &i).await.expect("alone");
        }
        let health = first.health().expect("it runs");
        assert!(health.handed_over && health.bytes_to_go == 0, "{health:?}");
        let bytes = stats(&first).data_bytes_stored;
        gate.close();
        let second = Start::new(&world, &config, &[0]).node(1).await.expect("it joins");
        pass(5 * SECOND).await;
        let health = first.health().expect("it runs");
        assert!(!health.handed_over, "{health:?}");
        assert!(health.bytes_to_go > 0 && health.bytes_to_go < bytes, "{health:?} of {bytes}");
        let to_go = health.bytes_to_go;
        gate.open();
        pass(5 * SECOND).await;
        let health = first.health().expect("it runs");
        assert!(health.handed_over && health.bytes_to_go == 0, "{health:?}");
        assert_eq!(stats(&first).data_bytes_stored, bytes - to_go);
        assert_eq!(stats(&first).data_items_stored + stats(&second).data_items_stored, 100);
    });
}

#[test]
fn joined_is_whether_it_is_in_a_ring() {
    calm(|world| async move {
        let config = Config { heartbeat_interval: HOUR, ..Config::default() };
        let node = Start::new(&world, &config, &[0]).node(1).await.expect("it goes on trying");
        let health = node.health().expect("it runs");
        assert!(!health.joined && !health.handed_over && !health.fully_replicated, "{health:?}");
        let _first = Start::new(&world, &config, &[]).node(0).await.expect("it starts");
        pass(10 * SECOND).await;
        let health = node.health().expect("it runs");
        assert!(health.joined && health.handed_over && health.fully_replicated, "{health:?}");
    });
}

#[test]
fn expirations_are_counted_where_the_record_was() {
    calm(|world| async move {
        let nodes = ring(&world, &Config::default(), 2).await;
        let all = PutOptions { consistency: Some(Consistency::All), ttl: Some(10 * SECOND), ..PutOptions::default() };
        for n in 0..5 {
            nodes[0].put_with(format!("k{n}"), &n, all).await.expect("both are there");
        }
        nodes[0].put("stays", &1).await.expect("both are there");
        pass(9 * SECOND).await;
        assert_eq!(nodes.iter().map(|node| stats(node).expirations).collect::<Vec<_>>(), [0, 0]);
        pass(10 * SECOND).await;
        assert_eq!(nodes.iter().map(|node| stats(node).expirations).collect::<Vec<_>>(), [5, 5]);
        assert_eq!(nodes.iter().map(|node| stats(node).data_items_stored).collect::<Vec<_>>(), [1, 1]);
    });
}
