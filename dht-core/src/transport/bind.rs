//! From the configuration to addresses: where to listen and what others dial.

use std::net::{IpAddr, SocketAddr};

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::ring::record::Address;

/// The address to listen at.
///
/// # Errors
/// `Address` if it does not resolve; `Insecure` if it resolves beyond loopback without permission.
pub(crate) async fn resolve_bind(config: &Config) -> Result<SocketAddr> {
    let unresolved = |reason: String| {
        let context = format!("address = {:?}: {reason}", config.address);
        Error::new(ErrorKind::Address, context)
    };
    let host = config.address.trim_start_matches('[').trim_end_matches(']');
    let address = match host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, config.port),
        Err(_) => tokio::net::lookup_host((host, config.port))
            .await
            .map_err(|e| unresolved(format!("does not resolve: {e}")))?
            .next()
            .ok_or_else(|| unresolved("resolves to nothing".to_owned()))?,
    };
    config.insecure_bind(address.ip())?;
    Ok(address)
}

/// What others dial: `advertise` (with the bound port, if it names port 0), the bound address, or for an unspecified
/// bind the source address towards the first seed.
///
/// # Errors
/// `Address` if an unspecified bind finds no source address.
pub(crate) async fn advertised(config: &Config, bound: &Address) -> Result<Address> {
    let bound: SocketAddr = bound.as_str().parse().map_err(|e| {
        let context = format!("the bound address {bound} is no socket address: {e}");
        Error::new(ErrorKind::Internal, context)
    })?;
    if !config.advertise.is_empty() {
        return Ok(match config.advertise.strip_suffix(":0") {
            Some(host) => Address::new(&format!("{host}:{}", bound.port())),
            None => Address::new(&config.advertise),
        });
    }
    if !bound.ip().is_unspecified() {
        return Ok(Address::new(&bound.to_string()));
    }
    let ip = source_towards(config.seeds.first().map(String::as_str), bound).await.map_err(|e| {
        let context = format!("address = {:?}: no address to advertise was found ({e}); set advertise", config.address);
        Error::new(ErrorKind::Address, context)
    })?;
    Ok(Address::new(&SocketAddr::new(ip, bound.port()).to_string()))
}

/// The source address of a datagram to the seed, without sending any.
async fn source_towards(seed: Option<&str>, bound: SocketAddr) -> std::io::Result<IpAddr> {
    let Some(seed) = seed else {
        // Alone: only this machine can know of the node yet.
        let loopback = if bound.is_ipv4() { "127.0.0.1" } else { "::1" };
        return loopback.parse().map_err(std::io::Error::other);
    };
    let socket = tokio::net::UdpSocket::bind(SocketAddr::new(bound.ip(), 0)).await?;
    socket.connect(seed).await?;
    Ok(socket.local_addr()?.ip())
}

/// What precedes the record that fills a message, and what is around all: answers to reads are cut behind a megabyte.
const FRAME_ROOM: usize = 2 << 20;

/// The largest frame of this node's ring: the largest record behind as many smaller ones as go into one message.
pub(crate) fn frame_max(config: &Config) -> usize {
    (config.max_value_size + config.max_key_size + FRAME_ROOM).max(8 << 20)
}
