//! Who is really asking, when proxies stand in between.

use crate::config::ForwardedHeader;
use http::HeaderMap;
use ipnet::IpNet;
use std::net::IpAddr;

/// More hops than this are made up.
const HOPS_MAX: usize = 32;

/// The client's address, and whether the peer is one of our proxies.
///
/// Walks the chain from the right, the end our own proxies wrote, and stops at the first address
/// that is not one of them; what stands left of it may be a lie. An entry that is no address stops
/// the walk, too.
pub fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    trusted: &[IpNet],
    header: ForwardedHeader,
) -> (IpAddr, bool) {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let peer = peer.to_canonical();
    if !is_trusted(&peer) {
        return (peer, false);
    }
    let (name, read): (&str, fn(&str) -> Option<IpAddr>) = match header {
        ForwardedHeader::XForwardedFor => ("x-forwarded-for", read_address),
        ForwardedHeader::Forwarded => ("forwarded", read_forwarded),
    };
    let lines: Vec<&str> = headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
    let mut client = peer;
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')).take(HOPS_MAX) {
        match read(hop.trim()) {
            Some(address) => client = address,
            None => break,
        }
        if !is_trusted(&client) {
            break;
        }
    }
    (client, true)
}

/// `203.0.113.7`, `203.0.113.7:5000`, `2001:db8::1`, `[2001:db8::1]:5000`.
fn read_address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches('"');
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some(address.ip().to_canonical());
    }
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse::<IpAddr>().ok().map(|a| a.to_canonical())
}

/// The `for` of one RFC 7239 element; `unknown` and `_hidden` are no addresses.
fn read_forwarded(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then(|| read_address(value))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(peer: &str, header: (&'static str, &str), kind: ForwardedHeader) -> String {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].map(|n| n.parse().unwrap()).to_vec();
        let mut headers = HeaderMap::new();
        for line in header.1.split('|') {
            headers.append(header.0, line.parse().unwrap());
        }
        client_address(peer.parse().unwrap(), &headers, &trusted, kind).0.to_string()
    }

    #[test]
    fn only_what_our_own_proxies_wrote_is_believed() {
        let xff =
            |peer, value| check(peer, ("x-forwarded-for", value), ForwardedHeader::XForwardedFor);
        assert_eq!(xff("198.51.100.9", "203.0.113.7"), "198.51.100.9", "an untrusted peer lies");
        assert_eq!(xff("10.0.0.1", "203.0.113.7"), "203.0.113.7");
        assert_eq!(
            xff("10.0.0.1", "1.1.1.1, 203.0.113.7, 10.0.0.2"),
            "203.0.113.7",
            "left of it is a lie"
        );
        assert_eq!(xff("10.0.0.1", "1.1.1.1|203.0.113.7|10.0.0.2"), "203.0.113.7", "several lines");
        assert_eq!(
            xff("10.0.0.1", "203.0.113.7, junk, 10.0.0.2"),
            "10.0.0.2",
            "junk ends the walk"
        );
        assert_eq!(xff("10.0.0.1", "[2001:db8::1]:443"), "2001:db8::1");
        assert_eq!(xff("::ffff:10.0.0.1", "203.0.113.7:99"), "203.0.113.7");
        assert_eq!(xff("10.0.0.1", "10.0.0.3"), "10.0.0.3", "all ours: the first of them");
    }

    #[test]
    fn forwarded_is_read_when_it_is_the_one_chosen() {
        let forwarded = |value| check("10.0.0.1", ("forwarded", value), ForwardedHeader::Forwarded);
        assert_eq!(forwarded("for=1.1.1.1, For=\"[2001:db8::1]:9\";proto=https"), "2001:db8::1");
        assert_eq!(forwarded("for=unknown"), "10.0.0.1");
        let other = check("10.0.0.1", ("forwarded", "for=1.1.1.1"), ForwardedHeader::XForwardedFor);
        assert_eq!(other, "10.0.0.1");
    }
}
