//! Who gets in and who does not, and what they are told.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::security::testing::{Authority, Files, loaded, name, secured, with_key, with_tls};
use super::super::security::{Opening, shake_hands};
use super::super::{Answer, call_error};
use super::channel::{SEALED_KEPT, Sink, Source, ends};
use super::tests::{Echo, ask, asked, connections, options, soon, transport};
use super::*;
use crate::config::{Config, Secret};
use crate::data::record::{Format, OpId, Value};
use crate::wire::frame::HEADER_LEN;
use crate::wire::hello::Acceptance;
use crate::wire::message::{Action, Operation, Request};

/// A transport of the cluster "test" that is secured as `config` says, and answers.
async fn node(name: &str, config: &Config) -> TcpTransport {
    let transport = transport(TcpOptions { security: secured(config), ..options(name) }).await;
    transport.accept(Arc::new(Echo));
    transport
}

fn plain() -> Config {
    Config::default()
}

/// Waits until `count` errors are counted at `at`.
async fn erred(at: &TcpTransport, count: u64) {
    let counted = async {
        while at.traffic().network_errors < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), counted).await.expect("the error is counted");
}

/// What `a` is told when it asks `b`, which must be that they do not know each other; and counted.
async fn refused(a: (&str, &Config), b: (&str, &Config)) -> String {
    let (a, b) = (node(a.0, a.1).await, node(b.0, b.1).await);
    let error = asked(&a, &b, "hello").await.expect_err("they do not know each other");
    let TransportError::Unauthenticated(reason) = &error else { panic!("{error}") };
    assert!(error.not_sent());
    assert_eq!(call_error(error.clone()).kind(), ErrorKind::Auth);
    assert_eq!(a.traffic().network_errors, 1);
    // The listener is done with a peer later than the peer with it.
    connections(&b, 0).await;
    a.close().await;
    b.close().await;
    reason.clone()
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_told_what_to_check() {
    let reason = refused(("a", &with_key("the right secret")), ("b", &with_key("the wrong secret"))).await;
    assert!(reason.contains("same cluster_key"), "{reason}");
    assert!(!reason.contains("secret"), "{reason}");
    // The name of the cluster is in the key.
    let other = Config { cluster_name: "other".to_owned(), ..with_key("the right secret") };
    let reason = refused(("a", &with_key("the right secret")), ("b", &other)).await;
    assert!(reason.contains("cluster_name"), "{reason}");
}

#[tokio::test]
async fn secured_and_plain_nodes_tell_each_other_at_once() {
    let authority = Authority::new();
    let tls = with_tls("tls", &authority.node("tls"));
    for (secured, words) in [(with_key("k"), "cluster_key"), (tls, "tls")] {
        let reason = refused(("a", &plain()), ("b", &secured)).await;
        assert!(reason.contains("the peer wants") && reason.contains(words), "{reason}");
        let reason = refused(("a", &secured), ("b", &plain())).await;
        assert!(reason.contains("the peer is not secured") && reason.contains(words), "{reason}");
    }
}

#[tokio::test]
async fn nodes_that_are_secured_differently_tell_each_other() {
    let authority = Authority::new();
    let tls = with_tls("n", &authority.node("n"));
    let both = Config { cluster_key: Some(Secret::new("k")), ..tls.clone() };
    let ways = [with_key("k"), tls, both];
    for (i, a) in ways.iter().enumerate() {
        for (j, b) in ways.iter().enumerate() {
            if i != j {
                let reason = refused(("n", a), ("n", b)).await;
                assert!(reason.contains("secured in another way"), "{i} {j}: {reason}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_and_certificates_together_are_both_wanted() {
    let authority = Authority::new();
    let both =
        |name: &str, key: &str| Config { cluster_key: Some(Secret::new(key)), ..with_tls(name, &authority.node(name)) };
    let (a, b) = (node("a", &both("a", "k")).await, node("b", &both("b", "k")).await);
    asked(&a, &b, "hello").await.expect("both fit");
    a.close().await;
    b.close().await;
    let reason = refused(("a", &both("a", "k")), ("b", &both("b", "l"))).await;
    assert!(reason.contains("same cluster_key"), "{reason}");
}

#[tokio::test]
async fn after_something_large_a_connection_gives_its_room_back() {
    let config = with_key("a secret");
    let (a, b) = (node("a", &config).await, node("b", &config).await);
    asked(&a, &b, "hello").await.expect("answered");
    let Way::Open(connection) =
        a.shared.way(&b.local_address(), Lane::Calls, Weight::Ordinary, || unreachable!("it is open"))
    else {
        panic!("it is not open");
    };
    assert!(connection.sealed_room() <= SEALED_KEPT);
    // Not so large that it takes the other connection.
    let bytes = Bytes::from(vec![1; 200_000]);
    let action = Action::Put { value: Value { format: Format::Bytes, bytes }, ttl_ms: 0 };
    let operation = Operation { id: OpId { origin: 1, sequence: 1 }, map: 0, key: Bytes::new(), action };
    let body = Request::Apply { operations: vec![operation], level: crate::Consistency::One, relay: false, rings: 0 };
    a.call(&b.local_address(), Call { body, ..ask("") }, soon()).await.expect("answered");
    for _ in 0..2 {
        asked(&a, &b, "hello").await.expect("answered");
    }
    assert!(connection.sealed_room() <= SEALED_KEPT, "{}", connection.sealed_room());
    a.close().await;
    b.close().await;
}

#[tokio::test]
async fn a_rotation_goes_node_by_node_in_any_order() {
    let keys = ["old", "old,new", "new , old", "new"].map(with_key);
    for (i, a) in keys.iter().enumerate() {
        for (j, b) in keys.iter().enumerate() {
            if i.abs_diff(j) == 3 {
                refused(("a", a), ("b", b)).await;
                continue;
            }
            let (a, b) = (node("a", a).await, node("b", b).await);
            asked(&a, &b, "hello").await.unwrap_or_else(|error| panic!("{i} to {j}: {error}"));
            a.close().await;
            b.close().await;
        }
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_by_either_side() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let a = with_tls("a", &ours.node("a"));
    let b = with_tls("b", &theirs.node("b"));
    let reason = refused(("a", &a), ("b", &b)).await;
    assert!(reason.contains("certificate is not accepted") && reason.contains("tls.ca here"), "{reason}");
    // Only the listener does not trust the dialler: the dialler trusts both.
    let trusted = ours.dir().join("both.pem");
    let pem = [ours.ca(), theirs.ca()].map(|path| std::fs::read_to_string(path).expect("there")).concat();
    std::fs::write(&trusted, pem).expect("written");
    let a = with_tls("a", &Files { ca: trusted, ..ours.node("a") });
    let reason = refused(("a", &a), ("b", &b)).await;
    assert!(reason.contains("does not accept this node") && reason.contains("tls.ca there"), "{reason}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let (a, b) = (authority.node("a"), authority.node("b"));
    let (a, b) = (with_tls("a", &a), (with_tls("b", &b), b));
    let (a, reloading) = (node("a", &a).await, node("b", &b.0).await);
    asked(&a, &reloading, "hello").await.expect("both fit");
    let expired = authority.with(|params| {
        name(params, "c");
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    });
    let error = loaded(&with_tls("c", &expired)).expect_err("expired");
    assert!(error.kind() == ErrorKind::Config && error.context().contains("expired"), "{error}");
    a.close().await;
    reloading.close().await;
}

/// A node that says it is another one than its certificate is for.
#[tokio::test]
async fn a_certificate_is_good_for_its_own_node_id_only() {
    let authority = Authority::new();
    let (a, b) = (with_tls("a", &authority.node("a")), with_tls("b", &authority.node("b")));
    // The listener lies, then the dialler.
    let reason = refused(("a", &a), ("c", &b)).await;
    assert!(reason.contains("node_id is \"c\"") && reason.contains("for node_id \"b\""), "{reason}");
    let reason = refused(("c", &a), ("b", &b)).await;
    assert!(reason.contains("node_id is \"c\"") && reason.contains("for node_id \"a\""), "{reason}");
}

#[tokio::test]
async fn own_certificates_that_do_not_fit_are_refused_at_start() {
    let (authority, other) = (Authority::new(), Authority::new());
    let good = authority.node("a");
    let missing = authority.dir().join("missing.pem");
    let garbage = authority.dir().join("garbage.pem");
    std::fs::write(&garbage, "-----BEGIN CERTIFICATE-----\n!!\n").expect("written");
    let unnamed = authority.with(|_| {});
    let dns_only = authority.with(|params| {
        params.subject_alt_names.push(rcgen::SanType::DnsName("a".try_into().expect("ASCII")));
    });
    let server_only = authority.with(|params| {
        name(params, "a");
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    let mut cases = vec![
        (authority.node("b"), "tls.cert", "is for [\"b\"], and node_id is \"a\""),
        (unnamed, "tls.cert", "URI:dht:a"),
        (dns_only, "tls.cert", "URI:dht:a"),
        (server_only, "tls.cert", "as a dialler"),
    ];
    let changed = |change: &dyn Fn(&mut Files)| {
        let mut files = good.clone();
        change(&mut files);
        files
    };
    for (part, wanted) in [(&missing, "cannot be read"), (&garbage, "PEM")] {
        cases.push((changed(&|f| f.cert.clone_from(part)), "tls.cert", wanted));
        cases.push((changed(&|f| f.key.clone_from(part)), "tls.key", wanted));
        cases.push((changed(&|f| f.ca.clone_from(part)), "tls.ca", wanted));
    }
    cases.push((changed(&|f| f.key = authority.node("a").key), "tls.key", "not the key of the certificate"));
    cases.push((changed(&|f| f.ca = other.ca()), "tls.cert", "would not accept it"));
    for (files, key, wanted) in cases {
        let error = loaded(&with_tls("a", &files)).expect_err(wanted);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.context().starts_with(&format!("{key} = ")) && error.context().contains(wanted), "{error}");
    }
    assert!(loaded(&with_tls("a", &good)).is_ok());
}

#[test]
fn a_key_whose_line_ends_were_lost_is_not_shown() {
    let authority = Authority::new();
    let good = authority.node("a");
    let pem = std::fs::read_to_string(&good.key).expect("a key");
    let secret = pem.lines().nth(1).expect("a line of the key");
    let bytes = format!("{:?}", secret.as_bytes());
    let in_list = bytes.trim_matches(['[', ']']);
    let half = format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE");
    for (what, text) in [("one line", pem.replace('\n', " ")), ("cut", half), ("not base64", pem.replace(secret, "%%"))]
    {
        std::fs::write(&good.key, &text).expect("written");
        // Also where it is taken for a certificate.
        for files in [good.clone(), Files { cert: good.key.clone(), ..good.clone() }] {
            let error = loaded(&with_tls("a", &files)).expect_err(what);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("PEM") && !shown.contains(secret) && !shown.contains(in_list), "{what}: {shown}");
        }
    }
}

#[tokio::test]
async fn new_certificates_are_used_without_a_restart_and_broken_ones_are_not() {
    let (old, new) = (Authority::new(), Authority::new());
    let files = old.node("b");
    let b = node("b", &with_tls("b", &files)).await;
    let of_old = || async { node("a", &with_tls("a", &old.node("a"))).await };
    let of_new = || async { node("a", &with_tls("a", &new.node("a"))).await };
    let fits = async |from: TcpTransport| {
        let fits = asked(&from, &b, "hello").await.is_ok();
        from.close().await;
        fits
    };
    assert!(fits(of_old().await).await);
    assert!(!fits(of_new().await).await);
    // Half of a change, and no certificate at all: what was there goes on.
    for half in ["no certificate", ""] {
        std::fs::write(&files.cert, half).expect("written");
        assert!(fits(of_old().await).await, "{half:?}");
    }
    new.write(&files, |params| name(params, "b"));
    assert!(fits(of_old().await).await, "a certificate that its own authority does not stand behind");
    std::fs::copy(new.ca(), &files.ca).expect("copied");
    assert!(fits(of_new().await).await);
    b.close().await;
}

/// Passes bytes on between two ends and keeps what the dialler said.
async fn wiretap(to: &Address) -> (Address, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = Address::new(&listener.local_addr().expect("bound").to_string());
    let (heard, to) = (Arc::new(Mutex::new(Vec::new())), to.clone());
    let kept = heard.clone();
    tokio::spawn(async move {
        let (from, _) = listener.accept().await.expect("dialled");
        let onward = TcpStream::connect(to.as_str()).await.expect("listening");
        let ((mut from_read, mut from_write), (mut to_read, mut to_write)) = (from.into_split(), onward.into_split());
        tokio::spawn(async move { tokio::io::copy(&mut to_read, &mut from_write).await });
        let mut buffer = [0; 4_096];
        while let Ok(read @ 1..) = from_read.read(&mut buffer).await {
            kept.lock().expect("no panic").extend_from_slice(&buffer[..read]);
            to_write.write_all(&buffer[..read]).await.expect("passed on");
        }
    });
    (address, heard)
}

/// Counts what it is asked.
struct Counting(Arc<Mutex<u32>>);

impl Service for Counting {
    fn serve(&self, call: Call) -> Answer {
        *self.0.lock().expect("no panic") += 1;
        Echo.serve(call)
    }
}

#[tokio::test]
async fn a_replayed_session_changes_nothing() {
    let authority = Authority::new();
    let tls = |name: &str| with_tls(name, &authority.node(name));
    let key = |_: &str| with_key("a secret");
    for security in [&tls as &dyn Fn(&str) -> Config, &key] {
        let (a, b) = (node("a", &security("a")).await, node("b", &security("b")).await);
        let asked = Arc::new(Mutex::new(0));
        b.accept(Arc::new(Counting(asked.clone())));
        let (tapped, heard) = wiretap(&b.local_address()).await;
        a.call(&tapped, ask("a word that is not seen"), soon()).await.expect("passed on");
        assert_eq!(*asked.lock().expect("no panic"), 1);
        let capture = heard.lock().expect("no panic").clone();
        assert!(!capture.windows(6).any(|bytes| bytes == b"a word"), "it can be read on the way");
        let errors = b.traffic().network_errors;
        let mut replay = TcpStream::connect(b.local_address().as_str()).await.expect("listening");
        replay.write_all(&capture).await.expect("said again");
        let mut answer = Vec::new();
        // It ends by itself: what it says does not fit the listener's new key share.
        let end = tokio::time::timeout(Duration::from_secs(20), replay.read_to_end(&mut answer)).await;
        end.expect("the listener hangs up")
            .map(drop)
            .unwrap_or_else(|error| assert!(error.to_string().contains("reset")));
        assert_eq!(*asked.lock().expect("no panic"), 1, "the request was carried out again");
        erred(&b, errors + 1).await;
        assert_eq!(b.traffic().connections, 1);
        a.close().await;
        b.close().await;
    }
}

/// Speaks TLS and nothing of ours over `socket`: what was said first, and the way back.
async fn channel(socket: TcpStream, tls: rustls::Connection) -> (Source, Sink) {
    let (session, cipher) = shake_hands(tls, &socket, |_, _| {}, |_| None::<()>)
        .await
        .expect("TLS alone proves nothing")
        .expect("nothing is unwanted");
    ends(socket, Some(Opening::new(session, cipher)))
}

async fn first_words(source: &mut Source) -> Bytes {
    let mut words = vec![0; 4_096];
    let len = source.read(&mut words).await.expect("said");
    words.truncate(len);
    words.into()
}

/// Somebody without the key sits between two nodes, has a TLS session with each, and passes on what they say.
#[tokio::test]
async fn a_proof_is_worth_nothing_in_another_session() {
    let config = with_key("a secret");
    let (a, b) = (node("a", &config).await, node("b", &config).await);
    let relay = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let relayed = Address::new(&relay.local_addr().expect("bound").to_string());
    let onward = b.local_address();
    let middle = tokio::spawn(async move {
        let security = secured(&with_key("another secret")).expect("a key");
        let (from, _) = relay.accept().await.expect("dialled");
        let (mut from, _back) = channel(from, security.answer().expect("TLS")).await;
        let words = first_words(&mut from).await;
        assert!(words.windows(7).any(|bytes| bytes == b"test\"\x01a"), "it is the hello of a: {words:?}");
        let to = TcpStream::connect(onward.as_str()).await.expect("listening");
        let (mut to, there) = channel(to, security.dial().expect("TLS")).await;
        there.write_all(words).await.expect("passed on");
        first_words(&mut to).await
    });
    let error = a.call(&relayed, ask("hello"), soon()).await.expect_err("the middle proves nothing");
    assert!(matches!(error, TransportError::Unreached { .. } | TransportError::Unauthenticated(_)), "{error}");
    let answer = middle.await.expect("no panic");
    let heard = Hello::decode(&answer[HEADER_LEN..]).expect("a hello");
    assert!(matches!(heard.acceptance, Acceptance::Unauthenticated(_)), "{heard:?}");
    assert_eq!(b.traffic().connections, 0);
    a.close().await;
    b.close().await;
}
