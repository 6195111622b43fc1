//! What an elector does next, from what it has seen of the Lease and when. Pure: the time is an argument.
//!
//! The rules are client-go's, so that its electors and these exclude each other on one Lease, and stricter where client-go's
//! leave a gap:
//!
//! - Somebody else's Lease is valid for its duration from when its present version was *first seen here*. What it says of the
//!   time is never read, so that clocks need not agree; they only have to run about as fast as each other.
//! - A term ends [`Timing::renew_deadline`] after the *start of the request* that last renewed it. client-go counts from the
//!   answer, which may have been on its way for long.
//! - Every write bears the version that was seen, so that a takeover proves that nobody has renewed in between. Together:
//!   the leader's request began before its write was seen elsewhere, and its term is shorter than the wait that begins there.
//! - A Lease that was deleted may still be led under: whoever has seen it waits for its duration before making another.

use std::sync::Arc;
use std::time::Duration;

use super::record::Lease;
use super::timing::Timing;
use crate::object::ResourceVersion;

/// A moment, as the time since the elector was made.
pub(super) type Now = Duration;

/// A time in which this process leads, and no other does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Term {
    /// Counts the terms of this process.
    pub(super) number: u64,
    /// When it ends unless it is renewed. Nothing may be written after it.
    pub(super) deadline: Now,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Read the Lease, and tell [`Core::seen`].
    Read,
    /// Write the Lease, and tell [`Core::won`], [`Core::released`] or [`Core::failed`].
    Write(Write),
    /// Nothing, until then or until something is told; for ever, if that is [`Now::MAX`].
    Wait(Now),
    /// Nothing any more.
    End,
}

/// A write of the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    /// The version that it must have; it must not exist, if there is none.
    pub(super) version: Option<ResourceVersion>,
    pub(super) kind: Kind,
    /// How often it has had another holder, this write included.
    pub(super) transitions: i64,
}

/// What a write says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// This process holds the Lease from now on.
    Acquire,
    /// It holds it still.
    Renew,
    /// Nobody holds it.
    Release,
}

/// Why a read or a write brought nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The Lease is not as it was seen, so that the write did not happen.
    Conflict,
    /// A write has brought no answer, or none that tells that it did not happen.
    Ambiguous,
    /// A read has brought no answer.
    Unread,
}

/// The state of one elector.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Core {
    identity: Arc<str>,
    timing: Timing,
    known: Known,
    /// The newest version that was seen.
    version: ResourceVersion,
    /// Until then somebody else may lead, as far as was seen. Only what is *newly* seen moves it.
    foreign_until: Now,
    /// How long the last Lease of somebody else was valid.
    foreign_duration: Duration,
    transitions: i64,
    term: Option<Term>,
    terms: u64,
    /// No renewal before.
    renew_at: Now,
    /// No request before, since the last one failed.
    not_before: Now,
    /// Conflicts in a row.
    conflicts: u32,
    /// Whether the Lease may name this process as its holder.
    is_own: bool,
    contends: bool,
    leaves: bool,
}

/// What the next write goes by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Known {
    /// Nothing good enough: it has to be read first.
    Nothing,
    Absent,
    Held(Holder),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    Nobody,
    This,
    Other,
}

impl Core {
    pub(super) fn new(identity: Arc<str>, timing: Timing) -> Self {
        Self {
            identity,
            timing,
            known: Known::Nothing,
            version: ResourceVersion::default(),
            foreign_until: Now::ZERO,
            foreign_duration: Duration::ZERO,
            transitions: 0,
            term: None,
            terms: 0,
            renew_at: Now::ZERO,
            not_before: Now::ZERO,
            conflicts: 0,
            is_own: false,
            contends: false,
            leaves: false,
        }
    }

    /// Whether this process wants to lead. One that does not want to keeps what it has.
    pub(super) fn contend(&mut self, contends: bool) {
        self.contends = contends;
    }

    /// Gives the Lease back. To be called once nobody acts on the term any more, which ends here.
    pub(super) fn leave(&mut self) {
        self.leaves = true;
        self.term = None;
    }

    /// Whether [`leave`](Self::leave) was called.
    pub(super) fn leaves(&self) -> bool {
        self.leaves
    }

    /// The term, if it has not ended.
    pub(super) fn term(&self, now: Now) -> Option<Term> {
        self.term.filter(|term| now < term.deadline)
    }

    /// The version from which on a watch tells what happens to the Lease; `None` while there is nothing to be watched, or
    /// nothing to be learned: a leader learns from its next renewal.
    pub(super) fn watched(&self, now: Now) -> Option<&ResourceVersion> {
        (matches!(self.known, Known::Held(_)) && self.term(now).is_none()).then_some(&self.version)
    }

