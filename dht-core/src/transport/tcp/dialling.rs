//! From "host:port" to a socket: the addresses of a name are tried one after the other.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::super::names::{Found, Names};
use crate::env::Env;
use crate::ring::record::Address;

/// A socket to one of the addresses that `to` stands for. Together with the name service they have `within`, of which that
/// gets half: what it leaves is not so little that its slowness looks like their silence. Each has an equal part of what is
/// left, so that one that is silent leaves time for the others.
///
/// # Errors
/// `TimedOut` if one was silent, else `ConnectionRefused` if one refused, else the last failure: the less it says of the
/// peer, the sooner it is told. A name service that is silent says nothing of it: `Other`; nor do addresses that it said
/// before it failed: that is what it failed with.
pub(super) async fn dial_any(names: &Names, to: &Address, within: Duration, env: &Env) -> io::Result<TcpStream> {
    dial_found(|until| names.addresses(to, until), within, env).await
}

async fn dial_found<F: Future<Output = io::Result<Found>>>(
    lookup: impl FnOnce(Instant) -> F,
    within: Duration,
    env: &Env,
) -> io::Result<TcpStream> {
    let until = env.after(within);
    let found = lookup(env.halfway(until)).await?;
    let dialled = dial_each(&found.addresses, until, env).await;
    match found.outdated {
        // What the peer did where it is no more says nothing of it.
        Some(error) => dialled.map_err(|_| error),
        None => dialled,
    }
}

async fn dial_each(addresses: &[SocketAddr], until: Instant, env: &Env) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (tried, address) in addresses.iter().enumerate() {
        let now = env.now();
        let part = until.saturating_duration_since(now) / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let error = match timeout_at(now + part, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => return Ok(socket),
            Ok(Err(error)) => error,
            Err(silent) => silent.into(),
        };
        if weight(&error) >= weight(&failed) {
            failed = error;
        }
    }
    Err(failed)
}

fn weight(error: &io::Error) -> u8 {
    match error.kind() {
        io::ErrorKind::TimedOut => 2,
        io::ErrorKind::ConnectionRefused => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::{join_all, poll_immediate};
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    #[tokio::test]
    async fn a_silent_address_leaves_time_for_the_next() {
        let env = Env::system();
        // A listener that accepts nothing is silent to those who come when its queue is full.
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(LOCAL).expect("a free port");
        let full = socket.listen(1).expect("listens");
        let silent = full.local_addr().expect("bound");
        let mut waiting = Box::pin(join_all((0..16).map(|_| TcpStream::connect(silent))));
        assert!(poll_immediate(&mut waiting).await.is_none(), "more than the queue holds");
        let listener = TcpListener::bind(LOCAL).await.expect("a free port");
        let answers = listener.local_addr().expect("bound");
        let socket = dial_each(&[silent, answers], env.after(Duration::from_secs(2)), &env).await.expect("it answers");
        assert_eq!(socket.peer_addr().expect("connected"), answers);
        // A silent one weighs more than one that refuses, wherever it stands.
        let refuses = TcpListener::bind(LOCAL).await.expect("a free port").local_addr().expect("bound");
        for both in [[silent, refuses], [refuses, silent]] {
            let error = dial_each(&both, env.after(Duration::from_millis(200)), &env).await.expect_err("nobody");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{both:?}");
        }
        let error = dial_each(&[refuses, refuses], env.after(Duration::from_secs(20)), &env).await.expect_err("nobody");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_name_service_is_not_taken_for_a_silent_peer() {
        let second = Duration::from_secs(1);
        let (names, peer) = (Names::default(), Address::new("peer.test:7"));
        let dial = async |takes| {
            let lookup = async {
                tokio::time::sleep(takes).await;
                Ok(std::iter::empty())
            };
            let looked_up = |until| names.looked_up(&peer, lookup, until);
            dial_found(looked_up, second, &Env::system()).await.expect_err("no address").kind()
        };
        assert_eq!(dial(second * 2 / 5).await, io::ErrorKind::NotFound);
        assert_eq!(dial(second * 3 / 5).await, io::ErrorKind::Other, "what is left would be little for the peer");
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_no_silence() {
        let error = dial_any(
            &Names::default(),
            &Address::new("no.such.name.invalid:1"),
            Duration::from_secs(20),
            &Env::system(),
        )
        .await;
        assert_ne!(error.expect_err("no name").kind(), io::ErrorKind::TimedOut);
    }
}
