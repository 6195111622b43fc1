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

mod audit;
mod end;

use std::cmp::Ordering;
use std::collections::HashMap;

pub use self::audit::Audit;
pub use self::end::{End, Pause, Reason};
use crate::api::{Entry, Event, Page, Start};
use crate::object::{Key, Object, ResourceVersion};

/// What to send next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// One page of a list.
    List {
        /// Which page; the first one without it.
        continue_token: Option<String>,
        /// Whether it is to be the whole list, since one by pages takes longer than the server keeps its version.
        whole: bool,
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
        /// The objects. None of them twice, unless the server could not keep its pages at one version.
        entries: Vec<Entry<T>>,
        /// Why they were listed.
        reason: Reason,
        /// Whether the cluster has gone back in time: versions that are known from before may come again with another
        /// content.
        restored: bool,
    },
    /// This object is in this state.
    Upsert(Entry<T>),
    /// This object is gone.
    Delete(Entry<T>),
    /// Nothing else happened up to this version.
    Progress(ResourceVersion),
    /// The resource itself is gone, and every object with it.
    Clear,
}

/// The state of one list and watch.
#[derive(Debug)]
pub struct Machine<T> {
    position: Position<T>,
    /// The latest version that was handed on; see invariant 1.
    floor: Option<ResourceVersion>,
    /// Whether the server is thought to stream lists. Learnt once, kept for good.
    streams_lists: bool,
    /// Whether the next list is asked for by pages although the server streams lists, since the last streamed one failed.
    pages_next: bool,
    /// Requests in a row that brought nothing new.
    failures: u32,
    /// Watches that were silent or unreadable since the last one that brought anything new.
    silences: u32,
    /// Why everything is listed, where it is.
    reason: Reason,
    /// Times in a row that a list by pages expired before its last one.
    expiries: u32,
    /// Times in a row that everything had to be listed again without a single new event in between.
    fruitless: u32,
    /// Times in a row that the server did not know the resource.
    absences: u32,
    /// Times in a row that the server did not let us read it.
    denials: u32,
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
/// Lists are read at a quorum, so an older one means that the cluster itself went back in time, or that the server asks an
/// etcd that is behind. The latter passes; eight times, at the longest delay between, take ten seconds or more.
const REGRESSIONS_BELIEVED: u32 = 8;

/// How often in a row a server may be behind the version to resume at. One that stays behind has lost what was seen.
const BEHIND_BELIEVED: u32 = 3;

/// How often in a row a watch may be silent, or unreadable, until everything is listed again. Once can be the connection.
/// Twice can be a server that went back in time: it sends nothing, not even bookmarks, until it is past the version that
/// the watch started at. Nor does a sound one whose etcd tells no progress, of a kind that nobody touches (seen on 1.37): it
/// is asked for its version after the first silence, which has it ask etcd, and there are bookmarks again. So a watch that
/// has closed in time before a silence must not count as one.
const SILENCES_BELIEVED: u32 = 2;

/// How often in a row a watch may end without anything new. It costs a list to be wrong here, once in a quarter of an hour
/// on a cluster where nothing at all happens, and the truth for ever to be wrong in not listing.
const CLOSES_BELIEVED: u32 = 5;

/// How often in a row a list by pages may expire until it is asked for whole. Once can be a compaction that happened to fall
/// in between; a list that takes longer than the server keeps versions would never come to an end.
const EXPIRIES_BELIEVED: u32 = 2;

/// How often in a row the server must not know a resource whose objects are known until these are taken for gone. A server
/// that is starting may say so for a moment.
const ABSENCES_BELIEVED: u32 = 3;

/// How often in a row the server must forbid the reading until that is asked ever more seldom: by then ten seconds are over. A
/// server that has just started forbids for a while what its roles allow, which it has not read yet; what an operator was
/// never given, a hundred sources would ask for fifty times a second.
const DENIALS_BELIEVED: u32 = 8;

impl<T> Default for Machine<T> {
    fn default() -> Self {
        Self {
            position: Position::Unlisted,
            floor: None,
            streams_lists: true,
            pages_next: false,
            failures: 0,
            silences: 0,
            reason: Reason::Initial,
            expiries: 0,
            fruitless: 0,
            absences: 0,
            denials: 0,
            regressions: 0,
        }
    }
}

impl<T: Object> Machine<T> {
    /// What to send next.
    pub fn request(&self) -> Request {
        match &self.position {
            Position::Unlisted | Position::Streaming { .. } if self.streams_lists && !self.pages_next => {
                Request::Watch(Start::WithList)
            }
            Position::Unlisted | Position::Streaming { .. } => {
                Request::List { continue_token: None, whole: self.expiries >= EXPIRIES_BELIEVED }
            }
            Position::Paging { continue_token, .. } => {
                Request::List { continue_token: Some(continue_token.clone()), whole: false }
            }
            Position::Watching { version } => Request::Watch(Start::After(version.clone())),
        }
    }

