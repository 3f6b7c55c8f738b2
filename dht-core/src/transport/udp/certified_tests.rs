//! Datagrams between nodes that know each other by certificates alone.

use std::sync::atomic::Ordering::SeqCst;

use super::super::call_error;
use super::super::security::testing::{Authority, secured, with_tls};
use super::packet::{Format, Header, PacketKind};
use super::sealed_tests::{erred, wiretap};
use super::tests::{Echo, ask, asked, options, soon, transport};
use super::*;
use crate::wire::encode_call;

/// With a certificate of that authority, and no key.
async fn certified(name: &str, authority: &Authority) -> UdpTransport {
    transport(TcpOptions { security: secured(&with_tls(name, &authority.node(name))), ..options(name) }).await
}

#[tokio::test]
async fn nodes_with_certificates_of_one_authority_talk_in_sealed_datagrams() {
    let authority = Authority::new();
    let (a, b) = (certified("a", &authority).await, certified("b", &authority).await);
    let served = Arc::new(Echo::default());
    b.accept(served.clone());
    let (to, kept, _tasks) = wiretap(&b).await;
    let words = ["a word that is not seen", "another", "one more"];
    for word in words {
        a.call(&to, ask(word), soon()).await.expect("answered");
    }
    assert_eq!(served.0.load(SeqCst), words.len());
    let kept = std::mem::take(&mut *kept.lock().expect("no panic"));
    assert!(kept.len() >= 8, "an introduction, three requests, and what answers them: {}", kept.len());
    for datagram in &kept {
        assert_eq!(datagram[..2], [0xd4, 0x7c], "not sealed");
        assert!(!datagram.windows(6).any(|bytes| bytes == b"a word"), "it can be read on the way");
    }
    a.close().await;
    b.close().await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_for_another_node_is_refused() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (a, b) = (certified("a", &ours).await, certified("b", &ours).await);
    let stranger = certified("c", &theirs).await;
    // A member that says that it is another one.
    let security = secured(&with_tls("c", &ours.node("c")));
    let liar = transport(TcpOptions { security, ..options("a") }).await;
    for node in [&a, &b, &stranger, &liar] {
        node.accept(Arc::new(Echo::default()));
    }
    assert_eq!(asked(&a, &b, "hello").await.as_deref(), Ok("hello"));
    for (from, to) in [(&stranger, &b), (&b, &stranger), (&liar, &b), (&b, &liar)] {
        let error = asked(from, to, "hello").await.expect_err("they do not know each other");
        assert!(matches!(error, TransportError::Unauthenticated(_)), "{error}");
        assert!(error.not_sent());
        assert_eq!(call_error(error).kind(), ErrorKind::Auth);
    }
    for node in [a, b, stranger, liar] {
        node.close().await;
    }
}

#[tokio::test]
async fn a_plain_datagram_to_a_node_with_certificates_is_not_served() {
    let authority = Authority::new();
    let (a, b) = (certified("a", &authority).await, certified("b", &authority).await);
    let served = Arc::new(Echo::default());
    b.accept(served.clone());
    assert_eq!(asked(&a, &b, "hello").await.as_deref(), Ok("hello"));
    // From the address and in the session of a, so that nothing but the seal is missing.
    let peer = a.shared.peers.known(&b.local_address()).expect("known");
    let (session, to, _) = peer.one_way(a.shared.env.now()).expect("datagrams are used");
    let request = Header { kind: PacketKind::Request, slot: 5, session, sequence: 9, attempt: 0, left_ms: 30_000 };
    let one_way = Header { kind: PacketKind::OneWay, ..request };
    let errors = b.traffic().network_errors;
    let socket = a.shared.socket().expect("open");
    for (header, payload) in [(request, encode_call(&ask("hello"))), (one_way, encode_call(&ask("hello")))] {
        let plain = Format::new("test").encode(&header, &payload).expect("short");
        socket.send_to(plain.as_bytes(), to.address).await.expect("sent");
    }
    erred(&b, errors + 2).await;
    assert_eq!(served.0.load(SeqCst), 1, "only what was sealed");
    // Whoever asks for a session in plain words gets none.
    let stranger = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    let introduction = Format::new("test").encode(&Header::introduction(5, 0), &[]).expect("short");
    stranger.send_to(introduction.as_bytes(), to.address).await.expect("sent");
    erred(&b, errors + 3).await;
    assert!(stranger.try_recv(&mut [0; 100]).is_err(), "nothing comes back");
    a.close().await;
    b.close().await;
}
