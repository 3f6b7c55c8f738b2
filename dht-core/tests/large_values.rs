//! Values as large as they may be, behind as many small ones as go into one message with them.

mod common;

use common::{PATIENCE, join, start, stop};
use dht_core::{Config, GetOptions, PutOptions};

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
