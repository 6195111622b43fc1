//! Which servers are reached without a proxy: the rules of Go's `httpproxy` for `NO_PROXY`. Pure, and resolves no name.

use std::net::IpAddr;

/// Returns true if `list` exempts the server `host` (IPv6 with or without brackets) at `port`, or if it is on this machine.
///
/// The list has entries with commas between them: `*` for all, `10.0.0.0/8`, `10.0.0.1` or `[::1]:443`, `example.com` for that
/// name and all below it, `.example.com` or `*.example.com` for those below it alone; each name or address with a port, if
/// only that is meant.
pub(super) fn is_exempt(list: &str, host: &str, port: u16) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    let address = address.map(|address| address.to_canonical());
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        if entry == "*" {
            return true;
        }
        if let Some(range) = Range::parse(&entry) {
            return address.is_some_and(|address| range.contains(address));
        }
        let (name, at) = split(&entry);
        if at.is_some_and(|at| at.parse() != Ok(port)) {
            return false;
        }
        match (name.parse::<IpAddr>(), address) {
            (Ok(exempt), Some(address)) => exempt.to_canonical() == address,
            (Err(_), None) => is_named(name, &host),
            _ => false,
        }
    })
}

fn is_named(name: &str, host: &str) -> bool {
    let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    match name.strip_prefix('.') {
        Some(below) => host.strip_suffix(below).is_some_and(|rest| rest.ends_with('.')),
        None if name.is_empty() => false,
        None => host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
    }
}

/// Splits `host:port` and `[address]:port`. What has more colons is an address without a port.
fn split(entry: &str) -> (&str, Option<&str>) {
    let parts = match entry.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => entry.split_once(':').filter(|(_, port)| !port.contains(':')),
    };
    parts.map_or((entry, None), |(host, port)| (host, Some(port).filter(|port| !port.is_empty())))
}

/// Addresses with the same beginning (CIDR, RFC 4632).
struct Range {
    first: IpAddr,
    bits: u32,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (first, bits) = text.split_once('/')?;
        let (first, bits): (IpAddr, u32) = (first.parse().ok()?, bits.parse().ok()?);
        let most = if first.is_ipv4() { 32 } else { 128 };
        (bits <= most).then_some(Self { first, bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        // A shift by all bits is none at all, and leaves nothing to compare.
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differing = first.to_bits() ^ address.to_bits();
                differing.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differing = first.to_bits() ^ address.to_bits();
                differing.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_exempt_whatever_the_list_says() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1"] {
            assert!(is_exempt("", host, 443), "{host}");
        }
        for host in ["localhost.example.com", "10.0.0.1", "::2"] {
            assert!(!is_exempt("", host, 443), "{host}");
        }
    }

    #[test]
    fn names_and_addresses_are_exempt_as_go_reads_the_list() {
        for (list, host, port, expected) in [
            ("*", "example.com", 443, true),
            ("a,*", "10.0.0.1", 443, true),
            ("example.com", "example.com", 443, true),
            (" Example.COM , b", "EXAMPLE.com", 443, true),
            ("example.com", "api.example.com", 443, true),
            ("example.com", "counterexample.com", 443, false),
            (".example.com", "example.com", 443, false),
            (".example.com", "api.example.com", 443, true),
            ("*.example.com", "example.com", 443, false),
            ("*.example.com", "a.b.example.com", 443, true),
            ("example.com:6443", "example.com", 6443, true),
            ("example.com:6443", "example.com", 443, false),
            ("example.com:", "example.com", 443, true),
            (":443", "example.com", 443, false),
            ("10.0.0.0/8", "10.1.2.3", 443, true),
            ("10.0.0.0/8", "11.1.2.3", 443, false),
            ("10.0.0.0/8", "10.example.com", 443, false),
            ("0.0.0.0/0", "8.8.8.8", 443, true),
            ("10.0.0.1/32", "10.0.0.2", 443, false),
            ("fd00::/8", "fd12::1", 443, true),
            ("fd00::/8", "[fd12::1]", 443, true),
            ("::/0", "10.0.0.1", 443, false),
            ("10.0.0.0/33", "10.0.0.1", 443, false),
            ("10.96.0.1", "10.96.0.1", 443, true),
            ("10.96.0.1:443", "10.96.0.1", 443, true),
            ("10.96.0.1:6443", "10.96.0.1", 443, false),
            ("[fd00::1]:443", "fd00::1", 443, true),
            ("fd00::1", "[fd00::1]", 443, true),
            ("0.1", "10.0.0.1", 443, false),
            ("", "example.com", 443, false),
            (",,", "example.com", 443, false),
        ] {
            assert_eq!(is_exempt(list, host, port), expected, "{list:?} {host} {port}");
        }
    }
}
