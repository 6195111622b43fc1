//! What the stream has brought, what was written beside it, and the indexes over both. Knows no lock.

use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::index::{Index, Indexes};
use super::overlay::{Overlay, What};
use super::{Change, Origin};
use crate::api::Entry;
use crate::object::{Key, Object, ResourceVersion, Uid};

pub(super) type Objects<T> = HashMap<Key, Entry<T>>;

/// One part of a cache.
///
/// # Invariants
///
/// 1. `indexes` hold what [`seen`](Self::seen) gives, for every key.
/// 2. No entry of `own` that has an order is at or below `version`.
#[derive(Debug)]
pub(super) struct State<T> {
    /// What the stream says. Shared with the writer alone, and only while it works out a snapshot.
    objects: Arc<Objects<T>>,
    /// How far the stream is.
    version: Option<ResourceVersion>,
    own: Overlay<T>,
    pub(super) indexes: Indexes<T>,
    /// How many of `objects` can't be decoded.
    quarantined: usize,
}

impl<T: Object> State<T> {
    pub(super) fn empty() -> Self {
        Self { objects: Arc::default(), version: None, own: Overlay::none(), indexes: Indexes::none(), quarantined: 0 }
    }

    /// What readers see of `key`.
    pub(super) fn seen(&self, key: &Key) -> Option<&Entry<T>> {
        let streamed = self.objects.get(key);
        match self.own.get(key) {
            None => streamed,
            Some(What::Written(entry)) => Some(entry),
            Some(What::Hidden(uid)) => streamed.filter(|entry| entry.metadata().uid != *uid),
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
        let is_news = match self.objects.get(&key) {
            Some(old) => differs(old, entry) && !is_older(entry, old),
            // Known to be gone since.
            None => !self.version.as_ref().is_some_and(|reached| is_before(&version, reached)),
        };
        if is_news {
            self.set(&key, entry.clone(), changes);
        }
        let confirmed = self.own.confirm(&key, Some(entry));
        self.dropped(confirmed.map(|what| (key, what)).into_iter().collect(), Origin::Event, changes);
        self.advance(&version, changes);
        is_news
    }

    /// Takes in the last state of an object, and returns whether it is news that it is gone.
    pub(super) fn delete(&mut self, entry: Entry<T>, changes: &mut Vec<Change<T>>) -> bool {
        let (key, metadata) = (entry.key(), entry.metadata());
        let (version, uid) = (metadata.resource_version.clone(), metadata.uid.clone());
        let known = self.objects.get(&key).filter(|old| !is_older(&entry, old)).cloned();
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
        let ended = self.own.end(&key, &uid);
        self.dropped(ended.map(|what| (key, what)).into_iter().collect(), Origin::Event, changes);
        self.advance(&version, changes);
        is_news
    }

    /// Moves the stream forward, and drops the own writes that it has passed.
    pub(super) fn advance(&mut self, version: &ResourceVersion, changes: &mut Vec<Change<T>>) {
        if self.version.as_ref().is_none_or(|reached| version.reaches(reached) || !version.is_comparable()) {
            self.version = Some(version.clone());
        }
        let passed = self.own.pass(version);
        self.dropped(passed, Origin::Event, changes);
    }

    /// Forgets every object, and returns them.
    pub(super) fn clear(&mut self, changes: &mut Vec<Change<T>>) -> Arc<Objects<T>> {
        let gone = std::mem::take(&mut self.objects);
        for old in gone.values() {
            changed(Some(old.clone()), None, Origin::Event, changes);
        }
        self.quarantined = 0;
        self.indexes = self.indexes.fresh();
        let own = self.own.clear();
        unseen(own, &self.objects, Origin::Event, changes);
        gone
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
        let mut over = if goes_on || !version.is_comparable() { self.own.pass(&version) } else { self.own.clear() };
        for key in self.own.keys().cloned().collect::<Vec<_>>() {
            let now = self.objects.get(&key).cloned();
            if let Some(what) = self.own.confirm(&key, now.as_ref()) {
                over.push((key, what));
            } else {
                self.refile(&key, now.as_ref());
            }
        }
        self.version = Some(version);
        unseen(over, &self.objects, Origin::Relist, changes);
        (former, indexes)
    }

    /// Keeps an own write of `key`.
    pub(super) fn remember(&mut self, key: &Key, what: What<T>, version: &ResourceVersion) {
        let is_passed = self.version.as_ref().is_some_and(|reached| reached.reaches(version));
        let is_back = self.objects.get(key).is_some_and(|entry| entry.metadata().resource_version == *version);
        if !is_passed && !is_back {
            let before = self.seen(key).cloned();
            self.own.keep(key, what, Some(version));
            self.refile(key, before.as_ref());
        }
    }

    /// Keeps an own delete of `key`.
    pub(super) fn remember_deleted(&mut self, key: &Key, uid: &Uid) {
        let before = self.seen(key).cloned();
        // A later life that is known already shows that this one is over.
        if before.as_ref().is_none_or(|before| before.metadata().uid == *uid) {
            self.own.keep(key, What::Hidden(uid.clone()), None);
            self.refile(key, before.as_ref());
        }
    }

    pub(super) fn overdue(&mut self) -> Vec<Key> {
        self.own.overdue()
    }

    /// Takes in what the server has of a key that was overdue, and whether that is covered here.
    pub(super) fn found(&mut self, key: &Key, now: Option<Entry<T>>, fits: bool, changes: &mut Vec<Change<T>>) {
        let before = self.seen(key).cloned();
        let Some(what) = self.own.get(key) else { return };
        let known = match what {
            What::Written(entry) => entry.metadata().uid.clone(),
            What::Hidden(uid) => uid.clone(),
        };
        let is_hidden = matches!(what, What::Hidden(_));
        let streams = |uid: &Uid| self.objects.get(key).is_some_and(|entry| entry.metadata().uid == *uid);
        match now {
            // It is over. If the stream still has it, it will say so; else there is nothing to hide.
            None if streams(&known) => {
                if !is_hidden {
                    self.own.remove(key);
                    self.own.keep(key, What::Hidden(known), None);
                }
                self.own.settle(key);
            }
            None => drop(self.own.remove(key)),
            Some(now) => {
                let (uid, version) = (now.metadata().uid.clone(), now.metadata().resource_version.clone());
                let is_passed = self.version.as_ref().is_some_and(|reached| reached.reaches(&version));
                let is_back = self.objects.get(key).is_some_and(|entry| !differs(entry, &now));
                self.own.remove(key);
                if !is_passed && !is_back {
                    let what = if fits { What::Written(now) } else { What::Hidden(uid) };
                    self.own.keep(key, what, Some(&version));
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

    /// Builds the index `I`, if there is none.
    pub(super) fn index<I: Index<T>>(&mut self) {
        if !self.indexes.has::<I>() {
            let mut index = Indexes::only::<I>();
            for (key, entry) in self.all() {
                index.refile(key, None, Some(entry));
            }
            self.indexes.add(index);
        }
    }

    /// Tells of own writes that are kept no longer.
    fn dropped(&mut self, dropped: Vec<(Key, What<T>)>, origin: Origin, changes: &mut Vec<Change<T>>) {
        if !self.indexes.is_empty() {
            for (key, what) in &dropped {
                let streamed = self.objects.get(key);
                let before = match what {
                    What::Written(entry) => Some(entry),
                    What::Hidden(uid) => streamed.filter(|entry| entry.metadata().uid != *uid),
                };
                self.indexes.refile(key, before, streamed);
            }
        }
        unseen(dropped, &self.objects, origin, changes);
    }
}

/// What a snapshot makes of a cache.
pub(super) struct Difference<T> {
    pub(super) objects: Objects<T>,
    pub(super) quarantined: usize,
    pub(super) changes: Vec<Change<T>>,
}

/// Holds a snapshot against what was there. Where a cluster was `restored`, the same version may stand for another content, so
/// that everything counts as changed.
pub(super) fn difference<T: Object>(
    former: &Objects<T>,
    entries: Vec<Entry<T>>,
    restored: bool,
    origin: Origin,
) -> Difference<T> {
    let (mut objects, mut changes) = (Objects::with_capacity(entries.len()), Vec::new());
    for entry in entries {
        match objects.entry(entry.key()) {
            Vacant(vacant) => drop(vacant.insert(entry)),
            // Pages of a list that the server could not keep at one version: the later state is the true one.
            Occupied(mut occupied) if !is_older(&entry, occupied.get()) => drop(occupied.insert(entry)),
            Occupied(_) => {}
        }
    }
    for (key, entry) in &mut objects {
        match former.get(key) {
            Some(old) if !restored && !differs(old, entry) => *entry = old.clone(),
            old => changed(old.cloned(), Some(entry.clone()), origin, &mut changes),
        }
    }
    for (key, old) in former {
        if !objects.contains_key(key) {
            changed(Some(old.clone()), None, origin, &mut changes);
        }
    }
    let quarantined = objects.values().filter(|entry| is_quarantined(entry)).count();
    Difference { objects, quarantined, changes }
}

pub(super) fn differs<T: Object>(old: &Entry<T>, new: &Entry<T>) -> bool {
    let (old, new) = (old.metadata(), new.metadata());
    old.uid != new.uid || old.resource_version != new.resource_version
}

/// Files what readers saw only as own writes and see no longer: an object that was written here and deleted by somebody else
/// before the stream brought it leaves no other trace. And what they did not see for an own write, and see again.
fn unseen<T: Object>(dropped: Vec<(Key, What<T>)>, objects: &Objects<T>, origin: Origin, changes: &mut Vec<Change<T>>) {
    if dropped.is_empty() {
        return;
    }
    let told: HashSet<Key> = changes.iter().map(Change::key).collect();
    for (key, what) in dropped.into_iter().filter(|(key, _)| !told.contains(key)) {
        let now = objects.get(&key);
        match what {
            What::Written(written) if now.is_none_or(|now| differs(&written, now)) => {
                changed(Some(written), now.cloned(), origin, changes);
            }
            What::Hidden(uid) if now.is_some_and(|now| now.metadata().uid == uid) => {
                changed(None, now.cloned(), origin, changes);
            }
            What::Written(_) | What::Hidden(_) => {}
        }
    }
}

fn is_quarantined<T>(entry: &Entry<T>) -> bool {
    matches!(entry, Entry::Invalid(_))
}

fn is_older<T: Object>(entry: &Entry<T>, than: &Entry<T>) -> bool {
    is_before(&entry.metadata().resource_version, &than.metadata().resource_version)
}

fn is_before(version: &ResourceVersion, other: &ResourceVersion) -> bool {
    version.compare(other).is_some_and(std::cmp::Ordering::is_lt)
}

/// Files a change; a new life under an old name is a delete and an add.
fn changed<T: Object>(old: Option<Entry<T>>, new: Option<Entry<T>>, origin: Origin, changes: &mut Vec<Change<T>>) {
    match (old, new) {
        (Some(old), Some(new)) if old.metadata().uid != new.metadata().uid => {
            changes.push(Change { old: Some(old), new: None, origin });
            changes.push(Change { old: None, new: Some(new), origin });
        }
        (old, new) => changes.push(Change { old, new, origin }),
    }
}
