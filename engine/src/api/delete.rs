//! What a deletion assumes, and what becomes of the object and of what it owns.

use serde_json::{Value, json};

use crate::object::{Metadata, ResourceVersion, Uid};

/// A deletion of one life of a name. There is none without a `uid`: a name may have been taken by another object since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    uid: Uid,
    version: Option<ResourceVersion>,
    propagation: Propagation,
    grace_period: Option<u32>,
}

/// What becomes of the objects that the deleted one owns (`propagationPolicy`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Propagation {
    /// They are collected after it.
    #[default]
    Background,
    /// They are collected before it; until then it is terminating.
    Foreground,
    /// They stay, without an owner.
    Orphan,
}

/// What has become of an object that was to be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted<T> {
    /// It is not there: deleted now, or before.
    Gone,
    /// It goes once its finalizers are done or its grace period is over; this is its present state.
    Terminating(T),
}

impl Deletion {
    /// Deletes the object if it is in exactly this state.
    pub fn unchanged(metadata: &Metadata) -> Self {
        let version = Some(metadata.resource_version.clone());
        Self { uid: metadata.uid.clone(), version, propagation: Propagation::default(), grace_period: None }
    }

    /// Deletes this life of the name, in whatever state.
    pub fn same_life(uid: Uid) -> Self {
        Self { uid, version: None, propagation: Propagation::default(), grace_period: None }
    }

    /// Says what becomes of the objects that it owns.
    pub fn propagation(self, propagation: Propagation) -> Self {
        Self { propagation, ..self }
    }

    /// How many seconds the object has to end in, if its kind (a pod, say) knows of that; its own wish by default.
    pub fn grace_period(self, seconds: u32) -> Self {
        Self { grace_period: Some(seconds), ..self }
    }

    /// The body of the request (`meta/v1` `DeleteOptions`). Seen on 1.37: with a body, the parameters in the URL count for
    /// nothing, and so a dry run that is asked for there deletes the object.
    pub(super) fn body(&self, dry_run: bool) -> Value {
        let mut preconditions = json!({"uid": self.uid});
        if let Some(version) = &self.version {
            preconditions["resourceVersion"] = json!(version);
        }
        let propagation = match self.propagation {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        };
        let mut body = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions,
            "propagationPolicy": propagation,
        });
        if dry_run {
            body["dryRun"] = json!(["All"]);
        }
        if let Some(seconds) = self.grace_period {
            body["gracePeriodSeconds"] = json!(seconds);
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_says_which_life_and_which_state_it_means() {
        let metadata =
            Metadata { uid: Uid("u".into()), resource_version: ResourceVersion("7".into()), ..Metadata::default() };
        let body = Deletion::unchanged(&metadata).propagation(Propagation::Foreground).grace_period(0).body(false);
        let expected = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "u", "resourceVersion": "7"},
            "propagationPolicy": "Foreground", "gracePeriodSeconds": 0,
        });
        assert_eq!(body, expected);
        let body = Deletion::same_life(Uid("u".into())).body(true);
        assert_eq!((&body["preconditions"], &body["dryRun"]), (&json!({"uid": "u"}), &json!(["All"])));
        assert_eq!((&body["propagationPolicy"], &body["gracePeriodSeconds"]), (&json!("Background"), &Value::Null));
    }
}
