use std::net::SocketAddr;

use super::*;
use crate::env::Env;

const TO: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn place(peer: &Arc<Peer>, now: Instant) -> Place {
    match peer.way(&Address::new("a:1"), now, true, || 5) {
        Way::Datagram(place) => place,
        _ => panic!("a session is open"),
    }
}

#[test]
fn how_long_a_peer_works_on_a_request_is_no_round_trip() {
    let start = Env::system().now();
    let peer = Arc::new(Peer::new(8, start));
    assert!(matches!(peer.way(&Address::new("a:1"), start, true, || 5), Way::Introduce(5)));
    assert!(peer.introducing(start, 5, 0));
    let session = SessionId { number: 1, cookie: 2 };
    let offer = Header { slot: 8, ..Header::introduction(5, 0).answered(PacketKind::Offer) };
    assert!(peer.offered(Link { address: TO, seal: None }, &offer, session, start + ms(1)));
    // Twenty in a row, each of which waits for others there.
    let mut now = start + ms(1);
    for sequence in 1..=20 {
        let place = place(&peer, now);
        let header = Header { kind: PacketKind::Request, slot: 0, session, sequence, attempt: 0, left_ms: 9 };
        let first = place.attempt(now).expect("the first");
        now += first.wait;
        place.attempt(now).expect("again");
        now += ms(1);
        let working = Header { attempt: 1, ..header.answered(PacketKind::Working) };
        assert!(peer.answered(&working, &[], now));
        now += ms(900);
        assert!(peer.answered(&header.answered(PacketKind::Reply), b"reply", now));
    }
    assert_eq!(place(&peer, now).attempt(now).expect("the first").wait, super::super::rtt::RTO_MIN);
}
