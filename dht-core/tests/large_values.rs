//! Values as large as they may be, behind as many small ones as go into one message with them.

use crate::common;

use common::{PATIENCE, join, keys_of, start, stop};
use dht_core::{Config, Consistency, GetOptions, NetworkProtocol, PutOptions};

const LARGEST: usize = 8 << 20;
const LARGE: usize = 8;
const SMALL: usize = 400;

/// One slot for all, so that the order of keys mixes them.
fn config() -> Config {
    Config { max_value_size: LARGEST, slot_bits: 0, ..Config::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_values_are_copied_and_read_behind_small_ones() {
    let options = PutOptions { timeout: Some(PATIENCE), ..PutOptions::default() };
    let first = start(config()).await;
    for n in 0..SMALL {
        first.put_bytes(format!("small {n}"), vec![1; 1 << 10], options).await.expect("a put");
    }
    for n in 0..LARGE {
        first.put_bytes(format!("large {n}"), vec![2; LARGEST], options).await.expect("a put");
    }
    let second = join(&first, config()).await;
    second.wait_ready(PATIENCE).await.expect("it copies all of it");
    assert_eq!(second.statistics().expect("it runs").data_items_stored, (SMALL + LARGE) as u64);

    let client = join(&first, Config { virtual_nodes: Some(0), ..config() }).await;
    let keys: Vec<String> =
        (0..SMALL).map(|n| format!("small {n}")).chain((0..LARGE).map(|n| format!("large {n}"))).collect();
    let patient = GetOptions { timeout: Some(PATIENCE), ..GetOptions::default() };
    for (key, found) in keys.iter().zip(client.get_many(keys.clone(), patient).await.expect("it serves")) {
        let found =
            found.unwrap_or_else(|error| panic!("{key}: {error}")).unwrap_or_else(|| panic!("{key} is missing"));
        assert_eq!(found.value.bytes.len(), if key.starts_with("large") { LARGEST } else { 1 << 10 }, "{key}");
    }
    let mut scan = client.scan_with("", patient);
    let mut seen = 0;
    while scan.next().await.expect("it serves").is_some() {
        seen += 1;
    }
    assert_eq!(seen, SMALL + LARGE);

    // The last with all of it hands it over.
    first.stop().await;
    let third = join(&second, config()).await;
    third.wait_ready(PATIENCE).await.expect("it copies all of it");
    second.leave(PATIENCE).await.expect("handed over");
    assert_eq!(third.statistics().expect("it runs").data_items_stored, (SMALL + LARGE) as u64);
    stop(vec![third, client]).await;
}

/// Larger than a message of a node that is configured for small values.
const LARGER: usize = 10 << 20;

/// How large values may be is a matter of the ring, whatever a node that joins it has in its own configuration.
async fn values_larger_than_the_joiners_are_configured_for(network_protocol: NetworkProtocol) {
    let small = Config { max_value_size: 1 << 20, network_protocol, replication_factor: 2, ..Config::default() };
    let first = start(Config { max_value_size: LARGER, ..small.clone() }).await;
    let second = join(&first, small.clone()).await;
    let options = PutOptions { consistency: Some(Consistency::All), timeout: Some(PATIENCE), ..PutOptions::default() };
    let mut keys = Vec::new();
    for owner in [&first, &second] {
        for (through, key) in [&first, &second].into_iter().zip(keys_of(owner, &first, 2)) {
            through.put_bytes(&key, vec![3; LARGER], options).await.unwrap_or_else(|error| panic!("{key}: {error}"));
            keys.push(key);
        }
    }
    let third = join(&second, small).await;
    first.leave(PATIENCE).await.expect("handed over");
    for node in [&second, &third] {
        let patient = GetOptions { timeout: Some(PATIENCE), ..GetOptions::default() };
        for (key, found) in keys.iter().zip(node.get_many(keys.clone(), patient).await.expect("it serves")) {
            let found = found.unwrap_or_else(|error| panic!("{key}: {error}"));
            assert_eq!(found.map(|found| found.value.bytes.len()), Some(LARGER), "{key}");
        }
        assert_eq!(node.statistics().expect("it runs").data_items_stored, keys.len() as u64);
    }
    stop(vec![second, third]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joiner_carries_the_values_that_its_ring_allows() {
    values_larger_than_the_joiners_are_configured_for(NetworkProtocol::Tcp).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joiner_on_datagrams_carries_the_values_that_its_ring_allows() {
    values_larger_than_the_joiners_are_configured_for(NetworkProtocol::Udp).await;
}
