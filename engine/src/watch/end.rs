//! How requests end, why everything is listed again, and what to do before the next request.

use std::fmt;

use crate::api::{Error, Status};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// The stream came to its end, or was cut.
    Closed,
    /// Nothing came for longer than the server may be silent.
    Silent,
    /// The version or the continue token is compacted away (410).
    Expired,
    /// The server is behind the version that was asked for (504).
    Behind,
    /// The server does not know the resource (404).
    Absent,
    /// The server refuses the request as it stands (400, 422).
    Refused,
    /// The server does not let this client read the resource (403).
    Forbidden,
    /// A list is older than what is already known.
    Regressed,
    /// What came can't be read.
    Garbled,
    /// Anything else: no connection, overload.
    Failed,
}

/// Why everything was listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing was known.
    Initial,
    /// The watch ended for good, or too often, in this way.
    Ended(End),
    /// An audit found that the cache is not what the server has.
    Audit,
}

/// What to do before the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Send it at once.
    None,
    /// Wait as after this many failures in a row.
    Backoff(u32),
    /// The resource is not there, or not for this client: look again now and then, the more seldom the more looks there were since
    /// that is believed.
    Probe(u32),
}

impl End {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Closed,
        Self::Silent,
        Self::Expired,
        Self::Behind,
        Self::Absent,
        Self::Refused,
        Self::Forbidden,
        Self::Regressed,
        Self::Garbled,
        Self::Failed,
    ];

    /// A word for it, in snake case, as metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Silent => "silent",
            Self::Expired => "expired",
            Self::Behind => "behind",
            Self::Absent => "absent",
            Self::Refused => "refused",
            Self::Forbidden => "forbidden",
            Self::Regressed => "regressed",
            Self::Garbled => "garbled",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the stream came to its end",
            Self::Silent => "the server said nothing for too long",
            Self::Expired => "the version is compacted away",
            Self::Behind => "the server is behind the version that was asked for",
            Self::Absent => "the server does not know the resource",
            Self::Refused => "the server refuses the request as it stands",
            Self::Forbidden => "the server does not let this client read the resource",
            Self::Regressed => "the list is older than what is known",
            Self::Garbled => "what came can't be read",
            Self::Failed => "the request failed",
        })
    }
}

impl Reason {
    /// All of them: the first list, those after each [`End`], and those after an audit.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Initial, Self::Audit].into_iter().chain(End::ALL.into_iter().map(Self::Ended))
    }

    /// A word for it, in snake case, as metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Ended(end) => end.as_str(),
            Self::Audit => "audit",
        }
    }
}

impl From<&Status> for End {
    fn from(status: &Status) -> Self {
        match status.code {
            410 => Self::Expired,
            504 if status.is_version_too_large() => Self::Behind,
            404 => Self::Absent,
            400 | 422 => Self::Refused,
            403 => Self::Forbidden,
            _ => Self::Failed,
        }
    }
}

impl From<&Error> for End {
    fn from(error: &Error) -> Self {
        match error {
            Error::Status(status) => Self::from(status),
            Error::Decode(_) | Error::Frame(_) => Self::Garbled,
            _ => Self::Failed,
        }
    }
}
