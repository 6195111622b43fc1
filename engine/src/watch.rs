//! The list/watch state machine: answers of the API server in, transactions on a cache out. Pure.
//!
//! Its shell asks [`request`](Machine::request) what to send, feeds what comes back into [`page`](Machine::page) and
//! [`event`](Machine::event), and reports to [`ended`](Machine::ended) how the request ended, which says how long to wait.
//!
//! # Invariants
//!
//! 1. Snapshots and events are handed on in the order of their versions; a snapshot that is older than what was already
//!    handed on is refused, unless the server insists (a cluster restored from a backup).
//! 2. A watch resumes after the last version that was handed on, or everything is listed again.
//! 3. Nothing of a list is handed on before the whole of it has arrived.

use std::collections::HashMap;

use crate::api::{Entry, Error, Event, Page, Start, Status};
use crate::object::{Key, Object, ResourceVersion};

/// What to send next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// One page of a list.
    List {
        /// Which page; the first one without it.
        continue_token: Option<String>,
    },
    /// A watch.
    Watch(Start),
}

/// A change of the cache that is made at once or not at all.
#[derive(Debug)]
pub enum Transaction<T> {
    /// The cache holds exactly these objects.
    Replace {
        /// The version of the whole.
        version: ResourceVersion,
        /// The objects.
        entries: Vec<Entry<T>>,
    },
    /// This object is in this state.
    Upsert(Entry<T>),
    /// This object is gone.
    Delete(Entry<T>),
    /// Nothing else happened up to this version.
    Progress(ResourceVersion),
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// A list is older than what is already known.
    Regressed,
    /// Anything else: no connection, overload, no permission, garbage.
    Failed,
}

/// What to do before the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Send it at once.
    None,
    /// Wait as after this many failures in a row.
    Backoff(u32),
    /// The resource is not there: look again now and then.
    Probe,
}

/// The state of one list and watch.
#[derive(Debug)]
pub struct Machine<T> {
    position: Position<T>,
    /// The latest version that was handed on; see invariant 1.
    floor: Option<ResourceVersion>,
    /// Whether the server is thought to stream lists. Learnt once, kept for good.
    streams_lists: bool,
    /// Requests in a row that brought nothing.
    failures: u32,
    /// Lists in a row that were older than `floor`.
    regressions: u32,
}

#[derive(Debug)]
enum Position<T> {
    /// Nothing is known, or what is known can't be built on.
    Unlisted,
    /// Some pages of a list have arrived.
    Paging { continue_token: String, entries: Vec<Entry<T>> },
    /// Some initial events of a streamed list have arrived. Objects may change while it is under way.
    Streaming { entries: HashMap<Key, Entry<T>> },
    /// Everything up to `version` is handed on.
    Watching { version: ResourceVersion },
}

/// How many lists in a row may be older than what is known until they are believed.
///
/// Lists are read at a quorum, so an older one means that the cluster itself went back in time. Once could be a server that
/// was just replaced; three times, with a backoff between, is the new truth.
const REGRESSIONS_BELIEVED: u32 = 3;

impl<T> Default for Machine<T> {
    fn default() -> Self {
        Self { position: Position::Unlisted, floor: None, streams_lists: true, failures: 0, regressions: 0 }
    }
}

impl<T: Object> Machine<T> {
    /// What to send next.
    pub fn request(&self) -> Request {
        match &self.position {
            Position::Unlisted | Position::Streaming { .. } if self.streams_lists => Request::Watch(Start::WithList),
            Position::Unlisted | Position::Streaming { .. } => Request::List { continue_token: None },
            Position::Paging { continue_token, .. } => Request::List { continue_token: Some(continue_token.clone()) },
            Position::Watching { version } => Request::Watch(Start::After(version.clone())),
        }
    }

    /// Returns true while a streamed list is under way, whose end some servers never announce.
    pub fn awaits_list_end(&self) -> bool {
        matches!(self.request(), Request::Watch(Start::WithList))
    }

    /// Takes in a page of a list.
    ///
    /// # Errors
    ///
    /// How the list ended, if it can't be used; report it to [`ended`](Self::ended).
    pub fn page(&mut self, page: Page<T>) -> Result<Option<Transaction<T>>, End> {
        let mut entries = match std::mem::replace(&mut self.position, Position::Unlisted) {
            Position::Paging { entries, .. } => entries,
            _ => Vec::new(),
        };
        entries.extend(page.entries);
        match page.continue_token {
            Some(continue_token) => {
                self.position = Position::Paging { continue_token, entries };
                Ok(None)
            }
            None => self.snapshot(page.version, entries).map(Some),
        }
    }

