//! Leaves that meet a join: what only the leaver held is on whoever comes in.

use crate::common;
use crate::held;

use std::time::Duration;

use common::calm;
use dht_core::{Config, Consistency, Dht, ErrorKind, GetOptions, PutOptions};
use dht_sim::Crash;
use held::{Start, pass};

const SECOND: Duration = Duration::from_secs(1);
const KEYS: usize = 300;

/// A second of what is held passes from one node to another in a second.
fn config() -> Config {
    Config { slot_bits: 8, repair_rate: 1 << 20, ..Config::default() }
}

async fn fill(node: &Dht) {
    for n in 0..KEYS {
        node.put_bytes(format!("key-{n}"), vec![7; 20_000], PutOptions::default()).await.expect("it serves");
    }
}

async fn missing(node: &Dht) -> usize {
    let one = GetOptions { consistency: Some(Consistency::One), ..GetOptions::default() };
    let mut missing = 0;
    for n in 0..KEYS {
        missing += usize::from(node.get_bytes(format!("key-{n}"), one).await.expect("it serves").is_none());
    }
    missing
}

/// The way to replace a single node: start another, and let the first leave.
#[test]
fn who_leaves_while_the_only_other_is_still_joining_hands_over_all() {
    calm(|world| async move {
        let first = Start::new(&world, &config(), &[]).node(0).await.expect("it founds a ring");
        fill(&first).await;
        let second = Start::new(&world, &config(), &[0]).node(1).await.expect("it starts");
        assert_eq!(second.node_info().expect("it runs").state, "joining", "it copies for seconds");
        first.leave(120 * SECOND).await.expect("all of it is handed over");
        assert_eq!(missing(&second).await, 0);
    });
}

/// The same with two that leave while a third joins.
#[test]
fn two_that_leave_while_a_third_is_joining_hand_over_all() {
    calm(|world| async move {
        let first = Start::new(&world, &config(), &[]).node(0).await.expect("it founds a ring");
        let second = Start::new(&world, &config(), &[0]).node(1).await.expect("it starts");
        second.wait_ready(60 * SECOND).await.expect("it gets ready");
        fill(&first).await;
        let third = Start::new(&world, &config(), &[0]).node(2).await.expect("it starts");
        let (one, other) = tokio::join!(first.leave(120 * SECOND), second.leave(120 * SECOND));
        one.expect("handed over");
        other.expect("handed over");
        pass(30 * SECOND).await;
        assert_eq!(missing(&third).await, 0);
    });
}

/// The one that was joining dies: then there is nobody, and the leaver says so, in its time.
#[test]
fn who_waits_in_vain_for_a_joiner_says_so() {
    calm(|world| async move {
        let first = Start::new(&world, &config(), &[]).node(0).await.expect("it founds a ring");
        fill(&first).await;
        let second = Start::new(&world, &config(), &[0]).node(1).await.expect("it starts");
        world.network().crash(&world.address(1), Crash::Machine);
        let begun = world.now();
        let left = first.leave(2 * SECOND).await.expect_err("nobody has taken over");
        assert_eq!(left.kind(), ErrorKind::Timeout, "{left}");
        // Its goodbye goes to somebody who is silent.
        let most = 2 * SECOND + config().request_timeout;
        assert!(world.now() - begun <= most, "{:?}", world.now() - begun);
        drop(second);
    });
}

/// A node that is told to leave while it is joining: it was in no list yet, so there is nothing to wait for, and nothing is lost
/// with it, even where there is one copy of everything.
#[test]
fn who_leaves_while_it_is_joining_itself_is_gone_at_once() {
    // At every moment of the join.
    for (replication_factor, tenths) in [1, 3].into_iter().flat_map(|r| (0..60).map(move |tenths| (r, tenths))) {
        calm(move |world| async move {
            let config = Config { replication_factor, ..config() };
            let first = Start::new(&world, &config, &[]).node(0).await.expect("it founds a ring");
            fill(&first).await;
            let second = Start::new(&world, &config, &[0]).node(1).await.expect("it starts");
            assert_eq!(second.node_info().expect("it runs").state, "joining", "it copies for seconds");
            pass(SECOND * tenths / 10).await;
            let begun = world.now();
            second.leave(120 * SECOND).await.expect("it holds nothing that others lack");
            assert!(world.now() - begun < 30 * SECOND, "{:?}", world.now() - begun);
            pass(30 * SECOND).await;
            assert_eq!((missing(&first).await, first.view().1), (0, 1));
        });
    }
}

/// Whoever waits for a hand-over learns that the node was stopped meanwhile, at once.
#[test]
fn a_stop_ends_a_leave() {
    calm(|world| async move {
        let first = Start::new(&world, &config(), &[]).node(0).await.expect("it founds a ring");
        fill(&first).await;
        let second = Start::new(&world, &config(), &[0]).node(1).await.expect("it starts");
        world.network().crash(&world.address(1), Crash::Machine);
        let (begun, leaving) = (world.now(), first.clone());
        let leave = tokio::spawn(async move { leaving.leave(Duration::MAX).await });
        pass(SECOND).await;
        first.stop().await;
        let left = leave.await.expect("no panic").expect_err("nothing was handed over");
        assert_eq!(left.kind(), ErrorKind::Stopped, "{left}");
        assert!(world.now() - begun < 3 * SECOND, "{:?}", world.now() - begun);
        first.leave(SECOND).await.expect("later calls succeed");
        drop(second);
    });
}

/// Two calls of one node that leave, as from a signal's handler and from the end of a block: the ring has heard its goodbye, and does not
/// look for it.
#[test]
fn a_second_leave_does_not_take_the_goodbye_back() {
    calm(|world| async move {
        let first = Start::new(&world, &config(), &[]).node(0).await.expect("it founds a ring");
        let leaves = Start::new(&world, &config(), &[0]).node(1).await.expect("it joins");
        let silent = Start::new(&world, &config(), &[0]).node(2).await.expect("it joins");
        for node in [&first, &leaves, &silent] {
            node.wait_ready(60 * SECOND).await.expect("it gets ready");
        }
        // So the goodbye takes a while.
        world.network().pause(&world.address(2), 10 * SECOND);
        let again = async {
            pass(SECOND * 6 / 10).await;
            leaves.leave(10 * SECOND).await
        };
        let (one, other) = tokio::join!(leaves.leave(10 * SECOND), again);
        one.expect("handed over");
        other.expect("as the first says");
        pass(20 * SECOND).await;
        let members = first.members().expect("it runs");
        let gone = members.iter().find(|info| info.id == "node-1").map(|info| info.state.as_str());
        assert!(matches!(gone, None | Some("left")), "{members:?}");
    });
}
