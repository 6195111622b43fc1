//! A change of an object in, the keys that are to be reconciled out. Pure.
//!
//! Behind this module only keys travel: what a reconciler does depends on the present state, not on what happened.

mod cause;

pub use self::cause::{Cause, Lane, Reason, Trigger, Urgency};

use crate::api::Entry;
use crate::object::{Key, Object, OwnerReference};
use crate::store::{Change, Index};

/// The object itself; at once if its desired state has changed or it is to be deleted.
pub fn itself<T: Object>(change: &Change<T>) -> Vec<(Key, Urgency)> {
    let wish = |entry: &Entry<T>| {
        let metadata = entry.metadata();
        (metadata.uid.clone(), metadata.generation, metadata.is_terminating())
    };
    let same_wish = change.old.as_ref().map(wish) == change.new.as_ref().map(wish);
    vec![(change.key(), if same_wish { Urgency::Normal } else { Urgency::Urgent })]
}

/// The owner of kind `O` that is marked as the controller, before the change and after it.
pub fn controllers<O: Object, T: Object>(change: &Change<T>) -> Vec<(Key, Urgency)> {
    owned_by::<O, T>(change, |owner| owner.controller)
}

/// Every owner of kind `O`, before the change and after it: an object that changes hands concerns both.
pub fn owners<O: Object, T: Object>(change: &Change<T>) -> Vec<(Key, Urgency)> {
    owned_by::<O, T>(change, |_| true)
}

