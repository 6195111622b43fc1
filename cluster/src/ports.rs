//! Picks ports on which nothing listens.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Below the ports that Linux (32768 and up) and macOS (49152 and up) give to outgoing
/// connections. A port of those could be taken while a component is down between kill and
/// restart, even by a client's own attempt to reconnect to it.
const PORTS: Range<u16> = 16384..32768;

/// More than enough: even on a busy machine nearly all ports of the range are free.
const ATTEMPTS: u32 = 100;

/// Returns a port of 127.0.0.1 that was free a moment ago.
///
/// Another process may take it before it is used. Picking at random makes that so rare that
/// starting once more with other ports is answer enough.
///
/// # Errors
///
/// If there is none.
pub fn free() -> io::Result<u16> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let port = random_port();
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

fn random_port() -> u16 {
    // Each `RandomState` has keys of its own, so the hash of nothing is a random number.
    let random = RandomState::new().build_hasher().finish();
    let offset = random % u64::from(PORTS.end - PORTS.start);
    PORTS.start + u16::try_from(offset).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_listened_on() {
        let port = free().unwrap();
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert!(PORTS.contains(&port));
    }

    #[test]
    fn ports_differ_between_picks() {
        let first = random_port();
        assert!((0..ATTEMPTS).any(|_| random_port() != first));
    }
}
