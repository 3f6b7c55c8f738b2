//! What the network does to messages: delay, order, loss, bounds.

use crate::common;

use std::time::Duration;

use common::{LATENCY, Recorder, calm, never, pong, pong_to, serving, try_ping, with};
use dht_core::transport::{Answer, Transport, TransportError};
use dht_sim::scenarios::ping_storm::ping;
use dht_sim::{Latency, NetworkConfig};

const SECOND: Duration = Duration::from_secs(1);

fn now(call: dht_core::transport::Call) -> Answer {
    Answer::Now(pong_to(&call))
}

#[test]
fn a_call_takes_two_delays_and_is_counted() {
    calm(|world| async move {
        let (a, b) = (pong(&world, 0), pong(&world, 1));
        let (took, result) = try_ping(&world, &a, 1).await;
        result.expect("an answer");
        assert_eq!(took, LATENCY * 2);
        let (out, back) = (a.traffic(), b.traffic());
        assert_eq!((out.messages_sent, out.messages_received, out.connections), (1, 1, 1));
        assert_eq!((out.bytes_sent, out.bytes_received), (back.bytes_received, back.bytes_sent));
        assert!(out.bytes_sent > 24, "{out:?}");
    });
}

#[test]
fn nobody_and_no_service_refuse_after_two_delays() {
    calm(|world| async move {
        let a = pong(&world, 0);
        let _mute = world.network().endpoint(world.address(1));
        for to in [1, 2] {
            let (took, result) = try_ping(&world, &a, to).await;
            assert_eq!((took, result.map(|_| ())), (LATENCY * 2, Err(TransportError::Refused(world.address(to)))));
        }
        assert_eq!(a.traffic().network_errors, 2);
    });
}

#[test]
fn messages_of_one_pair_stay_in_order_unless_told_otherwise() {
    for reordering in [false, true] {
        let latency = Latency::Uniform { min: Duration::from_millis(1), max: Duration::from_millis(50) };
        with(NetworkConfig { latency, reordering, ..NetworkConfig::default() }, |world| async move {
            let a = pong(&world, 0);
            let recorder = Recorder::new(|_| Answer::Nothing);
            let _b = serving(&world, 1, recorder.clone());
            for number in 0..100 {
                a.send(&world.address(1), ping(number));
            }
            tokio::time::sleep(SECOND).await;
            let mut seen = recorder.seen();
            assert_eq!(seen.is_sorted(), !reordering, "{seen:?}");
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..100), "all of them, once");
        });
    }
}

#[test]
fn a_lost_message_costs_the_caller_its_deadline() {
    with(NetworkConfig { loss: 1.0, ..NetworkConfig::default() }, |world| async move {
        let (a, b) = (pong(&world, 0), pong(&world, 1));
        let (took, result) = try_ping(&world, &a, 1).await;
        assert_eq!((took, result.map(|_| ())), (SECOND, Err(TransportError::Deadline(world.address(1)))));
        assert_eq!(b.traffic().messages_received, 0);
        world.network().configure(|config| config.loss = 0.0);
        try_ping(&world, &a, 1).await.1.expect("an answer");
    });
}

#[test]
fn loss_takes_its_share() {
    with(NetworkConfig { loss: 0.1, ..NetworkConfig::default() }, |world| async move {
        let a = pong(&world, 0);
        let recorder = Recorder::new(|_| Answer::Nothing);
        let _b = serving(&world, 1, recorder.clone());
        for number in 0..10_000 {
            a.send(&world.address(1), ping(number));
            if number % 500 == 0 {
                tokio::time::sleep(SECOND).await;
            }
        }
        tokio::time::sleep(SECOND).await;
        let arrived = recorder.seen().len();
        assert!((8_800..9_200).contains(&arrived), "{arrived} of 10,000 arrived");
    });
}

#[test]
fn duplication_serves_a_request_twice_and_answers_it_once() {
    with(NetworkConfig { duplication: 1.0, ..NetworkConfig::default() }, |world| async move {
        let a = pong(&world, 0);
        let recorder = Recorder::new(now);
        let _b = serving(&world, 1, recorder.clone());
        try_ping(&world, &a, 1).await.1.expect("an answer");
        tokio::time::sleep(SECOND).await;
        assert_eq!(recorder.seen(), [1, 1]);
        assert_eq!((a.traffic().messages_sent, a.traffic().messages_received), (1, 2));
    });
}

#[test]
fn a_full_pair_is_overloaded_at_once_and_others_are_not() {
    let latency = Latency::Fixed(LATENCY);
    with(NetworkConfig { latency, pair_requests_max: 3, ..NetworkConfig::default() }, |world| async move {
        let a = pong(&world, 0);
        let _slow = serving(&world, 1, Recorder::new(never));
        let _fast = pong(&world, 2);
        let deadline = world.env().now() + SECOND;
        let calls: Vec<_> =
            (0..3).map(|number| tokio::spawn(a.call(&world.address(1), ping(number), deadline))).collect();
        tokio::time::sleep(LATENCY * 3).await;
        let (took, result) = try_ping(&world, &a, 1).await;
        assert_eq!((took, result.map(|_| ())), (Duration::ZERO, Err(TransportError::Overloaded(world.address(1)))));
        try_ping(&world, &a, 2).await.1.expect("another peer answers");
        for call in calls {
            let result = call.await.expect("no panic").map(|_| ());
            assert_eq!(result, Err(TransportError::Deadline(world.address(1))));
        }
    });
}

#[test]
fn room_comes_back_when_requests_end_however_they_end() {
    with(NetworkConfig { pair_requests_max: 2, loss: 0.5, ..NetworkConfig::default() }, |world| async move {
        let a = pong(&world, 0);
        let b = pong(&world, 1);
        for round in 0..50 {
            let (_, result) = try_ping(&world, &a, 1 + round % 2).await;
            assert!(!matches!(result, Err(TransportError::Overloaded(_))), "round {round}");
        }
        b.close().await;
        for _ in 0..20 {
            let (_, result) = try_ping(&world, &a, 1).await;
            assert!(!matches!(result, Err(TransportError::Overloaded(_))));
        }
    });
}

#[test]
fn a_message_over_the_bound_is_refused_before_it_leaves() {
    with(NetworkConfig { message_len_max: 4, ..NetworkConfig::default() }, |world| async move {
        let (a, _b) = (pong(&world, 0), pong(&world, 1));
        let deadline = world.env().now() + SECOND;
        let result = a.call(&world.address(1), ping(u64::MAX), deadline).await;
        assert!(matches!(result, Err(TransportError::TooLarge { len: 5.., bound: 4 })), "{result:?}");
        assert_eq!(a.traffic().messages_sent, 0);
    });
}

#[test]
fn names_resolve_to_what_they_were_given() {
    calm(|world| async move {
        let a = pong(&world, 0);
        world.network().name("seeds.test:7000", vec![world.address(1), world.address(2)]);
        assert_eq!(a.resolve("seeds.test:7000").await.expect("named"), [world.address(1), world.address(2)]);
        assert_eq!(a.resolve("10.0.0.9:1").await.expect("an address").len(), 1);
        let error = a.resolve("nowhere.test:7000").await.expect_err("not named");
        assert_eq!(error.kind(), dht_core::ErrorKind::Address);
    });
}
