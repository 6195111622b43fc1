//! What the stream has brought, what was written beside it, and the indexes over both. Knows no lock.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use super::difference::{Cleared, changed, differs, is_before, is_older, is_quarantined, unseen};
use super::index::{Index, Indexes};
use super::overlay::{Life, Overdue, Overlay, What};
use super::{Change, Origin};
use crate::api::Entry;
use crate::object::{Key, Object, ResourceVersion};

pub(super) type Objects<T> = HashMap<Key, Entry<T>>;

/// One part of a cache.
///
/// # Invariants
///
/// 1. `indexes` hold what [`seen`](Self::seen) gives, for every key.
/// 2. No entry of `own` that has an order is at or below `version`.
/// 3. `over` is empty after each change of the stream.
#[derive(Debug)]
pub(super) struct State<T> {
    /// What the stream says. Shared with the writer alone, and only while it works out a snapshot.
    objects: Arc<Objects<T>>,
    /// How far the stream is.
    version: Option<ResourceVersion>,
    own: Overlay<T>,
    /// What readers saw by own writes alone and see no longer, while nobody was told.
    over: Vec<Entry<T>>,
    pub(super) indexes: Indexes<T>,
    /// How many of `objects` can't be decoded.
    quarantined: usize,
}

impl<T: Object> State<T> {
    pub(super) fn empty() -> Self {
        let (own, indexes) = (Overlay::none(), Indexes::none());
        Self { objects: Arc::default(), version: None, own, over: Vec::new(), indexes, quarantined: 0 }
    }

    /// What readers see of `key`.
    pub(super) fn seen(&self, key: &Key) -> Option<&Entry<T>> {
        let streamed = self.objects.get(key);
        match self.own.get(key) {
            None => streamed,
            Some(what) => what.over(streamed),
        }
    }

