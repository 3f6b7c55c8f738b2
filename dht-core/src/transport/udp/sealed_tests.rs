//! What is seen of sealed datagrams on the way, and what can be done with it: nothing.

use std::sync::Mutex;
use std::sync::atomic::Ordering::SeqCst;

use super::super::security::testing::{secured, with_key};
use super::packet::{DATAGRAM_MAX, Format, Header};
use super::tests::{Echo, ask, asked, options, soon, transport};
use super::*;

async fn sealed(name: &str) -> UdpTransport {
    transport(TcpOptions { security: secured(&with_key("a secret")), ..options(name) }).await
}

/// Passes on what comes to `front`, and connections, both ways, and keeps every datagram.
pub(super) async fn wiretap(to: &UdpTransport) -> (Address, Arc<Mutex<Vec<Vec<u8>>>>, tokio::task::JoinSet<()>) {
    let target: SocketAddr = to.local_address().as_str().parse().expect("an address");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let front = UdpSocket::bind(address).await.expect("the port is free for datagrams, too");
    let (kept, mut tasks) = (Arc::new(Mutex::new(Vec::new())), tokio::task::JoinSet::new());
    let heard = kept.clone();
    tasks.spawn(async move {
        let (mut caller, mut buffer) = (target, [0; 2_000]);
        while let Ok((len, from)) = front.recv_from(&mut buffer).await {
            let onward = if from == target { caller } else { target };
            if from != target {
                caller = from;
            }
            heard.lock().expect("no panic").push(buffer[..len].to_vec());
            front.send_to(&buffer[..len], onward).await.expect("passed on");
        }
    });
    tasks.spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.expect("no error");
            let mut far = tokio::net::TcpStream::connect(target).await.expect("listening");
            tokio::spawn(async move { drop(tokio::io::copy_bidirectional(&mut near, &mut far).await) });
        }
    });
    (Address::new(&address.to_string()), kept, tasks)
}

/// Waits until `at` has counted so many errors.
pub(super) async fn erred(at: &UdpTransport, count: u64) {
    let counted = async {
        while at.traffic().network_errors < count {
            tokio::task::yield_now().await;
        }
    };
    let now = || at.traffic().network_errors;
    tokio::time::timeout(Duration::from_secs(20), counted).await.unwrap_or_else(|_| panic!("{} of {count}", now()));
}

#[tokio::test]
async fn sealed_datagrams_that_come_again_change_nothing_and_get_no_answer() {
    let (a, b) = (sealed("a").await, sealed("b").await);
    let served = Arc::new(Echo::default());
    b.accept(served.clone());
    let (to, kept, _tasks) = wiretap(&b).await;
    for word in ["a word that is not seen", "another", "one more"] {
        a.call(&to, ask(word), soon()).await.expect("answered");
    }
    let kept = std::mem::take(&mut *kept.lock().expect("no panic"));
    assert!(kept.len() >= 8, "an introduction, three requests, and what answers them: {}", kept.len());
    for datagram in &kept {
        assert!(datagram.len() <= DATAGRAM_MAX);
        assert!(!datagram.windows(6).any(|bytes| bytes == b"a word"), "it can be read on the way");
    }
    let (errors, asked_before) = (b.traffic().network_errors, served.0.load(SeqCst));
    let again = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    again.connect(b.local_address().as_str()).await.expect("an address");
    for datagram in &kept {
        again.send(datagram).await.expect("said again");
    }
    erred(&b, errors + kept.len() as u64).await;
    assert_eq!(served.0.load(SeqCst), asked_before);
    assert!(again.try_recv(&mut [0; 100]).is_err(), "nothing comes back");
    // The two of them go on.
    a.call(&to, ask("and on"), soon()).await.expect("answered");
    a.close().await;
    b.close().await;
}