    /// Takes in an event of a watch.
    ///
    /// # Errors
    ///
    /// How the watch ended, if it did; report it to [`ended`](Self::ended).
    pub fn event(&mut self, event: Event<T>) -> Result<Option<Transaction<T>>, End> {
        if let Event::Error(status) = &event {
            return Err(End::from(status));
        }
        if matches!(self.position, Position::Unlisted) {
            self.position = Position::Streaming { entries: HashMap::new() };
        }
        match &mut self.position {
            Position::Streaming { entries } => match event {
                Event::Upsert(entry) => drop(entries.insert(entry.key(), entry)),
                Event::Delete(entry) => drop(entries.remove(&entry.key())),
                Event::Bookmark { version, ends_initial: true } => {
                    let entries = std::mem::take(entries).into_values().collect();
                    return self.snapshot(version, entries).map(Some);
                }
                // A server that streams lists sends no other bookmark before the one that ends the list; one that does not
                // would never send that one.
                Event::Bookmark { .. } => return Err(End::Refused),
                Event::Error(_) => {}
            },
            Position::Watching { version } => {
                let (reached, transaction) = match event {
                    Event::Upsert(entry) => (entry.metadata().resource_version.clone(), Transaction::Upsert(entry)),
                    Event::Delete(entry) => (entry.metadata().resource_version.clone(), Transaction::Delete(entry)),
                    Event::Bookmark { version, .. } => (version.clone(), Transaction::Progress(version)),
                    Event::Error(_) => return Ok(None),
                };
                self.failures = 0;
                // An upstream that repeats or reorders events must not move the point of resumption backwards.
                if reached.compare(version).is_none_or(std::cmp::Ordering::is_ge) {
                    *version = reached.clone();
                    self.floor = Some(reached);
                }
                return Ok(Some(transaction));
            }
            Position::Unlisted | Position::Paging { .. } => {}
        }
        Ok(None)
    }

    /// Takes in how a request ended, and says when to send the next one.
    pub fn ended(&mut self, end: End) -> Pause {
        let first_failure = self.failures == 0;
        self.failures = self.failures.saturating_add(1);
        match (&self.position, end) {
            // A watch that lived is resumed at once; one that keeps closing without an event is backed off.
            (Position::Watching { .. }, End::Closed | End::Silent) if first_failure => Pause::None,
            // So is a list that was cut; what arrived of it is kept where the next page can still be asked for.
            (Position::Watching { .. } | Position::Paging { .. }, End::Closed | End::Silent | End::Failed) => {
                Pause::Backoff(self.failures)
            }
            // A server that is behind for a moment catches up; one that stays behind has lost what was seen.
            (Position::Watching { .. }, End::Behind) if self.failures < REGRESSIONS_BELIEVED => {
                Pause::Backoff(self.failures)
            }
            (_, End::Expired) if first_failure => self.start_over(Pause::None),
            (_, End::Absent) => {
                self.failures = 0;
                self.start_over(Pause::Probe)
            }
            // Servers before 1.32 refuse a streamed list, or ignore the wish and never announce its end.
            (Position::Unlisted | Position::Streaming { .. }, End::Refused | End::Silent) if self.streams_lists => {
                self.streams_lists = false;
                self.failures = 0;
                self.start_over(Pause::None)
            }
            _ => self.start_over(Pause::Backoff(self.failures)),
        }
    }

    fn start_over(&mut self, pause: Pause) -> Pause {
        self.position = Position::Unlisted;
        pause
    }

    fn snapshot(&mut self, version: ResourceVersion, entries: Vec<Entry<T>>) -> Result<Transaction<T>, End> {
        let regressed =
            self.floor.as_ref().and_then(|floor| version.compare(floor)).is_some_and(std::cmp::Ordering::is_lt);
        if regressed && self.regressions < REGRESSIONS_BELIEVED {
            self.regressions += 1;
            self.position = Position::Unlisted;
            return Err(End::Regressed);
        }
        self.regressions = 0;
        self.failures = 0;
        self.floor = Some(version.clone());
        self.position = Position::Watching { version: version.clone() };
        Ok(Transaction::Replace { version, entries })
    }
}

impl From<&Status> for End {
    fn from(status: &Status) -> Self {
        match status.code {
            410 => Self::Expired,
            504 if status.is_version_too_large() => Self::Behind,
            404 => Self::Absent,
            400 | 422 => Self::Refused,
            _ => Self::Failed,
        }
    }
}

impl From<&Error> for End {
    fn from(error: &Error) -> Self {
        match error {
            Error::Status(status) => Self::from(status),
            _ => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests;
