//! What a key is added to the queue with: why, which turn it waits for, whether it may cut a backoff short. Pure.

use std::fmt;

/// What asks for a key to be reconciled: why, in which lane, and whether it may cut a backoff short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// Why, and who says so.
    pub cause: Cause,
    /// Which turn the key waits for.
    pub lane: Lane,
    /// Whether earlier failures still count.
    pub urgency: Urgency,
}

/// Whether a trigger waits for the end of a backoff.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Urgency {
    /// Not before a backoff is over.
    #[default]
    Normal,
    /// At once: the wish has changed (a new generation, a deletion), so that earlier failures say nothing any more.
    Urgent,
}

/// Which turn a key waits for. The first lane goes first, and no lane waits for ever: see the order of [`crate::queue`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Lane {
    /// What is looked at again although nothing is known to have changed: a first list, a relist, a resync.
    Resync,
    /// A change that somebody waits for.
    #[default]
    Live,
}

/// Why a key is reconciled: the reasons, and the sources that gave them.
///
/// A set, since what is added while a key waits is handed out at once; one word, so that it costs nothing to carry.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Cause(u32);

/// One reason to reconcile a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// An object has come into being.
    Created,
    /// An object has changed.
    Updated,
    /// An object is gone.
    Deleted,
    /// An object was found by a list: the first one, or one that bridges a gap in a watch.
    Listed,
    /// It is looked at from time to time, changed or not.
    Resync,
    /// The reconciler asked to be called again.
    Timer,
    /// The last attempt failed.
    Retry,
}

impl Trigger {
    /// A trigger that may not cut a backoff short, of no source in particular. Lists and resyncs have the lane
    /// [`Lane::Resync`], all else is live.
    pub fn new(reason: Reason) -> Self {
        let lane = if matches!(reason, Reason::Listed | Reason::Resync) { Lane::Resync } else { Lane::Live };
        Self { cause: Cause::new(reason), lane, urgency: Urgency::Normal }
    }

    /// The same with another urgency.
    pub fn with_urgency(self, urgency: Urgency) -> Self {
        Self { urgency, ..self }
    }

    /// The same as said by `source`, a number that its controller gives out; see [`Cause::from_source`].
    pub fn from_source(self, source: usize) -> Self {
        Self { cause: self.cause.from_source(source), ..self }
    }
}

impl From<Reason> for Trigger {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

impl Lane {
    /// Every lane, the one that goes first in front.
    pub const ALL: [Self; 2] = [Self::Live, Self::Resync];

    /// The priority that controller-runtime gives to such keys, for metrics with its label `priority`: 0, and -100 for
    /// what its `LowPriority` is for.
    pub fn priority(self) -> i32 {
        match self {
            Self::Live => 0,
            Self::Resync => -100,
        }
    }

    /// Its place in [`ALL`](Self::ALL).
    pub fn index(self) -> usize {
        match self {
            Self::Live => 0,
            Self::Resync => 1,
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Resync => "resync",
        })
    }
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 7] =
        [Self::Created, Self::Updated, Self::Deleted, Self::Listed, Self::Resync, Self::Timer, Self::Retry];
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Listed => "listed",
            Self::Resync => "resync",
            Self::Timer => "timer",
            Self::Retry => "retry",
        })
    }
}

impl Cause {
    /// How many sources are told apart: what a word has room for beside the reasons. All later ones count as the last.
    pub const SOURCES: usize = 24;

    /// One reason, of no source in particular.
    pub fn new(reason: Reason) -> Self {
        Self(1 << (reason as u32))
    }

    /// The same as said by `source`, counted from zero.
    pub fn from_source(self, source: usize) -> Self {
        Self(self.0 | 1 << (Reason::ALL.len() + source.min(Self::SOURCES - 1)))
    }

    /// Both.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The reasons, in the order of [`Reason::ALL`].
    pub fn reasons(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.into_iter().filter(move |reason| self.has(*reason))
    }

    /// Returns true if `reason` is among the reasons.
    pub fn has(self, reason: Reason) -> bool {
        self.0 & Self::new(reason).0 != 0
    }

    /// The numbers of the sources, rising.
    pub fn sources(self) -> impl Iterator<Item = usize> {
        (0..Self::SOURCES).filter(move |source| self.0 & Self(0).from_source(*source).0 != 0)
    }
}

impl fmt::Display for Cause {
    /// The reasons, as in `updated+retry`; the names of sources are their controller's to give.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, reason) in self.reasons().enumerate() {
            write!(f, "{}{reason}", if number == 0 { "" } else { "+" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} of {:?}", self.sources().collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_combine_and_tell_their_reasons_and_sources() {
        let cause = Cause::new(Reason::Updated).from_source(1).union(Cause::new(Reason::Retry));
        let cause = cause.union(Cause::new(Reason::Updated).from_source(0));
        assert_eq!(cause.to_string(), "updated+retry");
        assert_eq!(cause.sources().collect::<Vec<_>>(), [0, 1]);
        assert!(cause.has(Reason::Retry) && !cause.has(Reason::Deleted));
    }

    #[test]
    fn sources_beyond_the_last_count_as_the_last() {
        let cause = Cause::new(Reason::Listed).from_source(1_000);
        assert_eq!(cause.sources().collect::<Vec<_>>(), [Cause::SOURCES - 1]);
        assert_eq!(cause.reasons().collect::<Vec<_>>(), [Reason::Listed]);
    }

    #[test]
    fn what_is_known_already_is_looked_at_after_what_has_changed() {
        for reason in Reason::ALL {
            let resync = matches!(reason, Reason::Listed | Reason::Resync);
            assert_eq!(Trigger::new(reason).lane == Lane::Resync, resync, "{reason}");
        }
        assert!(Lane::Live > Lane::Resync && Lane::ALL[0] == Lane::Live);
    }
}
