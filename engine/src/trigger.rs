//! A change of an object in, the keys that are to be reconciled out. Pure.
//!
//! Behind this module only keys travel: what a reconciler does depends on the present state, not on what happened.

use crate::object::{Key, Object};
use crate::store::Change;

/// How soon a key is to be reconciled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// When it is its turn, and not before a backoff is over.
    Normal,
    /// When it is its turn: the wish has changed, so that earlier failures say nothing any more.
    Urgent,
}

/// The object itself; at once if its desired state has changed or it is to be deleted.
pub fn itself<T: Object>(change: &Change<T>) -> Vec<(Key, Urgency)> {
    let wish = |entry: &crate::api::Entry<T>| {
        let metadata = entry.metadata();
        (metadata.uid.clone(), metadata.generation, metadata.is_terminating())
    };
    let same_wish = change.old.as_ref().map(wish) == change.new.as_ref().map(wish);
    vec![(change.key(), if same_wish { Urgency::Normal } else { Urgency::Urgent })]
}

/// Every owner of kind `O`, before the change and after it: an object that changes hands concerns both.
pub fn owners<O: Object, T: Object>(change: &Change<T>) -> Vec<(Key, Urgency)> {
    let sides = change.old.iter().chain(&change.new).map(crate::api::Entry::metadata);
    let mut keys: Vec<_> = sides
        .flat_map(|metadata| {
            let owners = metadata.owner_references.iter().filter(|owner| owner.refers_to(&O::RESOURCE));
            owners.map(|owner| (metadata.key().sibling(owner.name.clone()), Urgency::Normal))
        })
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::{Entry, Thing};
    use crate::object::{Metadata, OwnerReference};

    fn thing(metadata: Metadata) -> Entry<Thing> {
        Entry::Valid(Arc::new(Thing { metadata, size: 0 }))
    }

    fn owned_by(owner: &str) -> Metadata {
        let owner = OwnerReference {
            api_version: "test/v1".into(),
            kind: "Thing".into(),
            name: owner.into(),
            ..OwnerReference::default()
        };
        Metadata { name: "child".into(), namespace: "n".into(), owner_references: vec![owner], ..Metadata::default() }
    }

    #[test]
    fn a_child_that_changes_hands_concerns_the_old_owner_and_the_new() {
        let change = Change { old: Some(thing(owned_by("before"))), new: Some(thing(owned_by("after"))) };
        let keys: Vec<Key> = owners::<Thing, Thing>(&change).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [Key::new("n", "after"), Key::new("n", "before")]);
    }

    #[test]
    fn an_owner_is_named_once() {
        let change = Change { old: Some(thing(owned_by("same"))), new: Some(thing(owned_by("same"))) };
        assert_eq!(owners::<Thing, Thing>(&change).len(), 1);
    }

    #[test]
    fn a_new_generation_is_urgent_and_a_new_status_is_not() {
        let of = |generation| Some(thing(Metadata { generation, ..Metadata::default() }));
        let urgency = |old, new| itself(&Change { old, new })[0].1;
        assert_eq!(urgency(of(1), of(2)), Urgency::Urgent);
        assert_eq!(urgency(of(2), of(2)), Urgency::Normal);
        assert_eq!(urgency(None, of(1)), Urgency::Urgent);
        assert_eq!(urgency(of(1), None), Urgency::Urgent);
    }
}