    /// Everything that readers see.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Key, &Entry<T>)> {
        let streamed = self.objects.iter().filter(|(key, _)| self.own.get(key).is_none());
        streamed.chain(self.own.keys().filter_map(|key| Some((key, self.seen(key)?))))
    }

    pub(super) fn len(&self) -> usize {
        let covered = self.own.keys().filter(|key| self.objects.contains_key(key)).count();
        let seen = self.own.keys().filter(|key| self.seen(key).is_some()).count();
        self.objects.len() - covered + seen
    }

    /// What the stream has brought of `key`.
    pub(super) fn object(&self, key: &Key) -> Option<&Entry<T>> {
        self.objects.get(key)
    }

    pub(super) fn objects(&self) -> Arc<Objects<T>> {
        self.objects.clone()
    }

    pub(super) fn version(&self) -> Option<&ResourceVersion> {
        self.version.as_ref()
    }

    pub(super) fn own_writes(&self) -> usize {
        self.own.len()
    }

    pub(super) fn quarantined(&self) -> usize {
        self.quarantined
    }

    /// Takes in a state of an object, and returns whether it is news.
    pub(super) fn upsert(&mut self, entry: &Entry<T>, changes: &mut Vec<Change<T>>) -> bool {
        let key = entry.key();
        let version = entry.metadata().resource_version.clone();
        let before = self.objects.get(&key).cloned();
        let is_news = match &before {
            Some(old) => differs(old, entry) && !is_older(entry, old),
            // Known to be gone since.
            None => !self.version.as_ref().is_some_and(|reached| is_before(&version, reached)),
        };
        if is_news {
            self.set(&key, entry.clone(), changes);
        }
        let confirmed = self.own.confirm(&key, None, Some(entry));
        self.reach(&version, confirmed.map(|what| (key.clone(), what)), Some((&key, before.as_ref())), changes);
        is_news
    }

    /// Takes in the last state of an object, and returns whether it is news that it is gone.
    pub(super) fn delete(&mut self, entry: Entry<T>, changes: &mut Vec<Change<T>>) -> bool {
        let (key, metadata) = (entry.key(), entry.metadata());
        let (version, life) = (metadata.resource_version.clone(), Life::of(metadata));
        let streamed = self.objects.get(&key).cloned();
        let known = streamed.clone().filter(|old| !is_older(&entry, old));
        let is_news = known.is_some();
        if let Some(known) = known {
            let before = self.seen(&key).cloned();
            let gone = Arc::make_mut(&mut self.objects).remove(&key);
            self.count(gone.as_ref(), None);
            self.refile(&key, before.as_ref());
            // The last state that could be read says more than the fact that it no longer can be.
            let last = if matches!((&known, &entry), (Entry::Valid(_), Entry::Invalid(_))) { known } else { entry };
            changed(Some(last), None, Origin::Event, changes);
        }
        let ended = self.own.end(&key, &life);
        self.reach(&version, ended.map(|what| (key.clone(), what)), Some((&key, streamed.as_ref())), changes);
        is_news
    }

    /// Moves the stream forward, and drops the own writes that it has passed.
    pub(super) fn advance(&mut self, version: &ResourceVersion, changes: &mut Vec<Change<T>>) {
        self.reach(version, None, None, changes);
    }

    /// Moves the stream forward, and drops what it has passed and `confirmed`. An `event` moves it: its key, and what that was
    /// before.
    fn reach(
        &mut self,
        version: &ResourceVersion,
        confirmed: Option<(Key, What<T>)>,
        event: Option<(&Key, Option<&Entry<T>>)>,
        changes: &mut Vec<Change<T>>,
    ) {
        if self.version.as_ref().is_none_or(|reached| version.reaches(reached) || !version.is_comparable()) {
            self.version = Some(version.clone());
        }
        let mut dropped: Vec<_> = confirmed.into_iter().collect();
        dropped.append(&mut self.pass(version));
        for (dropped, what) in dropped {
            if !self.indexes.is_empty() {
                let streamed = self.objects.get(&dropped);
                self.indexes.refile(&dropped, what.over(streamed), streamed);
            }
            let now = self.objects.get(&dropped);
            let before = event.filter(|(key, _)| **key == dropped).map_or(now, |(_, before)| before);
            self.over.extend(unseen(what, before, now, Origin::Event, changes));
        }
        self.tell_over(Origin::Event, changes);
    }

    /// Forgets every object, and returns all that there was.
    pub(super) fn clear(&mut self) -> Cleared<T> {
        self.quarantined = 0;
        let none = self.indexes.fresh();
        Cleared {
            objects: std::mem::take(&mut self.objects),
            own: self.own.clear(),
            over: std::mem::take(&mut self.over),
            _indexes: std::mem::replace(&mut self.indexes, none),
        }
    }

    /// Puts `objects` and their `indexes` in place of what was there, and returns that.
    pub(super) fn exchange(
        &mut self,
        (objects, quarantined): (Objects<T>, usize),
        indexes: Indexes<T>,
        version: ResourceVersion,
        restored: bool,
        changes: &mut Vec<Change<T>>,
    ) -> (Arc<Objects<T>>, Indexes<T>) {
        self.quarantined = quarantined;
        let former = std::mem::replace(&mut self.objects, Arc::new(objects));
        let indexes = std::mem::replace(&mut self.indexes, indexes);
        let goes_on = !restored && self.version.as_ref().is_none_or(|former| version.reaches(former));
        let mut over = if goes_on || !version.is_comparable() { self.pass(&version) } else { self.own.clear() };
        for key in self.own.keys().cloned().collect::<Vec<_>>() {
            let now = self.objects.get(&key).cloned();
            if let Some(what) = self.own.confirm(&key, former.get(&key), now.as_ref()) {
                over.push((key, what));
            } else {
                self.refile(&key, now.as_ref());
            }
        }
        self.version = Some(version);
        for (key, what) in over {
            let now = self.objects.get(&key);
            // After a restore all that is there was told.
            let before = former.get(&key).filter(|_| !restored || now.is_none());
            self.over.extend(unseen(what, before, now, Origin::Relist, changes));
        }
        self.tell_over(Origin::Relist, changes);
        (former, indexes)
    }

    /// Keeps an own write of `key`.
    pub(super) fn remember(&mut self, key: &Key, what: What<T>) {
        let version = what.life().version;
        let is_passed = self.has_passed(&version);
        let is_back = self.objects.get(key).is_some_and(|entry| entry.metadata().resource_version == version);
        let before = self.seen(key).cloned();
        if !is_passed && !is_back {
            self.own.keep(key, what, false);
        } else if self.own.get(key).is_some_and(|kept| kept.life().version.compare(&version).is_none()) {
            // Answers come in order where versions have none: the stream is past what is kept as well.
            self.own.remove(key);
        }
        self.note_over(before.as_ref());
        self.refile(key, before.as_ref());
    }

    /// Keeps an own delete of `key`.
    pub(super) fn remember_deleted(&mut self, key: &Key, mut life: Life) {
        let before = self.seen(key).cloned();
        if let Some(before) = &before {
            let is_same = before.metadata().uid == life.uid;
            if is_same && life.version.compare(&before.metadata().resource_version).is_some_and(Ordering::is_lt) {
                life = Life::of(before.metadata());
            }
            // A later life that is known already shows that this one is over.
            if !life.covers(before) {
                return;
            }
        }
        let is_passed = self.has_passed(&life.version);
        let is_streamed = self.objects.get(key).is_some_and(|entry| entry.metadata().uid == life.uid);
        if is_streamed || !is_passed {
            self.own.keep(key, What::Deleted(life), is_passed);
            self.note_over(before.as_ref());
            self.refile(key, before.as_ref());
        }
    }

    pub(super) fn overdue(&mut self) -> Vec<Overdue> {
        self.own.overdue()
    }

    /// Takes in what the server has of a key that was overdue, and whether that is covered here. Where something was written
    /// since it was asked, the answer may be from before that, and says nothing.
    pub(super) fn found(&mut self, asked: &Overdue, now: Option<Entry<T>>, fits: bool, changes: &mut Vec<Change<T>>) {
        let key = &asked.key;
        let before = self.seen(key).cloned();
        let Some(life) = self.own.overdue_life(asked) else { return };
        self.own.remove(key);
        let streamed = self.objects.get(key);
        match now {
            // It is over, and the stream will say so: it has it now, or will before its end.
            None if streamed.is_some_and(|entry| life.covers(entry)) || self.is_before(&life.version) => {
                let is_passed = !self.is_before(&life.version);
                self.own.keep(key, What::Deleted(life), is_passed);
                self.own.settle(key);
            }
            None => {}
            Some(now) => {
                let is_passed = self.has_passed(&now.metadata().resource_version);
                let is_back = streamed.is_some_and(|entry| !differs(entry, &now));
                if !is_passed && !is_back {
                    let what = if fits { What::Written(now) } else { What::Left(Life::of(now.metadata())) };
                    self.own.keep(key, what, false);
                    self.own.settle(key);
                }
            }
        }
        self.refile(key, before.as_ref());
        let after = self.seen(key).cloned();
        let is_same = match (&before, &after) {
            (Some(before), Some(after)) => !differs(before, after),
            (before, after) => before.is_none() && after.is_none(),
        };
        if !is_same {
            changed(before, after, Origin::Event, changes);
        }
        self.tell_over(Origin::Event, changes);
    }

    /// Removes the own writes that a stream which has reached `version` has passed.
    fn pass(&mut self, version: &ResourceVersion) -> Vec<(Key, What<T>)> {
        let mut passed = self.own.pass(version);
        passed.retain(|(key, what)| {
            let What::Deleted(life) = what else { return true };
            let goes_on = self.objects.get(key).is_some_and(|entry| entry.metadata().uid == life.uid);
            if goes_on {
                self.own.keep(key, What::Deleted(life.clone()), true);
            }
            !goes_on
        });
        passed
    }

    /// Returns true if the stream is known to be at `version` or past it.
    fn has_passed(&self, version: &ResourceVersion) -> bool {
        self.version.as_ref().is_some_and(|reached| reached.reaches(version))
    }

    /// Returns true if the stream is known to be before `version`.
    fn is_before(&self, version: &ResourceVersion) -> bool {
        self.version.as_ref().is_none_or(|reached| reached.compare(version).is_some_and(Ordering::is_lt))
    }

    /// Makes `entry` what the stream has of `key`.
    fn set(&mut self, key: &Key, entry: Entry<T>, changes: &mut Vec<Change<T>>) {
        let before = self.seen(key).cloned();
        let old = Arc::make_mut(&mut self.objects).insert(key.clone(), entry.clone());
        self.count(old.as_ref(), Some(&entry));
        self.refile(key, before.as_ref());
        changed(old, Some(entry), Origin::Event, changes);
    }

    fn count(&mut self, old: Option<&Entry<T>>, new: Option<&Entry<T>>) {
        self.quarantined -= usize::from(old.is_some_and(is_quarantined));
        self.quarantined += usize::from(new.is_some_and(is_quarantined));
    }

    /// Brings the indexes up to date for a key that was seen as `before`.
    fn refile(&mut self, key: &Key, before: Option<&Entry<T>>) {
        if !self.indexes.is_empty() {
            let after = self.seen(key).cloned();
            self.indexes.refile(key, before, after.as_ref());
        }
    }

    /// Files what is seen of `keys` in the index `I`, which is being built; the `last` of them complete it.
    pub(super) fn file<I: Index<T>>(&mut self, keys: &[Key], last: bool) {
        // The one is filled while the others are read.
        let mut index = self.indexes.take::<I>();
        for key in keys {
            index.refile(key, None, self.seen(key));
        }
        self.indexes.put(index, last);
    }

    /// Keeps in mind that readers saw `entry`, if they no longer do.
    fn note_over(&mut self, entry: Option<&Entry<T>>) {
        self.over.extend(entry.filter(|entry| self.is_over(entry)).cloned());
    }

    /// Returns true if that life is seen no longer, and the stream, which would tell of its end, does not have it.
    fn is_over(&self, entry: &Entry<T>) -> bool {
        let (key, uid) = (entry.key(), &entry.metadata().uid);
        let either = [self.seen(&key), self.objects.get(&key)];
        either.into_iter().flatten().all(|other| other.metadata().uid != *uid)
    }

    /// Tells of what readers saw by own writes alone and see no longer.
    fn tell_over(&mut self, origin: Origin, changes: &mut Vec<Change<T>>) {
        for entry in std::mem::take(&mut self.over) {
            if self.is_over(&entry) {
                let now = self.seen(&entry.key()).cloned();
                changed(Some(entry), now, origin, changes);
            }
        }
    }
}