    /// Returns true while a streamed list is under way, whose end some servers never announce.
    pub fn awaits_list_end(&self) -> bool {
        matches!(self.request(), Request::Watch(Start::WithList))
    }

    /// Up to where the cache follows the server; `None` while everything is listed.
    pub fn version(&self) -> Option<&ResourceVersion> {
        match &self.position {
            Position::Watching { version } => Some(version),
            _ => None,
        }
    }

    /// Returns true if what is in the cache may stand in for what is listed with the same uid and version: not where the
    /// cluster may have gone back in time, and versions may come again.
    pub fn trusts_cache(&self) -> bool {
        self.regressions == 0
    }

    /// Makes everything be listed again for this reason: an audit found the cache to be wrong, or the server has gone back in
    /// time.
    pub fn distrust(&mut self, reason: Reason) {
        self.reason = reason;
        self.position = Position::Unlisted;
    }

    /// Takes in a page of a list.
    ///
    /// # Errors
    ///
    /// How the list ended, if it can't be used; report it to [`ended`](Self::ended).
    pub fn page(&mut self, page: Page<T>) -> Result<Option<Transaction<T>>, End> {
        let (mut entries, former_token) = match std::mem::replace(&mut self.position, Position::Unlisted) {
            Position::Paging { entries, continue_token } => (entries, Some(continue_token)),
            _ => (Vec::new(), None),
        };
        entries.extend(page.entries);
        match page.continue_token {
            // A server that does not heed the token would send the same page for ever.
            Some(continue_token) if former_token.as_ref() == Some(&continue_token) => Err(End::Garbled),
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
                    Event::Bookmark { version: reached, .. } => {
                        if reached.compare(version).is_some_and(Ordering::is_lt) {
                            return Err(End::Behind);
                        }
                        (reached.clone(), Transaction::Progress(reached))
                    }
                    Event::Error(_) => return Ok(None),
                };
                // What is repeated or comes late must not move the point of resumption back, and is no progress.
                if reached != *version && is_point(&reached) && reached.compare(version).is_none_or(Ordering::is_gt) {
                    *version = reached.clone();
                    self.floor = Some(reached);
                    self.failures = 0;
                    self.silences = 0;
                    self.fruitless = 0;
                }
                return Ok(Some(transaction));
            }
            Position::Unlisted | Position::Paging { .. } => {}
        }
        Ok(None)
    }

    /// Takes in how a request ended, and says when to send the next one.
    pub fn ended(&mut self, end: End) -> Pause {
        self.failures = self.failures.saturating_add(1);
        if matches!((&self.position, end), (Position::Watching { .. }, End::Silent | End::Garbled)) {
            self.silences = self.silences.saturating_add(1);
        }
        self.absences = if end == End::Absent { self.absences.saturating_add(1) } else { 0 };
        self.denials = if end == End::Forbidden { self.denials.saturating_add(1) } else { 0 };
        if matches!((&self.position, end), (Position::Paging { .. }, End::Expired)) {
            self.expiries = self.expiries.saturating_add(1);
        }
        // The whole in one answer may be more than a server can send in time: then it is tried in the other ways again.
        let was_whole = matches!(self.request(), Request::List { whole: true, .. });
        let pause = self.after(end);
        if was_whole {
            self.expiries = 0;
            self.pages_next = false;
        }
        match self.denials.checked_sub(DENIALS_BELIEVED) {
            None | Some(0) => pause,
            Some(looks) => Pause::Probe(looks),
        }
    }

    fn after(&mut self, end: End) -> Pause {
        match (&self.position, end) {
            (_, End::Absent) => {
                self.failures = 0;
                self.relist(end);
                Pause::Probe(self.absences.saturating_sub(ABSENCES_BELIEVED - 1).max(1))
            }
            (_, End::Regressed) => {
                self.relist(end);
                Pause::Backoff(u32::MAX)
            }
            (_, End::Expired) => match self.start_over(end) {
                Pause::Backoff(1) => Pause::None,
                pause => pause,
            },
            // A streamed list that failed for whatever reason is followed by one by pages, as in client-go: a server may
            // know the wish and still be unable to fulfil it. One that refuses it is not asked again.
            (Position::Unlisted | Position::Streaming { .. }, _) if self.awaits_list_end() => {
                self.streams_lists = end != End::Refused;
                self.pages_next = true;
                self.position = Position::Unlisted;
                if matches!(end, End::Refused | End::Silent) { Pause::None } else { Pause::Backoff(self.failures) }
            }
            (Position::Watching { .. }, End::Silent | End::Garbled) if self.silences >= SILENCES_BELIEVED => {
                self.start_over(end)
            }
            (Position::Watching { .. }, End::Closed) if self.failures >= CLOSES_BELIEVED => self.start_over(end),
            (Position::Watching { .. }, End::Behind) if self.failures < BEHIND_BELIEVED => Pause::Backoff(self.failures),
            // A watch that lived is resumed at once; one that keeps ending without an event is backed off.
            (Position::Watching { .. }, End::Closed) if self.failures == 1 => Pause::None,
            // It has waited for long enough.
            (Position::Watching { .. }, End::Silent) => Pause::None,
            (Position::Watching { .. }, End::Closed | End::Failed | End::Forbidden | End::Garbled)
            // What arrived of a list is kept where the next page can still be asked for.
            | (Position::Paging { .. }, End::Closed | End::Silent | End::Failed | End::Forbidden) => {
                Pause::Backoff(self.failures)
            }
            // One page may have been cut; a server whose pages can't be read may do better from the beginning.
            (Position::Paging { .. }, End::Garbled) if self.failures < SILENCES_BELIEVED => Pause::Backoff(self.failures),
            _ => self.start_over(end),
        }
    }

    /// What to commit after a request has ended, if anything: a resource that the server has not known for a while has
    /// taken its objects with it.
    pub fn vanished(&self) -> Option<Transaction<T>> {
        (self.absences == ABSENCES_BELIEVED && self.floor.is_some()).then_some(Transaction::Clear)
    }

    /// Lists everything again. The first reason is the one that counts, however often the list itself fails then.
    fn relist(&mut self, end: End) {
        if matches!(self.position, Position::Watching { .. }) {
            self.reason = Reason::Ended(end);
        }
        self.position = Position::Unlisted;
    }

    fn start_over(&mut self, end: End) -> Pause {
        self.relist(end);
        self.fruitless = self.fruitless.saturating_add(1);
        Pause::Backoff(self.failures.max(self.fruitless))
    }

    fn snapshot(&mut self, version: ResourceVersion, entries: Vec<Entry<T>>) -> Result<Transaction<T>, End> {
        self.position = Position::Unlisted;
        if !is_point(&version) {
            return Err(End::Garbled);
        }
        let regressed = self.floor.as_ref().and_then(|floor| version.compare(floor)).is_some_and(Ordering::is_lt);
        if regressed && self.regressions < REGRESSIONS_BELIEVED {
            self.regressions += 1;
            return Err(End::Regressed);
        }
        self.regressions = 0;
        self.failures = 0;
        self.silences = 0;
        self.expiries = 0;
        self.absences = 0;
        self.denials = 0;
        self.pages_next = false;
        self.floor = Some(version.clone());
        self.position = Position::Watching { version: version.clone() };
        let reason = if regressed { Reason::Ended(End::Regressed) } else { self.reason };
        Ok(Transaction::Replace { version, entries, reason, restored: regressed })
    }
}

/// Returns true if a watch can resume at `version`: the empty one means "from now", and "0" "from anywhere".
fn is_point(version: &ResourceVersion) -> bool {
    !matches!(&*version.0, "" | "0")
}

#[cfg(test)]
mod tests;
