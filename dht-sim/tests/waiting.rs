//! Calls that wait for others: not much longer than these take.

use crate::common;
use crate::held;

use std::time::Duration;

use common::calm;
use dht_core::{Config, Consistency, ErrorKind, GetOptions, PutOptions};
use dht_sim::Crash;
use held::ring;

const SECOND: Duration = Duration::from_secs(1);
const KEYS: usize = 42;

/// With two replicas a quorum read waits until the one that comes instead of a dead one has caught up, of which the reader hears
/// nothing. It does not sleep through that, however often it was woken in vain before.
#[test]
fn a_read_with_patience_is_answered_soon_after_a_death_is_made_good() {
    calm(|world| async move {
        let config = Config { replication_factor: 2, ..Config::default() };
        let nodes = ring(&world, &config, 3).await;
        let all = PutOptions { consistency: Some(Consistency::All), ..PutOptions::default() };
        for n in 0..KEYS {
            nodes[0].put_with(format!("key-{n}"), &n, all).await.expect("all are there");
        }
        world.network().crash(&world.address(2), Crash::Process);
        let begun = world.now();
        let patient = GetOptions { timeout: Some(30 * SECOND), ..GetOptions::default() };
        let mut reads = tokio::task::JoinSet::new();
        for n in 0..KEYS {
            let (node, world) = (nodes[n % 2].clone(), world.clone());
            reads.spawn(async move {
                let found: Option<usize> = node.get_with(format!("key-{n}"), patient).await.expect("it has the time");
                assert_eq!(found, Some(n));
                world.now() - begun
            });
        }
        let last = reads.join_all().await.into_iter().max().unwrap_or_default();
        // The verdict takes some two seconds, the catch-up far less.
        assert!(last < 4 * SECOND, "{last:?}");
    });
}

/// Whoever waits in vain is told for what.
#[test]
fn who_is_not_ready_names_the_neighbour_that_is_silent() {
    calm(|world| async move {
        let nodes = ring(&world, &Config::default(), 2).await;
        world.network().crash(&world.address(1), Crash::Machine);
        // Before it is given up; longer than one look, so that the last one has no time left.
        let error = nodes[0].wait_ready(2 * SECOND).await.expect_err("a neighbour is silent");
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        let silent = format!("not ready: its neighbour node-1 at {} does not answer: ", world.address(1));
        assert!(error.context().starts_with(&silent), "{error}");
        nodes[0].stop().await;
    });
}

/// Who is silent may have it; who refuses has not: callers are told which of the two it was, of scans too.
#[test]
fn reads_end_in_timeout_where_replicas_are_silent_and_in_quorum_where_they_refuse() {
    for (crash, kind) in [(Crash::Machine, ErrorKind::Timeout), (Crash::Process, ErrorKind::Quorum)] {
        calm(|world| async move {
            let nodes = ring(&world, &Config::default(), 3).await;
            nodes[0].put("key", &1).await.expect("all are there");
            for number in [1, 2] {
                world.network().crash(&world.address(number), crash);
            }
            // Before anybody is given up.
            let hasty = GetOptions { timeout: Some(SECOND / 2), ..GetOptions::default() };
            let read = nodes[0].get_with::<usize>("key", hasty).await.expect_err("one of three is there");
            assert_eq!(read.kind(), kind, "{read}");
            assert!(!read.maybe_applied() && !read.to_string().contains("may have been applied"), "{read}");
            let scanned = nodes[0].scan_with("", hasty).next().await.expect_err("one of three is there");
            assert_eq!(scanned.kind(), kind, "{scanned}");
        });
    }
}