#[tokio::test]
async fn what_is_not_sealed_is_dropped_without_an_answer() {
    let b = sealed("b").await;
    let served = Arc::new(Echo::default());
    b.accept(served.clone());
    let stranger = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    stranger.connect(b.local_address().as_str()).await.expect("an address");
    let plain = Format::new("test").encode(&Header::introduction(5, 0), &[]).expect("short");
    let mut unknown = [0x55; 100];
    unknown[..4].copy_from_slice(&[0xd4, 0x7c, 1, 0]);
    let wrong: [&[u8]; 5] = [plain.as_bytes(), &unknown, &unknown[..20], &[0; 1_300], b""];
    for bytes in wrong {
        stranger.send(bytes).await.expect("sent");
    }
    erred(&b, wrong.len() as u64).await;
    assert!(stranger.try_recv(&mut [0; 100]).is_err(), "nothing comes back");
    assert_eq!(served.0.load(SeqCst), 0);
    b.close().await;
}

#[tokio::test]
async fn the_longest_message_of_a_sealed_datagram_fits_and_a_longer_one_takes_a_connection() {
    let (a, b) = (sealed("a").await, sealed("b").await);
    b.accept(Arc::new(Echo::default()));
    let empty = crate::wire::encode_call(&ask("")).len();
    let (to, kept, _tasks) = wiretap(&b).await;
    a.call(&to, ask("first"), soon()).await.expect("answered");
    for over in [0, 1] {
        kept.lock().expect("no panic").clear();
        // Two bytes more for the length of a longer word.
        let word = "w".repeat(a.shared.payload_max() - empty - 4 + over * 8);
        let reply = a.call(&to, ask(&word), soon()).await.expect("answered");
        drop(reply);
        let longest = kept.lock().expect("no panic").iter().map(Vec::len).max().unwrap_or(0);
        assert_eq!(longest > 1_190 && longest <= DATAGRAM_MAX, over == 0, "{longest} bytes, {over}");
    }
    a.close().await;
    b.close().await;
}

#[tokio::test]
async fn a_peer_that_was_started_anew_gets_a_new_key() {
    let (a, b) = (sealed("a").await, sealed("b").await);
    b.accept(Arc::new(Echo::default()));
    assert_eq!(asked(&a, &b, "hello").await.as_deref(), Ok("hello"));
    let key = a.shared.peers.known(&b.local_address()).expect("known").sealed().expect("sealed");
    let to = b.local_address();
    b.close().await;
    let security = secured(&with_key("a secret"));
    let again = transport(TcpOptions { bind: Some(to.as_str().to_owned()), security, ..options("b") }).await;
    let served = Arc::new(Echo::default());
    again.accept(served.clone());
    // What is asked of the one that is gone is broken as soon as that is found out, long before its deadline.
    let broken = tokio::time::timeout(Duration::from_secs(20), a.call(&to, ask("lost"), soon())).await;
    match broken.expect("it is found out") {
        Err(TransportError::Broken(_)) | Ok(_) => {}
        Err(error) => panic!("{error}"),
    }
    let datagrams = async {
        while a.shared.peers.known(&to).and_then(|peer| peer.sealed().filter(|_| peer.open())).is_none_or(|k| k == key)
        {
            assert_eq!(asked(&a, &again, "hello").await.as_deref(), Ok("hello"));
        }
    };
    tokio::time::timeout(Duration::from_secs(60), datagrams).await.expect("datagrams are sealed anew");
    a.close().await;
    again.close().await;
}

#[tokio::test]
async fn nodes_with_other_keys_exchange_no_datagram() {
    let (a, b) = (sealed("a").await, sealed("b").await);
    let stranger = transport(TcpOptions { security: secured(&with_key("another")), ..options("c") }).await;
    b.accept(Arc::new(Echo::default()));
    a.call(&b.local_address(), ask("hello"), soon()).await.expect("answered");
    let error = asked(&stranger, &b, "hello").await.expect_err("another key");
    assert!(matches!(error, TransportError::Unauthenticated(_)), "{error}");
    a.close().await;
    b.close().await;
    stranger.close().await;
}
