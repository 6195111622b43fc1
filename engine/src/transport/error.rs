//! Why there is no response, or no more of it.

use std::time::Duration;

/// What the library underneath said; its type is nobody's business.
pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no response, or no more of it.
///
/// `Display` describes this level only; walk [`source`](std::error::Error::source) for the cause. A response with an
/// error status is no error here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot be used.
    #[error("cannot use the {setting} of this configuration")]
    Setting {
        /// Which part of it.
        setting: &'static str,
        /// Why not.
        #[source]
        source: Cause,
    },

    /// What the request should carry to say who sends it can't be had: a file can't be read, a command fails. Nothing was sent.
    #[error("cannot get the credential")]
    Credential(#[source] Cause),

    /// No connection: refused, unreachable, not found, or not trusted. Nothing was sent.
    #[error("cannot connect to {server}")]
    Connect {
        /// Scheme, host and port of the API server.
        server: String,
        /// Why not.
        source: Cause,
    },

    /// The server ended the connection before it began with the request: it said so (RFC 9113, section 8.7), or the request had
    /// not been sent.
    #[error("the server ended the connection before it began with the request")]
    Unprocessed(#[source] Cause),

    /// The connection was lost before the response began. Whether the request was executed is unknown.
    #[error("the connection was lost before the response")]
    Lost(#[source] Cause),

    /// The response did not begin in time. Whether the request was executed is unknown.
    #[error("no response within {0:?}")]
    Late(Duration),

    /// The connection was lost in the middle of the response.
    #[error("the connection was lost in the middle of the response")]
    Cut(#[source] Cause),

    /// The response was not complete in time.
    #[error("the response was not complete within {0:?}")]
    Slow(Duration),

    /// This process does not lead, or has ceased to, so that it must not write; see
    /// [`Leadership::fence`](crate::lease::Leadership::fence). Nothing is wrong with the request.
    #[error("this process does not lead, and must not write")]
    Fenced {
        /// Whether it was cut off under way, so that whether it was executed is unknown.
        sent: bool,
    },
}

impl Error {
    /// One word for traces: which of these it is.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Setting { .. } => "setting",
            Self::Credential(_) => "credential",
            Self::Connect { .. } => "connect",
            Self::Unprocessed(_) => "unprocessed",
            Self::Lost(_) => "lost",
            Self::Late(_) => "late",
            Self::Cut(_) => "cut",
            Self::Slow(_) => "slow",
            Self::Fenced { .. } => "fenced",
        }
    }

    /// Returns true if there was no connection, so that nothing was sent.
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::Connect { .. })
    }

    /// Returns true if the server was given its time and did not use it.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Late(_) | Self::Slow(_))
    }

    /// Returns true if the connection was there and was lost.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Cut(_) | Self::Unprocessed(_))
    }

    /// Returns true if the request was refused, or cut off, since this process does not lead.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced { .. })
    }

    /// Returns true if the server cannot have begun with the request, so that it may be repeated whatever it was.
    pub fn is_unsent(&self) -> bool {
        matches!(
            self,
            Self::Setting { .. }
                | Self::Credential(_)
                | Self::Connect { .. }
                | Self::Unprocessed(_)
                | Self::Fenced { sent: false }
        )
    }
}
