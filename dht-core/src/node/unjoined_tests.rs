//! A node that is in no ring yet.

use std::time::Duration;

use crate::ring::record::{RingId, test_record};
use crate::transport::{Answer, Call};
use crate::wire::message::{Head, Request, Response};
use crate::{Config, Dht, ErrorKind};

/// An address where nobody listens.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound").to_string()
}

/// A ring that takes it for another node, which was at its address before, tells it what it knows: nothing of that is its own, and the
/// ring that it founds, or joins, begins without.
#[tokio::test]
async fn what_a_foreign_ring_tells_is_not_taken_over() {
    let (seeds, request_timeout) = (vec![nobody().await], Duration::from_millis(300));
    let dht = Dht::start(Config { seeds, request_timeout, ..Config::default() }).await.expect("it goes on trying");
    let node = dht.node().expect("it runs");
    let head = Head { ring_id: Some(RingId(9)), sender: 5, ..Head::default() };
    let records = || vec![test_record("foreign")];
    let ask = |body| match node.serve(Call { head, body }) {
        Answer::Now(reply) => reply.body,
        _ => panic!("it takes no time"),
    };
    let pong = ask(Request::Ping { boot: 0, records: records() });
    assert!(matches!(pong, Response::Pong { .. }), "it lives: {pong:?}");
    let told = [
        Request::Exchange { records: records(), wanted: Vec::new(), lists: Vec::new() },
        Request::Merge { ring_id: RingId(9), records: records() },
    ];
    for body in told {
        let refused = ask(body);
        assert!(matches!(&refused, Response::Failure(e) if e.kind() == ErrorKind::NotJoined), "{refused:?}");
    }
    let known = || dht.members().expect("it runs").len();
    assert_eq!(known(), 1);
    // Whatever it has heard of otherwise is not of the ring that it founds.
    node.learn(&records());
    assert_eq!(known(), 2);
    node.found();
    assert_eq!((known(), dht.ring().expect("it runs").nodes.len()), (1, 1));
    dht.stop().await;
}
