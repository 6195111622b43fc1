//! What can go wrong between a request and a decoded answer.

use std::time::Duration;

use serde::Deserialize;

use crate::{frame, transport};

/// The API server's own account of a failure (`meta/v1` `Status`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// HTTP status code.
    pub code: u16,
    /// A word for programs, such as `AlreadyExists`.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
    /// More for programs.
    pub details: StatusDetails,
}

/// The details of a [`Status`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusDetails {
    /// How long to wait before a retry, in seconds; 0 where the server does not say.
    pub retry_after_seconds: u32,
    /// What exactly is wrong, field by field.
    pub causes: Vec<StatusCause>,
}

/// One cause of a [`Status`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StatusCause {
    /// A word for programs, such as `ResourceVersionTooLarge`.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

impl Status {
    /// Reads an answer's body, which a proxy may have written, not the API server.
    pub(super) fn from_body(code: u16, body: &[u8]) -> Self {
        let mut status: Self = serde_json::from_slice(body).unwrap_or_else(|_| Self {
            message: String::from_utf8_lossy(&body[..body.len().min(SHOWN)]).trim().to_owned(),
            ..Self::default()
        });
        status.code = code;
        status
    }

    /// Returns true for 410: the version that was asked for is compacted away.
    pub fn is_gone(&self) -> bool {
        self.code == 410
    }

    /// Returns true for 404.
    pub fn is_not_found(&self) -> bool {
        self.code == 404
    }

    /// Returns true for a 409 of an unmet precondition, and for one of a name that is taken.
    pub fn is_conflict(&self) -> bool {
        self.code == 409
    }

    /// Returns true if what was applied does not fit its type: a quantity that is none, or a key twice in a list. Seen on 1.37:
    /// the API server says so with 500 and without a reason.
    pub fn is_malformed_apply(&self) -> bool {
        let says = |start: &str| self.message.starts_with(start);
        self.code == 500 && (says("failed to create typed patch object") || says("failed to convert new"))
    }

    /// Returns true where the server has not yet seen the version that was asked for.
    pub fn is_version_too_large(&self) -> bool {
        self.code == 504
            && (self.message.contains("Too large resource version")
                || self.details.causes.iter().any(|cause| cause.reason == "ResourceVersionTooLarge"))
    }

    /// How long the server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = self.details.retry_after_seconds;
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }
}

/// How much of a body that is no `Status` is shown: enough for a proxy's one line, no whole page.
const SHOWN: usize = 200;

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.reason.is_empty() {
            write!(f, " {}", self.reason)?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// Why a request brought no usable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refused the request.
    #[error("the API server answered {0}")]
    Status(Status),
    /// No answer, or half of one.
    #[error("the request did not complete")]
    Transport(#[source] transport::Error),
    /// The answer is not what the API server promises.
    #[error("the API server's answer can't be decoded")]
    Decode(#[source] serde_json::Error),
    /// A watch stream is not what the API server promises.
    #[error("the watch stream can't be read")]
    Frame(#[source] frame::Error),
    /// What was to be written can't be encoded, or its name makes no valid URL.
    #[error("the request can't be built: {0}")]
    Request(String),
}

impl Error {
    /// The server's refusal, if that is what this is.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Status(status) => Some(status),
            _ => None,
        }
    }

    /// Returns true if the object, or its whole kind, is not there.
    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(Status::is_not_found)
    }

    /// Returns true if a write met a state other than the expected one.
    pub fn is_conflict(&self) -> bool {
        self.status().is_some_and(Status::is_conflict)
    }

    /// Returns true if nothing is wrong with the request itself: no server could be reached, or it is overloaded, starting,
    /// or cut off from etcd.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            // Errors of etcd come through without a reason. With one it is an error about this request, such as that of an
            // admission webhook, which would come again for as long as the webhook is broken.
            Self::Status(status) if status.code == 500 => status.reason.is_empty() && !status.is_malformed_apply(),
            Self::Status(status) => matches!(status.code, 429 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// Returns true if a write may have happened although no answer says so.
    pub fn is_ambiguous(&self) -> bool {
        match self {
            Self::Transport(error) => !error.is_unsent(),
            Self::Status(status) => matches!(status.code, 500 | 502 | 504),
            Self::Decode(_) => true,
            Self::Frame(_) | Self::Request(_) => false,
        }
    }
}
