//! The revisions of Applications: what is kept of each, and what was noted on it. Pure.
//!
//! A revision is a `ControllerRevision`, as a `StatefulSet` keeps them: the pod template that was rolled out, or is to be,
//! under a number that grows. Its data never changes; what has become of it stands in its annotations. The first one costs no
//! write of its own: it is kept in an annotation, of the Deployment at first, and of the second one from when that is created.

use engine::api::{Entry, Label, Labels, Scope, Selector};
use engine::object::{Key, Metadata, Object, Resource, Uid};
use engine::store::Index;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::OWNER_ANNOTATION;

/// The label by which revisions and Jobs of Applications are told from all others, and its value the Application's name.
pub const APPLICATION_LABEL: &str = "minetto.dev/application";

/// On a revision with migrations: [`PENDING`] until all of them have succeeded, then [`SUCCEEDED`].
pub const MIGRATIONS: &str = "minetto.dev/migrations";

/// Pods of the revision have to wait.
pub const PENDING: &str = "Pending";

/// Pods of the revision may run.
pub const SUCCEEDED: &str = "Succeeded";

/// The names of the migrations that have succeeded, with commas between them.
pub const MIGRATED: &str = "minetto.dev/migrated";

/// The name of the revision that runs in place of this one, whose rollout has failed.
pub const ROLLED_BACK_TO: &str = "minetto.dev/rolled-back-to";

/// Why its rollout has failed, in a sentence.
pub const FAILURE: &str = "minetto.dev/failure";

/// The name of the last revision that had been rolled out to its end when this one came to be wished for.
pub const LAST_GOOD: &str = "minetto.dev/last-good";

/// The first revision, as JSON: on the Deployment as long as there is no other, and on the second one from then on.
pub const REVISION_ANNOTATION: &str = "minetto.dev/revision";

/// Since when the Deployment had been stalled when the revision came to be wished for: that is another's failure.
pub const STALLED_BEFORE: &str = "minetto.dev/stalled-before";

/// A revision as it is kept.
#[derive(Debug, Deserialize)]
pub struct Revision {
    /// What every object has.
    pub metadata: Metadata,
    /// The number; the one that was wished for last has the highest.
    #[serde(default)]
    pub revision: i64,
    #[serde(default)]
    data: Data,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Data {
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    template: Option<Box<RawValue>>,
}

impl Object for Revision {
    const RESOURCE: Resource =
        Resource { group: "apps", version: "v1", kind: "ControllerRevision", plural: "controllerrevisions" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl Revision {
    /// The pod template; `None` if it holds none, and so is of no use.
    pub fn template(&self) -> Option<Value> {
        serde_json::from_str(self.template_text()?).ok()
    }

    /// The pod template as it arrived.
    pub fn template_text(&self) -> Option<&str> {
        Some(self.data.spec.template.as_ref()?.get())
    }

    /// The revision that is kept on an object with this metadata, if one is.
    pub fn kept_on(keeper: &Metadata) -> Option<Self> {
        let Self { metadata: Metadata { name, .. }, revision, data } =
            serde_json::from_str(keeper.annotations.get(REVISION_ANNOTATION)?).ok()?;
        Some(Self { metadata: Metadata { name, ..Metadata::default() }, revision, data })
    }

    /// Whether it is an object of its own; else it is kept on another one.
    pub fn is_recorded(&self) -> bool {
        !self.metadata.uid.0.is_empty()
    }

    /// What was noted under that annotation.
    pub fn note(&self, annotation: &str) -> Option<&str> {
        self.metadata.annotations.get(annotation)
    }

    /// Whether migrations belong to it, so that what they did may be beyond what an older revision can run on.
    pub fn has_migrations(&self) -> bool {
        self.note(MIGRATIONS).is_some()
    }

    /// Whether its pods may run: it has no migrations, or all have succeeded.
    pub fn is_admitted(&self) -> bool {
        self.note(MIGRATIONS).is_none_or(|state| state == SUCCEEDED)
    }

    /// Whether that migration has succeeded.
    pub fn has_migrated(&self, migration: &str) -> bool {
        self.note(MIGRATED).is_some_and(|names| names.split(',').any(|name| name == migration))
    }
}

/// Objects that bear [`APPLICATION_LABEL`], by the key of their Application.
#[derive(Debug)]
pub struct Labelled;

impl<T: Object> Index<T> for Labelled {
    type Value = Key;

    fn values(object: &T) -> impl IntoIterator<Item = Key> {
        let metadata = object.metadata();
        metadata.labels.get(APPLICATION_LABEL).map(|name| metadata.key().sibling(name))
    }
}

/// What bears [`APPLICATION_LABEL`] in these namespaces; in all, if there are none.
pub fn scope<'n>(namespaces: impl IntoIterator<Item = &'n str>) -> Scope {
    let labels = Labels(vec![Label::Exists(APPLICATION_LABEL.into())]);
    Scope { selector: Selector { labels, ..Selector::default() }, ..Scope::namespaces(namespaces) }
}

/// Those of the objects that belong to the Application with this uid, by their names.
pub(crate) fn own<T: Object>(entries: Vec<Entry<T>>, uid: &Uid) -> Vec<std::sync::Arc<T>> {
    let valid = entries.into_iter().filter_map(|entry| match entry {
        Entry::Valid(object) => Some(object),
        Entry::Invalid(_) => None,
    });
    let mut own: Vec<_> = valid.filter(|object| is_own(object.metadata(), uid)).collect();
    own.sort_by(|one, other| one.metadata().name.cmp(&other.metadata().name));
    own
}

/// Whether the object is that of the Application with this uid.
pub(crate) fn is_own(metadata: &Metadata, uid: &Uid) -> bool {
    match metadata.controller() {
        Some(owner) => owner.uid == *uid,
        None => metadata.annotations.get(OWNER_ANNOTATION).is_some_and(|marked| *marked == *uid.0),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn revision(metadata: &Value) -> Revision {
        let data = json!({"spec": {"template": {"spec": {"a": 1}}}});
        serde_json::from_str(&json!({"metadata": metadata, "revision": 3, "data": data}).to_string()).unwrap()
    }

    #[test]
    fn a_revision_keeps_its_template_and_what_was_noted() {
        let plain = revision(&json!({"labels": {APPLICATION_LABEL: "web"}, "namespace": "shop"}));
        assert_eq!(plain.template(), Some(json!({"spec": {"a": 1}})));
        assert_eq!(Labelled::values(&plain).into_iter().collect::<Vec<_>>(), [Key::new("shop", "web")]);
        assert!(plain.is_admitted() && !plain.has_migrations());
        let pending = revision(&json!({"annotations": {MIGRATIONS: PENDING, MIGRATED: "a,b"}}));
        assert!(!pending.is_admitted() && pending.has_migrations());
        assert!(pending.has_migrated("b") && !pending.has_migrated("c"));
        let hollow: Revision = serde_json::from_str(r#"{"metadata": {}, "revision": 1}"#).unwrap();
        assert_eq!(hollow.template(), None);
    }

    #[test]
    fn a_revision_of_an_earlier_life_is_not_this_applications() {
        let owner = |uid: &str| json!({"ownerReferences": [{"uid": uid, "controller": true}]});
        let entries = [owner("mine"), owner("other"), json!({}), json!({"annotations": {OWNER_ANNOTATION: "mine"}})];
        let entries = entries.iter().map(|metadata| Entry::Valid(Arc::new(revision(metadata)))).collect();
        assert_eq!(own::<Revision>(entries, &Uid("mine".into())).len(), 2);
    }
}
