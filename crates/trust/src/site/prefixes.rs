use ipnet::{IpNet, Ipv4Net};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What is known of networks, found by address.
#[derive(Debug, Clone)]
pub(super) struct Prefixes<T> {
    entries: BTreeMap<IpNet, T>,
    lengths_v4: BTreeSet<u8>,
    lengths_v6: BTreeSet<u8>,
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Prefixes {
            entries: BTreeMap::new(),
            lengths_v4: BTreeSet::new(),
            lengths_v6: BTreeSet::new(),
        }
    }
}

impl<T> Prefixes<T> {
    /// `false` when the network is there already.
    pub(super) fn insert(&mut self, network: IpNet, value: T) -> bool {
        if self.entries.contains_key(&network) {
            return false;
        }
        match network {
            IpNet::V4(net) => self.lengths_v4.insert(net.prefix_len()),
            IpNet::V6(net) => self.lengths_v6.insert(net.prefix_len()),
        };
        self.entries.insert(network, value);
        true
    }

    /// Every entry that holds `address`, the longest prefix first.
    pub(super) fn around(&self, address: IpAddr) -> impl Iterator<Item = &T> {
        let address = address.to_canonical();
        let lengths = match address {
            IpAddr::V4(_) => &self.lengths_v4,
            IpAddr::V6(_) => &self.lengths_v6,
        };
        lengths.iter().rev().filter_map(move |length| {
            let network = IpNet::new(address, *length).ok()?.trunc();
            self.entries.get(&network)
        })
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum WrongNetwork {
    NotOne,
    /// Bits are set beyond the prefix; this is the network they lie in.
    HostBits(IpNet),
}

/// An address or a network. What IPv6 maps from IPv4 (RFC 4291 §2.5.5.2) is IPv4.
pub(super) fn parse_network(text: &str) -> Result<IpNet, WrongNetwork> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    let network: IpNet = text.parse().map_err(|_| WrongNetwork::NotOne)?;
    let network = match network {
        IpNet::V6(net) => match net.addr().to_ipv4_mapped() {
            Some(v4) if net.prefix_len() >= 96 => Ipv4Net::new(v4, net.prefix_len() - 96)
                .map(IpNet::V4)
                .map_err(|_| WrongNetwork::NotOne)?,
            _ => network,
        },
        v4 => v4,
    };
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(WrongNetwork::HostBits(network.trunc()))
    }
}