fn owned_by<O: Object, T: Object>(change: &Change<T>, counts: impl Fn(&OwnerReference) -> bool) -> Vec<(Key, Urgency)> {
    let sides = change.old.iter().chain(&change.new).map(Entry::metadata);
    let mut keys: Vec<_> = sides
        .flat_map(|metadata| {
            let owners = metadata.owner_references.iter();
            let owners = owners.filter(|owner| owner.refers_to(&O::RESOURCE) && counts(owner));
            owners.map(|owner| {
                let namespace = if O::NAMESPACED { metadata.namespace.clone() } else { "".into() };
                (Key { namespace, name: owner.name.clone() }, Urgency::Normal)
            })
        })
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The keys that the object is filed under in the index `I`, before the change and after it. With the same index the
/// reconciler finds the way back: [`Reader::by_index`](crate::store::Reader::by_index).
pub fn indexed<I: Index<T, Value = Key>, T: Object>(change: &Change<T>) -> Vec<(Key, Urgency)> {
    let sides = change.old.iter().chain(&change.new);
    let valid = sides.filter_map(|entry| if let Entry::Valid(object) = entry { Some(object) } else { None });
    let mut keys: Vec<_> = valid.flat_map(|object| I::values(object)).map(|key| (key, Urgency::Normal)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Lets `mapper` see an update only if `is_news` says so of the states before and after it (a predicate, as
/// controller-runtime calls it).
///
/// `is_news` is asked about updates alone. An object that comes or goes, another life of a name, the beginning of a
/// deletion, and one that can't be decoded or can be again, always pass: a predicate that had to let these through by
/// itself would one day forget to, and a delete that nobody hears of leaves its work undone for ever
/// ([kube#1768](https://github.com/kube-rs/kube/issues/1768)).
///
/// ```
/// # use engine::object::{Metadata, Object, Resource};
/// # #[derive(serde::Deserialize)]
/// # struct Node { metadata: Metadata }
/// # impl Object for Node {
/// #     const RESOURCE: Resource = Resource { group: "", version: "v1", kind: "Node", plural: "nodes" };
/// #     fn metadata(&self) -> &Metadata { &self.metadata }
/// # }
/// use engine::trigger::{filtered, itself};
///
/// // A node that says once more that it is well wakes nobody.
/// let mapper = filtered(|old: &Node, new| old.metadata.labels != new.metadata.labels, itself);
/// # let _ = |change: &engine::store::Change<Node>| mapper(change);
/// ```
pub fn filtered<T: Object>(
    is_news: impl Fn(&T, &T) -> bool,
    mapper: impl Fn(&Change<T>) -> Vec<(Key, Urgency)>,
) -> impl Fn(&Change<T>) -> Vec<(Key, Urgency)> {
    move |change| {
        if let (Some(Entry::Valid(old)), Some(Entry::Valid(new))) = (&change.old, &change.new) {
            let (before, after) = (old.metadata(), new.metadata());
            let goes_on = before.uid == after.uid && before.is_terminating() == after.is_terminating();
            if goes_on && !is_news(old, new) {
                return Vec::new();
            }
        }
        mapper(change)
    }
}

/// For [`filtered`]: whether the wish has changed. Only for kinds that count their generations; status and metadata don't
/// count.
pub fn generation_changed<T: Object>(old: &T, new: &T) -> bool {
    old.metadata().generation != new.metadata().generation
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::{Invalid, Thing};
    use crate::object::{Metadata, OwnerReference, ResourceVersion, Uid};
    use crate::store::Origin;

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
        Metadata {
            name: "child".into(),
            namespace: "n".into(),
            owner_references: [owner].into(),
            ..Metadata::default()
        }
    }

    #[test]
    fn a_child_that_changes_hands_concerns_the_old_owner_and_the_new() {
        let change =
            Change { old: Some(thing(owned_by("before"))), new: Some(thing(owned_by("after"))), origin: Origin::Event };
        let keys: Vec<Key> = owners::<Thing, Thing>(&change).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [Key::new("n", "after"), Key::new("n", "before")]);
    }

    #[test]
    fn an_owner_is_named_once() {
        let change =
            Change { old: Some(thing(owned_by("same"))), new: Some(thing(owned_by("same"))), origin: Origin::Event };
        assert_eq!(owners::<Thing, Thing>(&change).len(), 1);
    }

    #[test]
    fn an_owner_that_is_no_controller_is_named_only_where_any_owner_counts() {
        let mut owned = owned_by("shared");
        owned.owner_references = [owned.owner_references, owned_by("sole").owner_references].concat().into();
        owned.owner_references[1].controller = true;
        let change = Change { old: None, new: Some(thing(owned)), origin: Origin::Event };
        let names = |keys: Vec<(Key, Urgency)>| keys.into_iter().map(|(key, _)| key.name).collect::<Vec<_>>();
        assert_eq!(names(controllers::<Thing, Thing>(&change)), ["sole".into()]);
        assert_eq!(names(owners::<Thing, Thing>(&change)), ["shared".into(), "sole".into()]);
    }

    #[test]
    fn a_predicate_that_says_no_to_everything_loses_no_delete_no_new_life_and_no_invalid_object() {
        let mapper = filtered(|_: &Thing, _: &Thing| false, itself);
        let of = |uid: &str, terminating: bool| {
            let deletion_timestamp = terminating.then(|| "2026-01-01T00:00:00Z".into());
            Some(thing(Metadata { uid: Uid(uid.into()), deletion_timestamp, ..Metadata::default() }))
        };
        let invalid = || {
            let metadata = Metadata { uid: Uid("a".into()), ..Metadata::default() };
            Some(Entry::Invalid(Arc::new(Invalid { metadata, error: String::new() })))
        };
        for (old, new) in [
            (None, of("a", false)),
            (of("a", false), None),
            (of("a", false), of("a", true)),
            (of("a", false), of("b", false)),
            (of("a", false), invalid()),
            (invalid(), of("a", false)),
        ] {
            assert_eq!(mapper(&Change { old, new, origin: Origin::Event }).len(), 1);
        }
        assert_eq!(mapper(&Change { old: of("a", false), new: of("a", false), origin: Origin::Event }), []);
    }

    #[test]
    fn a_new_status_is_no_news_where_the_generation_is_what_counts() {
        let mapper = filtered(generation_changed, itself);
        let of = |generation, version: &str| {
            Some(thing(Metadata {
                generation,
                resource_version: ResourceVersion(version.into()),
                ..Metadata::default()
            }))
        };
        let keys = |old, new| mapper(&Change { old, new, origin: Origin::Event }).len();
        assert_eq!((keys(of(1, "1"), of(1, "2")), keys(of(1, "2"), of(2, "3"))), (0, 1));
    }

    #[test]
    fn a_new_generation_is_urgent_and_a_new_status_is_not() {
        let of = |generation| Some(thing(Metadata { generation, ..Metadata::default() }));
        let urgency = |old, new| itself(&Change { old, new, origin: Origin::Event })[0].1;
        assert_eq!(urgency(of(1), of(2)), Urgency::Urgent);
        assert_eq!(urgency(of(2), of(2)), Urgency::Normal);
        assert_eq!(urgency(None, of(1)), Urgency::Urgent);
        assert_eq!(urgency(of(1), None), Urgency::Urgent);
    }
}
