//! Streams: order, credit, and every way to end.

use crate::common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{LATENCY, Numbers, calm, pong, serving, text};
use dht_core::transport::{Answer, Call, Responses, Service, Transport, TransportError};
use dht_sim::scenarios::ping_storm::ping;
use dht_sim::{Crash, World};

const IDLE_MAX: Duration = Duration::from_secs(1);

struct Source {
    end: u64,
    asked: Arc<Mutex<u64>>,
}

impl Service for Source {
    fn serve(&self, call: Call) -> Answer {
        Answer::Stream(Box::new(Numbers { call, next: 0, end: self.end, asked: self.asked.clone() }))
    }
}

/// Opens a stream of that many numbers from node 1.
async fn stream(world: &World, end: u64) -> (Box<dyn Responses>, Arc<Mutex<u64>>) {
    let a = pong(world, 0);
    let asked = Arc::new(Mutex::new(0));
    let _b = serving(world, 1, Arc::new(Source { end, asked: asked.clone() }));
    let responses = a.open(&world.address(1), ping(0), IDLE_MAX).await.expect("opened");
    (responses, asked)
}

fn asked(counter: &Mutex<u64>) -> u64 {
    *counter.lock().expect("no test panics while it holds this")
}

fn alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[test]
fn a_stream_gives_everything_in_order_and_then_ends() {
    calm(|world| async move {
        let before = alive_tasks();
        let (mut responses, _) = stream(&world, 100).await;
        for number in 0..100 {
            assert_eq!(text(responses.next().await), Some(Ok(number.to_string())));
        }
        assert_eq!(text(responses.next().await), None);
        assert_eq!(text(responses.next().await), None);
        assert_eq!(alive_tasks(), before);
    });
}

#[test]
fn a_sender_waits_for_a_slow_reader() {
    calm(|world| async move {
        let (mut responses, counter) = stream(&world, 100).await;
        tokio::time::sleep(IDLE_MAX * 10).await;
        assert_eq!(asked(&counter), 8, "a window, and no more");
        for number in 0..100 {
            assert_eq!(text(responses.next().await), Some(Ok(number.to_string())));
        }
        assert_eq!(text(responses.next().await), None);
    });
}

#[test]
fn a_reader_that_goes_ends_the_sender() {
    calm(|world| async move {
        let before = alive_tasks();
        let (mut responses, _) = stream(&world, 100).await;
        assert_eq!(text(responses.next().await), Some(Ok("0".into())));
        assert_eq!(alive_tasks(), before + 1);
        drop(responses);
        tokio::time::sleep(LATENCY * 2).await;
        assert_eq!(alive_tasks(), before);
    });
}

#[test]
fn a_single_answer_is_a_stream_of_one() {
    calm(|world| async move {
        let (a, _b) = (pong(&world, 0), pong(&world, 1));
        let mut responses = a.open(&world.address(1), ping(0), IDLE_MAX).await.expect("opened");
        responses.next().await.expect("one").expect("a pong");
        assert!(responses.next().await.is_none());
    });
}

#[test]
fn a_stream_to_nobody_is_refused() {
    calm(|world| async move {
        let a = pong(&world, 0);
        let opened = a.open(&world.address(1), ping(0), IDLE_MAX).await;
        assert_eq!(opened.err(), Some(TransportError::Refused(world.address(1))));
    });
}

#[test]
fn a_crash_of_the_sender_breaks_the_stream() {
    calm(|world| async move {
        let (mut responses, _) = stream(&world, 100).await;
        assert_eq!(text(responses.next().await), Some(Ok("0".into())));
        world.network().crash(&world.address(1), Crash::Process);
        let mut last = responses.next().await;
        while let Some(Ok(_)) = last {
            last = responses.next().await;
        }
        assert_eq!(text(last), Some(Err(TransportError::Broken(world.address(1)))));
    });
}

#[test]
fn a_crash_of_the_reader_ends_the_sender() {
    calm(|world| async move {
        let before = alive_tasks();
        let (mut responses, _) = stream(&world, 100).await;
        assert_eq!(text(responses.next().await), Some(Ok("0".into())));
        world.network().crash(&world.address(0), Crash::Machine);
        tokio::time::sleep(LATENCY).await;
        assert_eq!(alive_tasks(), before);
    });
}

#[test]
fn a_lost_item_breaks_the_stream_and_a_cut_ends_it_by_the_idle_time() {
    calm(|world| async move {
        let (mut responses, _) = stream(&world, 100).await;
        for number in 0..4 {
            assert_eq!(text(responses.next().await), Some(Ok(number.to_string())));
        }
        // Items 4 to 7 are here; the credit that the fourth gave back brings 8 to 11, which are lost.
        world.network().configure(|config| config.loss = 1.0);
        tokio::time::sleep(LATENCY * 3 / 2).await;
        world.network().configure(|config| config.loss = 0.0);
        for number in 4..8 {
            assert_eq!(text(responses.next().await), Some(Ok(number.to_string())));
        }
        assert_eq!(text(responses.next().await), Some(Err(TransportError::Broken(world.address(1)))));
    });
    calm(|world| async move {
        let before = alive_tasks();
        let (mut responses, _) = stream(&world, 100).await;
        assert_eq!(text(responses.next().await), Some(Ok("0".into())));
        world.network().cut(&world.address(1), &world.address(0));
        let mut last = responses.next().await;
        let mut idle_since = world.now();
        while let Some(Ok(_)) = last {
            idle_since = world.now();
            last = responses.next().await;
        }
        assert_eq!(text(last), Some(Err(TransportError::Deadline(world.address(1)))));
        assert_eq!(world.now() - idle_since, IDLE_MAX);
        tokio::time::sleep(LATENCY * 2).await;
        assert_eq!(alive_tasks(), before, "the sender ended too");
    });
}
