//! Where we may go. Nothing is open that an administrator did not open.

use super::{EgressHost, Failure};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// The opened hosts. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Egress(Arc<BTreeMap<String, Vec<Opened>>>);

#[derive(Debug, Clone, Copy)]
struct Opened {
    port: Option<u16>,
    internal: bool,
}

impl Egress {
    pub fn new(hosts: &[EgressHost]) -> Self {
        let mut map: BTreeMap<String, Vec<Opened>> = BTreeMap::new();
        for host in hosts {
            let opened = Opened { port: host.port, internal: host.internal };
            map.entry(normal(&host.host)).or_default().push(opened);
        }
        Egress(Arc::new(map))
    }

    /// Hosts that are internal on some of their ports only.
    pub(crate) fn mixed(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|(host, entries)| {
            let internal = entries.iter().filter(|entry| entry.internal).count();
            (internal > 0 && internal < entries.len()).then_some(host.as_str())
        })
    }

    /// Whether `host:port` is open, and if so whether it may be an internal address.
    pub(crate) fn opened(&self, host: &str, port: u16) -> Option<bool> {
        let entries = self.0.get(&normal(host))?;
        let mut fitting =
            entries.iter().filter(|e| e.port.is_none_or(|open| open == port)).peekable();
        fitting.peek()?;
        Some(fitting.any(|entry| entry.internal))
    }

    pub(crate) fn check(&self, host: &str, port: u16) -> Result<bool, Failure> {
        self.opened(host, port).ok_or_else(|| {
            Failure::new(
                "egress-not-open",
                format!("`{host}:{port}` is not open"),
                "have an administrator add the host to `egress`",
            )
        })
    }

    /// The addresses of an open host that we may connect to. The check is made on what we then
    /// connect to, so that a name cannot answer differently between check and use.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let internal = self.check(host, port)?;
        lookup(host, port, internal).await
    }

    /// The same where the port is not known, as in a resolver: it is internal if any of its ports is.
    pub(crate) async fn resolve_name(&self, host: &str) -> Result<Vec<SocketAddr>, Failure> {
        let internal =
            self.0.get(&normal(host)).is_some_and(|entries| entries.iter().any(|e| e.internal));
        lookup(host, 0, internal).await
    }
}

async fn lookup(host: &str, port: u16, internal: bool) -> Result<Vec<SocketAddr>, Failure> {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let found: Vec<SocketAddr> = tokio::net::lookup_host((name, port))
        .await
        .map_err(|error| {
            Failure::transient(
                "not-resolved",
                format!("`{host}` has no address: {error}"),
                "check the name and this machine's DNS",
            )
        })?
        .collect();
    // One internal address among several is how rebinding looks: all are refused.
    if !internal && let Some(address) = found.iter().find(|a| is_internal(a.ip())) {
        return Err(Failure::new(
            "address-not-allowed",
            format!("`{host}` is `{}`, an internal address", address.ip()),
            "if that is meant, set `internal: true` on the host in `egress`",
        ));
    }
    if found.is_empty() {
        return Err(Failure::transient(
            "not-resolved",
            format!("`{host}` has no address"),
            "check the name and this machine's DNS",
        ));
    }
    Ok(found)
}

fn normal(host: &str) -> String {
    host.trim_end_matches('.').trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase()
}

/// Whether an address is not of the public internet: loopback, link-local (cloud metadata among it),
/// private, shared, unspecified, multicast, reserved (RFC 6890 and its successors).
pub(crate) fn is_internal(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_internal_v4(ip),
        IpAddr::V6(ip) => is_internal_v6(ip),
    }
}

fn is_internal_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_unspecified()
        || ip.is_multicast()
        || ip.is_broadcast()
        || ip.is_documentation()
        || a == 0
        || a >= 240
        // 100.64.0.0/10 shared (RFC 6598), 192.0.0.0/24 protocol assignments, 198.18.0.0/15 benchmarks.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
}

fn is_internal_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let [first, second, ..] = segments;
    ip.is_loopback()
        || ip.is_unspecified()
        || ip.is_multicast()
        || ip.is_unique_local()
        || ip.is_unicast_link_local()
        || (first == 0x2001 && second == 0x0db8)
        // 64:ff9b::/96 (NAT64) and 2002::/16 (6to4) carry an IPv4 address inside.
        || (first == 0x0064 && second == 0xff9b)
        || first == 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_internal() {
        for text in [
            "127.0.0.1",
            "169.254.169.254",
            "10.1.2.3",
            "192.168.0.1",
            "172.16.0.1",
            "100.100.100.200",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ] {
            assert!(is_internal(text.parse().unwrap()), "{text}");
        }
        for text in ["8.8.8.8", "1.1.1.1", "100.63.0.1", "172.32.0.1", "2606:4700::1111"] {
            assert!(!is_internal(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn only_an_opened_host_and_port_is_open() {
        let open =
            |host: &str, port, internal| EgressHost { host: host.to_owned(), port, internal };
        let egress =
            Egress::new(&[open("Hooks.Example.com", Some(443), false), open("idp", None, true)]);
        assert_eq!(egress.opened("hooks.example.com.", 443), Some(false));
        assert_eq!(egress.opened("hooks.example.com", 8443), None);
        assert_eq!(egress.opened("evil.hooks.example.com", 443), None);
        assert_eq!(egress.opened("IDP", 8443), Some(true));
    }
}
