//! A Deployment and its `ReplicaSet`s as one look finds them, and the numbers that follow.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::super::owned::{self, PODS, SETS};
use crate::history::Place;
use crate::object;
use crate::state::State;

/// The label by which a set's pods are told from those of its siblings.
pub(super) const HASH: &str = "pod-template-hash";

/// The annotation of a set with the replicas that its Deployment had when the set was last written.
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";

/// A Deployment and its sets.
pub(super) struct Rollout<'a> {
    pub(super) place: &'a Place,
    pub(super) deployment: &'a Value,
    /// The set of the present template.
    pub(super) new: Option<Arc<Value>>,
    /// The others, oldest first.
    pub(super) old: Vec<Arc<Value>>,
    pub(super) now: Timestamp,
}

impl<'a> Rollout<'a> {
    pub(super) fn new(state: &State, place: &'a Place, deployment: &'a Value, now: Timestamp) -> Self {
        let mut sets = owned::controlled(state, SETS, deployment);
        sets.sort_by_cached_key(age);
        let is_new = |set: &Arc<Value>| is_of(set, &deployment["spec"]["template"]);
        let place_of_new = sets.iter().position(is_new);
        let new = place_of_new.map(|place| sets.remove(place));
        Self { place, deployment, new, old: sets, now }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Value>> {
        self.old.iter().chain(&self.new)
    }

    /// Those that are to have pods.
    pub(super) fn active(&self) -> impl Iterator<Item = &Arc<Value>> {
        self.all().filter(|set| replicas(set) > 0)
    }

    pub(super) fn wished(&self) -> i64 {
        object::number(self.deployment, "/spec/replicas")
    }

    pub(super) fn is_paused(&self) -> bool {
        self.deployment["spec"]["paused"] == true
    }

    pub(super) fn rolls(&self) -> bool {
        self.deployment["spec"]["strategy"]["type"] == "RollingUpdate"
    }

    /// Whether the Deployment was scaled since its sets were.
    pub(super) fn is_sized_anew(&self) -> bool {
        self.active().any(|set| annotated(set, DESIRED).is_some_and(|desired| desired != self.wished()))
    }

    /// Whether no pod of an older template runs or is on its way out.
    pub(super) fn is_emptied(&self, state: &State) -> bool {
        let mut pods = self.old.iter().flat_map(|set| owned::controlled(state, PODS, set));
        self.old.iter().all(|set| replicas(set) == 0 && object::number(set, "/status/replicas") == 0)
            && pods.all(|pod| owned::is_over(&pod))
    }

    /// How many pods may be too many, and how many too few.
    pub(super) fn slack(&self) -> (i64, i64) {
        if !self.rolls() {
            return (0, 0);
        }
        let rolling = &self.deployment["spec"]["strategy"]["rollingUpdate"];
        let surge = share(&rolling["maxSurge"], self.wished(), true);
        let missing = share(&rolling["maxUnavailable"], self.wished(), false);
        // With neither, nothing could move.
        if surge == 0 && missing == 0 { (0, 1) } else { (surge, missing) }
    }

    pub(super) fn max_surge(&self) -> i64 {
        self.slack().0
    }

    pub(super) fn max_unavailable(&self) -> i64 {
        if self.wished() == 0 { 0 } else { self.slack().1.min(self.wished()) }
    }

    /// How many replicas the new set is to have next, if its siblings stay as they are.
    pub(super) fn next(&self, present: i64) -> i64 {
        if !self.rolls() {
            return self.wished();
        }
        let total: i64 = self.old.iter().map(|set| replicas(set)).sum::<i64>() + present;
        let most = self.wished() + self.max_surge();
        if total >= most { present } else { present + (most - total).min(self.wished() - present) }
    }
}

/// Oldest first.
fn age(set: &Arc<Value>) -> (String, String) {
    (object::text(set, "creationTimestamp").to_owned(), object::text(set, "name").to_owned())
}

/// Whether a set was made from this template.
pub(super) fn is_of(set: &Value, template: &Value) -> bool {
    let mut own = set["spec"]["template"].clone();
    if let Some(labels) = own.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(HASH);
    }
    own == *template
}

/// The replicas that a set is to have.
pub(super) fn replicas(set: &Value) -> i64 {
    object::number(set, "/spec/replicas")
}

/// The replicas of a set that serve.
pub(super) fn available(set: &Value) -> i64 {
    object::number(set, "/status/availableReplicas")
}

/// A number in an annotation.
pub(super) fn annotated(set: &Value, name: &str) -> Option<i64> {
    object::metadata(set).get("annotations")?[name].as_str()?.parse().ok()
}

/// A number, or a percentage of `whole`.
fn share(value: &Value, whole: i64, up: bool) -> i64 {
    let percent = value.as_str().and_then(|text| text.trim_end_matches('%').parse::<i64>().ok());
    match (value.as_i64(), percent) {
        (Some(number), _) => number,
        (None, Some(percent)) if up => (whole * percent + 99) / 100,
        (None, Some(percent)) => whole * percent / 100,
        (None, None) => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn percentages_of_a_surge_are_rounded_up_and_those_of_what_may_be_missing_down() {
        assert_eq!(share(&json!("25%"), 3, true), 1);
        assert_eq!(share(&json!("25%"), 3, false), 0);
        assert_eq!(share(&json!("25%"), 4, true), 1);
        assert_eq!(share(&json!("100%"), 7, false), 7);
        assert_eq!(share(&json!(2), 100, true), 2);
    }
}
