//! Single values of the command line: text in, value or one line of complaint out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use tracing_subscriber::EnvFilter;

use crate::application::allowed::{EVERY_VOLUME, VOLUME_KINDS};

/// The longest name of a namespace: a DNS label.
const NAMESPACE_MAX: usize = 63;

/// The longest name of an object: a DNS subdomain.
const OBJECT_NAME_MAX: usize = 253;

/// The levels by which the log is filtered.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// Nowhere: what would be served there is not.
    Disabled,
    /// On this address; port 0 lets the system choose.
    Listen(SocketAddr),
}

/// Why an address is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be IP:PORT, such as 127.0.0.1:8080, or :PORT, or 0 for nowhere")]
pub struct NoAddress;

impl Address {
    /// The addresses to try in this order, of which the first that can be bound serves.
    ///
    /// "All addresses" is IPv6's, which takes IPv4 as well, and IPv4's where the machine knows no
    /// IPv6. Empty where nothing is to be served.
    pub fn candidates(self) -> Vec<SocketAddr> {
        match self {
            Self::Disabled => Vec::new(),
            Self::Listen(socket) if socket.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                vec![socket, SocketAddr::from((Ipv4Addr::UNSPECIFIED, socket.port()))]
            }
            Self::Listen(socket) => vec![socket],
        }
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        if text == "0" {
            return Ok(Self::Disabled);
        }
        let (host, port) = text.rsplit_once(':').ok_or(NoAddress)?;
        let ip = match host {
            "" => Ipv6Addr::UNSPECIFIED.into(),
            "localhost" => Ipv4Addr::LOCALHOST.into(),
            _ => return text.parse().map(Self::Listen).map_err(|_| NoAddress),
        };
        let port = port.parse().map_err(|_| NoAddress)?;
        Ok(Self::Listen(SocketAddr::new(ip, port)))
    }
}

/// Takes the name of a namespace, or nothing at all.
pub(crate) fn namespace(text: &str) -> Result<String, &'static str> {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let valid =
        text.len() <= NAMESPACE_MAX && text.bytes().all(inside) && !text.starts_with('-') && !text.ends_with('-');
    if valid {
        Ok(text.to_owned())
    } else {
        Err("a namespace has lower-case letters, digits and '-' in its name, at most 63")
    }
}

/// Takes a kind of volume, or nothing at all.
pub(super) fn volume_kind(text: &str) -> Result<String, String> {
    if text.is_empty() || text == EVERY_VOLUME || VOLUME_KINDS.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("must be {EVERY_VOLUME}, or one of {}", VOLUME_KINDS.join(", ")))
    }
}

/// Takes the name of an object: a DNS subdomain, which for a Lease is all that it may be.
pub(crate) fn object_name(text: &str) -> Result<String, &'static str> {
    let is_label = |label: &str| !label.is_empty() && namespace(label).is_ok();
    if text.len() <= OBJECT_NAME_MAX && text.split('.').all(is_label) {
        Ok(text.to_owned())
    } else {
        Err("a name has lower-case letters, digits, '-' and '.' in it, at most 253")
    }
}

/// Takes a duration as Go's programs do.
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    let duration = text.parse::<SignedDuration>().ok().and_then(|duration| duration.try_into().ok());
    duration.ok_or("must be a duration such as 15s, 500ms or 1m30s")
}

/// Takes a level, or directives that `EnvFilter` knows.
///
/// `EnvFilter` itself takes a misspelt level for the name of a target and then logs nothing.
pub(super) fn log_level(text: &str) -> Result<String, &'static str> {
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let known = |part: &str| is_level(part.rsplit('=').next().unwrap_or(part));
    if text.split(',').all(known) && EnvFilter::try_new(text).is_ok() {
        Ok(text.to_owned())
    } else {
        Err("must be off, error, warn, info, debug or trace, or target=level, joined by commas")
    }
}
