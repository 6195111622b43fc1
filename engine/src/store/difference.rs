//! What was and what is, held against each other: the changes that are told.

use std::cmp::Ordering;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::sync::Arc;

use super::index::Indexes;
use super::overlay::What;
use super::state::Objects;
use super::{Change, Origin};
use crate::api::Entry;
use crate::object::{Key, Object, ResourceVersion};

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

/// All that a cache had, when it was told to forget it.
pub(super) struct Cleared<T> {
    pub(super) objects: Arc<Objects<T>>,
    pub(super) own: Vec<(Key, What<T>)>,
    /// What readers saw by own writes alone and saw no longer, while nobody was told.
    pub(super) over: Vec<Entry<T>>,
    /// To be dropped with the rest.
    pub(super) _indexes: Indexes<T>,
}

impl<T: Object> Cleared<T> {
    /// That each is gone.
    pub(super) fn changes(self) -> Vec<Change<T>> {
        let gone = |old| Change { old: Some(old), new: None, origin: Origin::Event };
        let (mut changes, mut over): (Vec<_>, _) = (self.objects.values().cloned().map(gone).collect(), self.over);
        for (key, what) in self.own {
            over.extend(unseen(what, self.objects.get(&key), None, Origin::Event, &mut changes));
        }
        changes.extend(over.into_iter().map(gone));
        changes
    }
}

pub(super) fn differs<T: Object>(old: &Entry<T>, new: &Entry<T>) -> bool {
    let (old, new) = (old.metadata(), new.metadata());
    old.uid != new.uid || old.resource_version != new.resource_version
}

/// Files what the end of an own write lets readers see again that they did not see for it, and returns what they saw by it
/// alone: an object that was written here and deleted by somebody else before the stream brought it leaves no other trace.
/// What the stream tells of the key itself, from `before` to `now`, is not told again.
pub(super) fn unseen<T: Object>(
    what: What<T>,
    before: Option<&Entry<T>>,
    now: Option<&Entry<T>>,
    origin: Origin,
    changes: &mut Vec<Change<T>>,
) -> Option<Entry<T>> {
    let is_told = match (before, now) {
        (Some(before), Some(now)) => differs(before, now),
        (before, now) => before.is_some() || now.is_some(),
    };
    match what {
        What::Written(written) if is_told => {
            let is_another = |before: &Entry<T>| before.metadata().uid != written.metadata().uid;
            before.is_none_or(is_another).then_some(written)
        }
        What::Written(written) if now.is_none_or(|now| differs(&written, now)) => {
            changed(Some(written), now.cloned(), origin, changes);
            None
        }
        What::Deleted(life) | What::Left(life) if !is_told && now.is_some_and(|now| life.covers(now)) => {
            changed(None, now.cloned(), origin, changes);
            None
        }
        What::Written(_) | What::Deleted(_) | What::Left(_) => None,
    }
}

pub(super) fn is_quarantined<T>(entry: &Entry<T>) -> bool {
    matches!(entry, Entry::Invalid(_))
}

pub(super) fn is_older<T: Object>(entry: &Entry<T>, than: &Entry<T>) -> bool {
    is_before(&entry.metadata().resource_version, &than.metadata().resource_version)
}

pub(super) fn is_before(version: &ResourceVersion, other: &ResourceVersion) -> bool {
    version.compare(other).is_some_and(Ordering::is_lt)
}

/// Files a change; a new life under an old name is a delete and an add.
pub(super) fn changed<T: Object>(
    old: Option<Entry<T>>,
    new: Option<Entry<T>>,
    origin: Origin,
    changes: &mut Vec<Change<T>>,
) {
    match (old, new) {
        (Some(old), Some(new)) if old.metadata().uid != new.metadata().uid => {
            changes.push(Change { old: Some(old), new: None, origin });
            changes.push(Change { old: None, new: Some(new), origin });
        }
        (old, new) => changes.push(Change { old, new, origin }),
    }
}