    /// The next step at `now`.
    pub(super) fn next(&self, now: Now) -> Step {
        let leads = self.term(now).is_some();
        let due = match self.known {
            _ if self.leaves && !self.is_own => return Step::End,
            // To give back what another one holds would make two leaders.
            Known::Absent | Known::Held(Holder::Nobody | Holder::Other) if self.leaves => return Step::End,
            Known::Nothing => self.not_before,
            Known::Held(Holder::This) if leads => self.not_before.max(self.renew_at),
            _ if leads || self.leaves => self.not_before,
            _ if !self.contends => return Step::Wait(Now::MAX),
            Known::Held(Holder::Nobody | Holder::This) => self.not_before,
            Known::Absent | Known::Held(Holder::Other) => self.not_before.max(self.foreign_until),
        };
        if now < due {
            return Step::Wait(due);
        }
        match self.known {
            Known::Nothing => Step::Read,
            Known::Absent => Step::Write(self.write(None)),
            Known::Held(_) => Step::Write(self.write(Some(self.version.clone()))),
        }
    }

    fn write(&self, version: Option<ResourceVersion>) -> Write {
        let (kind, transitions) = match self.known {
            _ if self.leaves => (Kind::Release, self.transitions),
            Known::Held(Holder::This) => (Kind::Renew, self.transitions),
            Known::Held(_) => (Kind::Acquire, self.transitions.saturating_add(1)),
            Known::Absent | Known::Nothing => (Kind::Acquire, self.transitions),
        };
        Write { version, kind, transitions }
    }

    /// The Lease was read, or told by a watch, and is so; `None` if there is none. `now` is when that came to be known.
    pub(super) fn seen(&mut self, now: Now, lease: Option<&Lease>) {
        let Some(lease) = lease else {
            if self.version != ResourceVersion::default() {
                // Who led under what is gone may have renewed just before.
                self.foreign_until = now.saturating_add(self.timing.lease_duration.max(self.foreign_duration));
            }
            (self.known, self.is_own) = (Known::Absent, false);
            self.version = ResourceVersion::default();
            return;
        };
        let holder = lease.spec.holder();
        let holder = match holder {
            "" => Holder::Nobody,
            holder if holder == &*self.identity => Holder::This,
            _ => Holder::Other,
        };
        if self.version != lease.metadata.resource_version {
            self.version = lease.metadata.resource_version.clone();
            self.foreign_until = now;
            if holder == Holder::Other {
                // It has begun anew, whatever it was that changed.
                self.foreign_duration = lease.spec.duration().unwrap_or(self.timing.lease_duration);
                self.foreign_until = now.saturating_add(self.foreign_duration);
            }
            self.transitions = lease.spec.lease_transitions.unwrap_or(0);
        }
        if holder == Holder::Other {
            // Another one can have written only after the term: it is over, or its clock is not to be trusted.
            self.term = None;
        }
        (self.known, self.is_own) = (Known::Held(holder), holder == Holder::This);
    }

    /// What is known is not good any more: it has to be read, no sooner than `at`.
    pub(super) fn forget(&mut self, at: Now) {
        self.known = Known::Nothing;
        self.not_before = self.not_before.max(at);
    }

    /// A write that was begun at `started` has made this process the holder. The next renewal is due `pause` after its start.
    pub(super) fn won(&mut self, started: Now, now: Now, lease: &Lease, pause: Duration) {
        self.seen(now, Some(lease));
        (self.conflicts, self.not_before) = (0, started);
        self.renew_at = started.saturating_add(pause);
        let deadline = started.saturating_add(self.timing.renew_deadline);
        if self.known != Known::Held(Holder::This) || self.leaves || now >= deadline {
            return;
        }
        if self.term(now).is_none() {
            self.terms += 1;
        }
        self.term = Some(Term { number: self.terms, deadline });
    }

    /// A write has given the Lease back.
    pub(super) fn released(&mut self) {
        (self.known, self.is_own) = (Known::Held(Holder::Nobody), false);
    }

    /// A read or a write that was begun at `started` has brought nothing. The next one comes `pause` after its start, or at
    /// once after the first conflict in a row.
    pub(super) fn failed(&mut self, started: Now, failure: Failure, pause: Duration) {
        match failure {
            Failure::Conflict => self.known = Known::Nothing,
            // What was seen is good for as long as it is not contradicted: a write that has happened is a conflict next.
            Failure::Ambiguous => self.is_own = true,
            Failure::Unread => {}
        }
        self.conflicts = if failure == Failure::Conflict { self.conflicts + 1 } else { 0 };
        self.not_before = if self.conflicts == 1 { started } else { started.saturating_add(pause) };
    }
}

#[cfg(test)]
mod tests;
