//! Crash, partition, cut, pause, close.

use crate::common;

use std::time::Duration;

use common::{LATENCY, Recorder, calm, never, pong, serving, try_ping};
use dht_core::transport::{Transport, TransportError};
use dht_sim::Crash;
use dht_sim::scenarios::ping_storm::{Pong, ping};

const SECOND: Duration = Duration::from_secs(1);

fn unit<T>(result: Result<T, TransportError>) -> Result<(), TransportError> {
    result.map(|_| ())
}

#[test]
fn a_dead_process_refuses_and_a_dead_machine_is_silent() {
    calm(|world| async move {
        let (a, _b, _c) = (pong(&world, 0), pong(&world, 1), pong(&world, 2));
        try_ping(&world, &a, 1).await.1.expect("alive");
        assert_eq!(a.traffic().connections, 1);
        world.network().crash(&world.address(1), Crash::Process);
        assert_eq!(a.traffic().connections, 0);
        let (took, result) = try_ping(&world, &a, 1).await;
        assert_eq!((took, unit(result)), (LATENCY * 2, Err(TransportError::Refused(world.address(1)))));
        world.network().crash(&world.address(2), Crash::Machine);
        let (took, result) = try_ping(&world, &a, 2).await;
        assert_eq!((took, unit(result)), (SECOND, Err(TransportError::Deadline(world.address(2)))));
    });
}

#[test]
fn a_crash_breaks_calls_under_way_and_closes_its_own() {
    calm(|world| async move {
        let a = pong(&world, 0);
        let slow = serving(&world, 1, Recorder::new(never));
        let deadline = world.env().now() + SECOND;
        let waiting = tokio::spawn(a.call(&world.address(1), ping(1), deadline));
        let own = tokio::spawn(slow.call(&world.address(9), ping(1), deadline));
        tokio::time::sleep(LATENCY * 3 / 2).await;
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        world.network().crash(&world.address(1), Crash::Process);
        let crashed = world.now();
        assert_eq!(unit(own.await.expect("no panic")), Err(TransportError::Closed));
        assert_eq!(unit(waiting.await.expect("no panic")), Err(TransportError::Broken(world.address(1))));
        assert_eq!(world.now() - crashed, LATENCY);
        assert_eq!(unit(slow.call(&world.address(0), ping(1), deadline).await), Err(TransportError::Closed));
        // Both calls and the answer being worked on.
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), tasks - 3);
    });
}

#[test]
fn a_restarted_endpoint_gets_nothing_that_was_meant_for_its_former_self() {
    calm(|world| async move {
        let (a, _old) = (pong(&world, 0), pong(&world, 1));
        let deadline = world.env().now() + SECOND;
        let call = tokio::spawn(a.call(&world.address(1), ping(1), deadline));
        tokio::task::yield_now().await;
        world.network().crash(&world.address(1), Crash::Process);
        let recorder = Recorder::new(|call| Pong.serve_now(call));
        let _new = serving(&world, 1, recorder.clone());
        assert_eq!(unit(call.await.expect("no panic")), Err(TransportError::Refused(world.address(1))));
        assert!(recorder.seen().is_empty());
        try_ping(&world, &a, 1).await.1.expect("the new one answers");
        assert_eq!(recorder.seen(), [1]);
    });
}

trait ServeNow {
    fn serve_now(&self, call: dht_core::transport::Call) -> dht_core::transport::Answer;
}

impl ServeNow for Pong {
    fn serve_now(&self, call: dht_core::transport::Call) -> dht_core::transport::Answer {
        dht_core::transport::Service::serve(self, call)
    }
}

