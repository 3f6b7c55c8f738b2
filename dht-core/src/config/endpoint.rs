//! Addresses as text, judged without asking the name service: that waits, so it belongs to `start` and `join`.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV6};

/// Whether `text` is "host:port" with a port from 1: a name, an IPv4 address, or an IPv6 address in brackets.
pub(crate) fn is_endpoint(text: &str) -> bool {
    if text.starts_with('[') {
        return text.parse::<SocketAddrV6>().is_ok_and(|address| address.port() != 0);
    }
    let Some((host, port)) = text.split_once(':') else {
        return false;
    };
    // `parse` would take "+7400".
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    digits && port.parse::<u16>().is_ok_and(|port| port != 0) && (is_ipv4(host) || is_name(host))
}

/// Whether `text` is an IP address or a host name, without port and brackets.
pub(crate) fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || is_name(text)
}

/// Whether the host of an endpoint is 0.0.0.0 or ::, which nobody can dial.
pub(crate) fn is_unspecified(endpoint: &str) -> bool {
    endpoint.parse::<std::net::SocketAddr>().is_ok_and(|address| address.ip().to_canonical().is_unspecified())
}

fn is_ipv4(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok()
}

/// RFC 1123 names, plus the underscore that container networks use. A name whose last label is a number is a
/// mistyped IPv4 address (WHATWG URL, «ends in a number»).
fn is_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last_is_number = text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= 253 && text.split('.').all(label) && !last_is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        let name_64 = format!("{}:1", "a".repeat(64));
        for good in ["localhost:7400", "10.0.0.1:1", "[::1]:65535", "[fe80::1%2]:7400", "db_1.example.org.:80", "a:9"] {
            assert!(is_endpoint(good), "{good}");
        }
        for bad in [
            "",
            ":",
            "host",
            "host:",
            ":7400",
            "host:0",
            "host:65536",
            "host:+7",
            "host:x",
            "::1:7400",
            "[::1]",
            "[::1]:0",
            "[10.0.0.1]:7",
            "10.0.0:7",
            "999.1.1.1:7",
            "a b:7",
            "-a:7",
            "a..b:7",
            "http://a:7",
            &name_64,
            "a:7,b:7",
        ] {
            assert!(!is_endpoint(bad), "{bad}");
        }
    }

    #[test]
    fn hosts() {
        for good in ["127.0.0.1", "0.0.0.0", "::", "fe80::1", "localhost", "node-1.example"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "127.0.0.1:80", "[::1]", "127.1", "a/b", "."] {
            assert!(!is_host(bad), "{bad}");
        }
        assert!(is_unspecified("0.0.0.0:1") && is_unspecified("[::]:1") && !is_unspecified("[::1]:1"));
    }
}
