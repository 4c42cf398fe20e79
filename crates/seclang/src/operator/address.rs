//! `@ipMatch`: addresses and networks.

use ipnet::IpNet;
use std::net::IpAddr;

type Refusal = (String, Option<String>);

/// Addresses and networks of one rule.
pub const NETWORKS_MAX: usize = 1_000_000;

/// Whether `value` is an address in one of `nets`, which are sorted and apart (see [`parse`]).
pub fn is_in(nets: &[IpNet], value: &[u8]) -> bool {
    let Some(address) =
        std::str::from_utf8(value).ok().and_then(|text| text.parse::<IpAddr>().ok())
    else {
        return false;
    };
    // Networks are apart, so only the last that does not begin behind the address may have it.
    let behind = nets.partition_point(|net| net.network() <= address);
    behind.checked_sub(1).and_then(|at| nets.get(at)).is_some_and(|net| net.contains(&address))
}

/// Addresses and networks, separated by commas. Sorted; what lies within another is left out.
///
/// # Errors
/// Names what is no address.
pub fn parse(argument: &[u8]) -> Result<Vec<IpNet>, Refusal> {
    let text = String::from_utf8_lossy(argument);
    let mut nets = Vec::new();
    for one in text.split(',').map(str::trim).filter(|one| !one.is_empty()) {
        push(one, &mut nets)?;
    }
    Ok(IpNet::aggregate(&nets))
}

/// As [`parse`], with a line for each; `#` begins a comment.
///
/// # Errors
/// Names what is no address.
pub fn parse_file(content: &[u8]) -> Result<Vec<IpNet>, Refusal> {
    let text = String::from_utf8_lossy(content);
    let mut nets = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        for one in line.split(',').map(str::trim).filter(|one| !one.is_empty()) {
            push(one, &mut nets)?;
        }
    }
    Ok(IpNet::aggregate(&nets))
}

fn push(one: &str, nets: &mut Vec<IpNet>) -> Result<(), Refusal> {
    if nets.len() >= NETWORKS_MAX {
        return Err((
            format!("more than {NETWORKS_MAX} addresses"),
            Some("name networks instead of single addresses".to_owned()),
        ));
    }
    let net = if one.contains('/') {
        one.parse().ok()
    } else {
        one.parse::<IpAddr>().map(IpNet::from).ok()
    };
    nets.push(net.ok_or_else(|| {
        (
            format!("`{one}` is no address and no network"),
            Some("write `192.0.2.1`, `192.0.2.0/24` or `2001:db8::/32`".to_owned()),
        )
    })?);
    Ok(())
}
