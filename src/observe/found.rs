//! What stands under the name of a child, and whose it is. Pure.

use std::sync::Arc;

use engine::api::Entry;
use engine::object::{Object, Uid};

use super::{Child, Kind, Live, Marker};
use crate::application::Application;

/// Marks a child with the `uid` of its Application, so that a child whose owner reference was removed by hand is known
/// for what it is.
pub const OWNER_ANNOTATION: &str = "minetto.dev/application-uid";

/// What stands under the name of a child.
#[derive(Debug, Clone, Default)]
pub enum Found {
    /// Nothing.
    #[default]
    Absent,
    /// The Application's own child.
    Own(Arc<Live>),
    /// A child of this Application or of its earlier life that is being deleted: nothing can be done until it is gone.
    Leaving(Arc<Live>),
    /// Somebody else's object; the sentence says whose.
    Foreign(String),
}

impl Found {
    /// The own child, if there is one that is there to stay.
    pub fn own(&self) -> Option<&Arc<Live>> {
        match self {
            Self::Own(child) => Some(child),
            _ => None,
        }
    }

    /// Whose `child` is, which stands under the name of a child of that kind of the Application with that uid.
    pub fn judge(kind: Kind, child: Arc<Live>, uid: &Uid) -> Self {
        let metadata = &child.metadata;
        // The Go operator's children bear an owner reference that is not marked as controller.
        let owned = metadata.owner_references.iter().any(|owner| owner.uid == *uid);
        let marked = metadata.annotations.get(OWNER_ANNOTATION).is_some_and(|marked| *marked == *uid.0);
        // An Application that was deleted and created again finds the children of its earlier life, which the garbage
        // collector is about to remove.
        let bequeathed = metadata.owner_references.iter().any(|owner| {
            owner.refers_to(&Application::RESOURCE) && kind.name(&owner.name) == *metadata.name && owner.uid != *uid
        });
        match metadata.controller() {
            _ if bequeathed && !owned && !marked => Self::Leaving(child),
            Some(other) if other.uid != *uid => {
                Self::Foreign(format!("is controlled by {} {}", other.kind, other.name))
            }
            _ if !owned && !marked => Self::Foreign("is not owned by this Application".to_owned()),
            _ if metadata.is_terminating() => Self::Leaving(child),
            _ => Self::Own(child),
        }
    }

    /// What the cache has under the name of a child of the Application with that uid.
    pub(super) fn of<K: Marker>(entry: Option<Entry<Child<K>>>, uid: &Uid) -> Self {
        match entry {
            None => Self::Absent,
            Some(Entry::Invalid(invalid)) => Self::Foreign(format!("can't be decoded: {}", invalid.error)),
            Some(Entry::Valid(child)) => Self::judge(K::KIND, child.0.clone(), uid),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::observe::Services;

    fn found(metadata: &Value) -> Found {
        let service = json!({"metadata": metadata, "spec": {}}).to_string();
        let service: Child<Services> = serde_json::from_str(&service).unwrap();
        Found::of(Some(Entry::Valid(Arc::new(service))), &Uid("mine".into()))
    }

    fn owner(uid: &str, controller: bool) -> Value {
        json!({"kind": "Application", "name": "a", "uid": uid, "controller": controller})
    }

    #[test]
    fn a_child_is_ours_by_owner_reference_of_either_operator_or_by_its_mark() {
        assert!(matches!(found(&json!({"ownerReferences": [owner("mine", true)]})), Found::Own(_)));
        assert!(matches!(found(&json!({"ownerReferences": [owner("mine", false)]})), Found::Own(_)));
        assert!(matches!(found(&json!({"annotations": {OWNER_ANNOTATION: "mine"}})), Found::Own(_)));
    }

    #[test]
    fn an_object_of_somebody_else_is_foreign_and_says_whose_it_is() {
        let Found::Foreign(whose) = found(&json!({"ownerReferences": [owner("other", true), owner("mine", false)]}))
        else {
            panic!("it has another controller")
        };
        assert_eq!(whose, "is controlled by Application a");
        assert!(matches!(found(&json!({})), Found::Foreign(_)));
        assert!(matches!(found(&json!({"annotations": {OWNER_ANNOTATION: "an earlier life"}})), Found::Foreign(_)));
    }

    #[test]
    fn the_child_of_an_earlier_life_is_waited_for() {
        let earlier = |controller| {
            json!({"name": "a-service", "ownerReferences": [{"apiVersion": "minetto.dev/v1alpha1", "kind": "Application",
                "name": "a", "uid": "an earlier life", "controller": controller}]})
        };
        assert!(matches!(found(&earlier(true)), Found::Leaving(_)));
        assert!(matches!(found(&earlier(false)), Found::Leaving(_)));
    }

    #[test]
    fn a_child_that_is_being_deleted_is_leaving() {
        let leaving = json!({"ownerReferences": [owner("mine", true)], "deletionTimestamp": "2026-01-01T00:00:00Z"});
        assert!(matches!(found(&leaving), Found::Leaving(_)));
    }
}
