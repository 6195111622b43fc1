//! A write that was refused, or whose answer was lost: what it has met, found out by a look at the server.
//!
//! No write is repeated blindly. After the look the cache has what was found, so that the reconciler can decide anew at
//! once, instead of running into the same conflict until the watch has caught up.

use std::fmt;

use crate::api::{Client, Error, Precondition};
use crate::object::{Key, Object};
use crate::store::Reader;

/// What a look at the server has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The object is other than the cache had it, which knows by now: decide anew. If the answer was lost, it may be the
    /// write itself that is seen.
    Outdated,
    /// The object that the cache has is gone, of which it will hear soon.
    Ahead,
}

/// A write that failed, of which a look tells no more than its error does.
#[derive(Debug)]
pub struct Unsettled {
    /// How the write failed.
    pub error: Error,
    /// Whether the server has answered the look. Then it is there, and whatever ends writes of this object (a webhook that
    /// hangs, say) is no outage.
    pub was_answered: bool,
}

impl Unsettled {
    /// Returns true if the error looks like an outage, and is none: whoever writes this object again is best told so, and waits
    /// longer each time.
    pub fn is_no_outage(&self) -> bool {
        self.was_answered && self.error.is_unavailable()
    }
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Unsettled {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Looks at what a write of `key` has met that assumed `precondition` and ended in `error`.
///
/// # Errors
///
/// [`Unsettled`] with `error`, where a look tells nothing more: where it is no conflict, no lost answer, and nothing that another
/// state of the object would explain; where the object is as it was assumed to be, so that the write was not made and may be
/// repeated; or where there is no answer to the look either.
///
/// ```no_run
/// # use engine::api::Precondition;
/// # use engine::controller::{Cx, Failure, Outcome};
/// # use engine::object::{Key, Object};
/// use engine::settle::{Settled, settle};
///
/// # async fn example<T: Object>(cx: &Cx<T>, key: &Key, body: serde_json::Value) -> Result<Outcome, Failure> {
/// let cache = cx.reader::<T>();
/// let absent = Precondition::Absent;
/// match cx.client().apply::<T>(key, body, &absent).await {
///     Ok(created) => drop(cache.remember(created)),
///     Err(error) => match settle(cx.client(), cache, key, &absent, error).await? {
///         Settled::Outdated => { /* look at the cache again */ }
///         Settled::Ahead => { /* its event is on its way */ }
///     },
/// }
/// # Ok(Outcome::Done)
/// # }
/// ```
pub async fn settle<T: Object>(
    client: &Client,
    cache: &Reader<T>,
    key: &Key,
    precondition: &Precondition,
    error: Error,
) -> Result<Settled, Unsettled> {
    // A foreign uid is a 422 on an object that is there, and a write to one that is not may be a 404.
    let may_be_another = error.status().is_some_and(|status| matches!(status.code, 404 | 422));
    if !error.is_conflict() && !error.is_ambiguous() && !may_be_another {
        return Err(Unsettled { error, was_answered: false });
    }
    let cached = cache.get(key).map(|entry| entry.metadata().resource_version.clone());
    match client.get::<T>(key).await {
        Ok(Some(live)) => {
            // Not what the cache has by now: the watch may have been faster than the failure, and have brought the write itself.
            let assumed = match precondition {
                Precondition::Absent => None,
                Precondition::Unchanged { version, .. } => Some(version),
                Precondition::SameLife { .. } => cached.as_ref(),
            };
            let is_news = assumed != Some(&live.metadata().resource_version);
            cache.remember(live);
            // After a conflict what was decided is outdated. After anything else, an object that is as it was assumed to be
            // means that the write was not made.
            let is_outdated = is_news || error.is_conflict();
            if is_outdated { Ok(Settled::Outdated) } else { Err(Unsettled { error, was_answered: true }) }
        }
        Ok(None) if cached.is_some() => Ok(Settled::Ahead),
        Ok(None) if error.is_conflict() || *precondition != Precondition::Absent => Ok(Settled::Outdated),
        found => Err(Unsettled { error, was_answered: found.is_ok() }),
    }
}