#[test]
fn a_partition_keeps_groups_apart_until_it_heals() {
    calm(|world| async move {
        let nodes: Vec<_> = (0..6).map(|i| pong(&world, i)).collect();
        let group = |members: &[usize]| members.iter().map(|&i| world.address(i)).collect::<Vec<_>>();
        // 0 and 1 against 2 and 3, with 1 a bridge; 4 and 5 are not named.
        world.network().partition(&[&group(&[0, 1]), &group(&[1, 2, 3])]);
        let reach = [(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (4, 5)];
        let apart = [(0, 2), (2, 0), (0, 3), (1, 4), (4, 0), (5, 3)];
        for (from, to) in reach {
            try_ping(&world, &nodes[from], to).await.1.unwrap_or_else(|e| panic!("{from} to {to}: {e}"));
        }
        for (from, to) in apart {
            let (took, result) = try_ping(&world, &nodes[from], to).await;
            assert_eq!((took, unit(result)), (SECOND, Err(TransportError::Deadline(world.address(to)))), "{from} {to}");
        }
        // One that comes later is not named either.
        let late = pong(&world, 6);
        try_ping(&world, &late, 4).await.1.expect("together");
        try_ping(&world, &late, 0).await.1.expect_err("apart");
        world.network().heal();
        for (from, to) in apart.into_iter().chain(reach) {
            try_ping(&world, &nodes[from], to).await.1.unwrap_or_else(|e| panic!("{from} to {to}: {e}"));
        }
    });
}

#[test]
fn a_cut_is_one_way_and_catches_what_is_on_its_way() {
    calm(|world| async move {
        let (a, _c) = (pong(&world, 0), pong(&world, 2));
        let recorder = Recorder::new(|call| Pong.serve_now(call));
        let _b = serving(&world, 1, recorder.clone());
        a.send(&world.address(1), ping(5));
        world.network().cut(&world.address(0), &world.address(1));
        tokio::time::sleep(LATENCY * 2).await;
        assert!(recorder.seen().is_empty(), "on its way when the cut came");
        world.network().mend(&world.address(0), &world.address(1));
        // Requests arrive, responses do not.
        world.network().cut(&world.address(1), &world.address(0));
        try_ping(&world, &a, 1).await.1.expect_err("no way back");
        assert_eq!(recorder.seen(), [1]);
        try_ping(&world, &a, 2).await.1.expect("another pair");
        world.network().mend(&world.address(1), &world.address(0));
        try_ping(&world, &a, 1).await.1.expect("mended");
    });
}

#[test]
fn what_a_pause_holds_up_goes_on_in_order() {
    calm(|world| async move {
        let a = pong(&world, 0);
        let recorder = Recorder::new(|call| Pong.serve_now(call));
        let b = serving(&world, 1, recorder.clone());
        let pause = Duration::from_millis(200);
        a.send(&world.address(1), ping(10));
        world.network().pause(&world.address(1), pause);
        for number in 11..14 {
            a.send(&world.address(1), ping(number));
            tokio::time::sleep(LATENCY).await;
        }
        let (took, result) = try_ping(&world, &b, 0).await;
        result.expect("late, but answered");
        assert!((pause - LATENCY * 2..pause + LATENCY * 2).contains(&took), "{took:?}");
        assert_eq!(recorder.seen(), [10, 11, 12, 13]);
        let (took, result) = try_ping(&world, &a, 1).await;
        result.expect("over");
        assert_eq!(took, LATENCY * 2);
    });
}

#[test]
fn close_ends_calls_in_both_directions_and_leaves_no_task() {
    calm(|world| async move {
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let before = tasks();
        let a = pong(&world, 0);
        let b = serving(&world, 1, Recorder::new(never));
        let deadline = world.env().now() + SECOND;
        let to_b = tokio::spawn(a.call(&world.address(1), ping(1), deadline));
        let from_b = tokio::spawn(b.call(&world.address(9), ping(1), deadline));
        tokio::time::sleep(LATENCY * 3 / 2).await;
        b.close().await;
        b.close().await;
        assert_eq!(unit(from_b.await.expect("no panic")), Err(TransportError::Closed));
        assert_eq!(unit(to_b.await.expect("no panic")), Err(TransportError::Broken(world.address(1))));
        assert_eq!(unit(try_ping(&world, &a, 1).await.1), Err(TransportError::Refused(world.address(1))));
        assert_eq!(tasks(), before);
        assert_eq!((a.traffic().connections, b.traffic().connections), (0, 0));
        let _again = pong(&world, 1);
        try_ping(&world, &a, 1).await.1.expect("the address is free again");
    });
}
