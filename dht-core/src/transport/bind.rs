//! From the configuration to addresses: where to listen and what others dial.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::Address;

/// The address to listen at.
///
/// # Errors
/// `Address` if it does not resolve by `deadline`; `Insecure` if it resolves beyond loopback without permission.
pub(crate) async fn resolve_bind(config: &Config, deadline: Instant) -> Result<SocketAddr> {
    let unresolved = |reason: String| {
        let context = format!("address = {:?}: {reason}", config.address);
        Error::new(ErrorKind::Address, context)
    };
    let address = match config.address.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, config.port),
        Err(_) => in_time(deadline, tokio::net::lookup_host((config.address.as_str(), config.port)))
            .await
            .map_err(|e| unresolved(format!("does not resolve: {e}")))?
            .next()
            .ok_or_else(|| unresolved("resolves to nothing".to_owned()))?,
    };
    config.insecure_bind(address.ip())?;
    Ok(address)
}

/// What others dial: `advertise`, the bound address, or for an unspecified bind the source address towards the first seed
/// that resolves to another machine; without such a seed that of the default route, and loopback where there is none, or
/// where the seeds say loopback.
///
/// # Errors
/// `Address` if an unspecified bind finds no source address by `deadline`.
pub(crate) async fn advertised(config: &Config, bound: &Address, deadline: Instant) -> Result<Address> {
    let bound: SocketAddr = bound.as_str().parse().map_err(|e| {
        let context = format!("the bound address {bound} is no socket address: {e}");
        Error::new(ErrorKind::Internal, context)
    })?;
    if !config.advertise.is_empty() {
        return Ok(Address::new(&config.advertise));
    }
    if !bound.ip().is_unspecified() {
        return Ok(Address::new(&bound.to_string()));
    }
    // Where there are several seeds, half of the time is for what is to be done with them.
    let half = config.request_timeout / 2;
    let soon = if config.seeds.len() > 1 { deadline.checked_sub(half).unwrap_or(deadline) } else { deadline };
    let ip = source_towards(&config.seeds, bound, soon).await.map_err(|e| {
        let context = format!("address = {:?}: no address to advertise was found ({e}); set advertise", config.address);
        Error::new(ErrorKind::Address, context)
    })?;
    Ok(Address::new(&SocketAddr::new(ip, bound.port()).to_string()))
}

/// `looked_up`, unless the name service takes longer than until `deadline`.
async fn in_time<T>(deadline: Instant, looked_up: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the name service has not answered in time");
    tokio::time::timeout_at(deadline, looked_up).await.map_err(late)?
}

/// Addresses that are nobody's (documentation, RFC 5737 and RFC 3849): nothing is sent there.
const ELSEWHERE: [&str; 2] = ["192.0.2.1:9", "[2001:db8::1]:9"];

/// The source address of a datagram to the first seed that there is a way to, without sending any. They are looked up together,
/// and one that is not told by `deadline` is passed over. A source that only this machine can dial is the last choice: what
/// the name of this machine itself leads to is often loopback (Debian: 127.0.1.1), and other seeds or the default route say
/// more. Seeds that name loopback mean this machine.
async fn source_towards(seeds: &[String], bound: SocketAddr, deadline: Instant) -> io::Result<IpAddr> {
    let (mut last, mut loopback) = (io::Error::from(io::ErrorKind::AddrNotAvailable), None);
    let mut meant = true;
    let sources = join_all(seeds.iter().map(|seed| in_time(deadline, source_towards_one(seed, bound)))).await;
    for (seed, source) in seeds.iter().zip(sources) {
        match source {
            Ok(source) if !source.is_loopback() => return Ok(source),
            Ok(source) => {
                loopback.get_or_insert(source);
                meant &= names_loopback(seed);
            }
            Err(error) => last = error,
        }
    }
    match loopback {
        Some(source) if meant => Ok(source),
        None if !seeds.is_empty() => Err(last),
        _ => Ok(source_towards_others(bound).await),
    }
}

