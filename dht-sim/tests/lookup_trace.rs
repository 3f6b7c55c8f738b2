//! Lookups at moments that only the paused clock can hold: right after a join, and when nobody answers. The others are in
//! `dht-core/tests/lookup_trace.rs`.

use crate::common;
use crate::held;

use std::time::Duration;

use common::calm;
use dht_core::{Config, Dht, ErrorKind};
use dht_sim::Crash;
use held::{Start, pass, ring};

/// A client asks the only node, whose machine is gone; returns the error's kind, text, and how long it took.
fn unanswered(request_timeout: Duration, check: impl FnOnce(ErrorKind, String, Duration)) {
    calm(|world| async move {
        let _ring = ring(&world, &Config::default(), 1).await;
        let config = Config { virtual_nodes: Some(0), request_timeout, ..Config::default() };
        let client = Start::new(&world, &config, &[0]).node(1).await.expect("it starts");
        let trace = client.lookup_trace("k").await.expect("the node answers");
        assert_eq!((trace.owner.id.as_str(), trace.hops.len(), trace.one_hop), ("node-0", 1, true));
        world.network().crash(&world.address(0), Crash::Machine);
        let begun = world.now();
        let error = client.lookup_trace("k").await.expect_err("nobody answers");
        assert!(!error.maybe_applied(), "{error}");
        check(error.kind(), format!("{error}"), world.now() - begun);
    });
}

#[test]
fn with_time_left_but_nobody_to_ask_it_is_unreachable() {
    let timeout = Duration::from_secs(2);
    unanswered(timeout, |kind, text, took| {
        assert_eq!(kind, ErrorKind::Unreachable, "{text}");
        assert!(text.contains("after 1 nodes") && took < timeout, "{text} after {took:?}");
    });
}

#[test]
fn at_the_deadline_it_is_a_timeout() {
    let timeout = Duration::from_millis(200);
    unanswered(timeout, |kind, text, took| {
        assert_eq!((kind, took), (ErrorKind::Timeout, timeout), "{text}");
        assert!(text.contains("1 nodes asked"), "{text}");
    });
}

/// When a node has just learned of the only other one, most of its positions have not been stabilized: what lies behind
/// them is not its own for that.
#[test]
fn before_stabilization_the_owner_is_found() {
    calm(|world| async move {
        let first = ring(&world, &Config::default(), 1).await.swap_remove(0);
        let second = Start::new(&world, &Config::default(), &[0]).node(1).await.expect("it joins");
        let view = |node: &Dht| node.ring().expect("it runs").view;
        while view(&first) != view(&second) {
            pass(Duration::from_millis(1)).await;
        }
        let pointers = first.pointers().expect("it is a member");
        assert!(pointers.iter().any(|own| own.successors.is_empty()), "too late to see anything: {pointers:?}");
        let mut tracing = tokio::task::JoinSet::new();
        for i in 0..100 {
            for node in [first.clone(), second.clone()] {
                tracing.spawn(async move {
                    let key = format!("key-{i}");
                    let trace = node.lookup_trace(&key).await.expect("a way");
                    assert_eq!(trace.owner.id, node.locate(&key).expect("it runs")[0].id, "{key}: {trace:?}");
                });
            }
        }
        while let Some(done) = tracing.join_next().await {
            done.expect("the owner");
        }
    });
}