/// Whether it says so itself, and not a table of this machine.
fn names_loopback(seed: &str) -> bool {
    let host = seed.rsplit_once(':').map_or(seed, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

/// That of the default route: others may come from anywhere, and would take loopback for themselves.
async fn source_towards_others(bound: SocketAddr) -> IpAddr {
    for somewhere in ELSEWHERE {
        if let Ok(source) = source_towards_one(somewhere, bound).await
            && !source.is_unspecified()
        {
            return source;
        }
    }
    let loopback = if bound.is_ipv4() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { Ipv6Addr::LOCALHOST.into() };
    event!(warn, address = %loopback, "no other machine can reach this node: set advertise");
    loopback
}

async fn source_towards_one(seed: &str, bound: SocketAddr) -> io::Result<IpAddr> {
    let (mut last, mut loopback) = (io::Error::from(io::ErrorKind::AddrNotAvailable), None);
    for address in tokio::net::lookup_host(seed).await? {
        let Some(to) = for_socket(address, bound.is_ipv4()) else { continue };
        let socket = tokio::net::UdpSocket::bind(SocketAddr::new(bound.ip(), 0)).await?;
        match socket.connect(to).await.and_then(|()| socket.local_addr()) {
            // IPv4 in IPv6 is how this machine writes it, and nothing that others dial.
            Ok(source) => match source.ip().to_canonical() {
                source if source.is_loopback() => {
                    loopback.get_or_insert(source);
                }
                source => return Ok(source),
            },
            Err(error) => last = error,
        }
    }
    loopback.ok_or(last)
}

/// `address` as a socket of that family sends to it, if it can.
pub(super) fn for_socket(address: SocketAddr, ipv4: bool) -> Option<SocketAddr> {
    let with = |ip| Some(SocketAddr::new(ip, address.port()));
    match (address.ip().to_canonical(), ipv4) {
        (IpAddr::V4(ip), true) => with(ip.into()),
        (IpAddr::V4(ip), false) => with(ip.to_ipv6_mapped().into()),
        (IpAddr::V6(_), false) => Some(address),
        (IpAddr::V6(_), true) => None,
    }
}

/// What precedes the record that fills a message, and what is around all: answers to reads are cut behind a megabyte.
const FRAME_ROOM: usize = 2 << 20;

/// The largest frame of a ring of nodes configured like this one: see [`frame_max_of`].
pub(crate) fn frame_max(config: &Config) -> usize {
    frame_max_of(config.max_key_size, config.max_value_size)
}

/// The largest frame of a ring: the largest record behind as many smaller ones as go into one message.
pub(crate) fn frame_max_of(max_key_size: usize, max_value_size: usize) -> usize {
    max_value_size.saturating_add(max_key_size).saturating_add(FRAME_ROOM).max(8 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn advertises(bound: &str, seeds: &[&str]) -> Result<String> {
        let seeds = seeds.iter().map(|seed| (*seed).to_owned()).collect();
        let config = Config { seeds, ..Config::default() };
        let deadline = crate::env::Env::system().after(config.request_timeout);
        Ok(advertised(&config, &Address::new(bound), deadline).await?.as_str().to_owned())
    }

    #[tokio::test]
    async fn a_node_bound_everywhere_advertises_what_a_seed_can_dial() {
        let told = async |bound, seeds: &[&str]| advertises(bound, seeds).await.expect("there is a way");
        assert_eq!(told("0.0.0.0:7", &["127.0.0.1:9"]).await, "127.0.0.1:7");
        // The first that resolves, whatever comes before.
        assert_eq!(told("0.0.0.0:7", &["no.such.name.invalid:9", "[::1]:9", "127.0.0.1:9"]).await, "127.0.0.1:7");
        // Alone: whatever this machine calls itself to others, and that is an address of its own.
        let alone: SocketAddr = told("0.0.0.0:7", &[]).await.parse().expect("an address");
        assert!(alone.is_ipv4() && alone.port() == 7 && !alone.ip().is_unspecified(), "{alone}");
        tokio::net::UdpSocket::bind((alone.ip(), 0)).await.expect("an address of this machine");
        let error = advertises("0.0.0.0:7", &["no.such.name.invalid:9"]).await.expect_err("no way");
        assert_eq!(error.kind(), ErrorKind::Address);
        assert!(error.context().contains("set advertise"), "{error}");
    }

    #[tokio::test]
    async fn loopback_is_advertised_only_where_the_seeds_say_it() {
        let told = async |seeds: &[&str]| advertises("0.0.0.0:7", seeds).await.expect("there is a way");
        assert_eq!(told(&["localhost:9"]).await, "127.0.0.1:7");
        let others = told(&[]).await;
        // A name, to all but the name service, that leads to loopback: as that of this machine in the hosts file of Debian.
        assert_eq!(told(&["127.1:9"]).await, others);
        assert_eq!(told(&["127.0.0.1:9", "127.1:9"]).await, others);
        // Documentation (RFC 5737) is on the way of the default route, if there is one.
        if !others.starts_with("127.") {
            assert_eq!(told(&["127.0.0.1:9", "192.0.2.1:9"]).await, others);
        }
        assert!(names_loopback("[::1]:9") && names_loopback("LOCALHOST:9") && !names_loopback("host-a:9"));
    }

    #[tokio::test]
    async fn an_ipv4_address_is_advertised_as_one() {
        // Machines without IPv6 cannot bind there either.
        if tokio::net::UdpSocket::bind("[::]:0").await.is_ok() {
            assert_eq!(advertises("[::]:7", &["127.0.0.1:9"]).await.expect("there is a way"), "127.0.0.1:7");
        }
    }

    #[test]
    fn ipv4_is_sent_to_by_either_family_however_it_is_written() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        for written in ["10.0.0.1:7", "[::ffff:10.0.0.1]:7"] {
            assert_eq!(for_socket(address(written), true), Some(address("10.0.0.1:7")));
            assert_eq!(for_socket(address(written), false), Some(address("[::ffff:10.0.0.1]:7")));
        }
        assert_eq!(for_socket(address("[fd00::1]:7"), false), Some(address("[fd00::1]:7")));
        assert_eq!(for_socket(address("[fd00::1]:7"), true), None);
    }
}
