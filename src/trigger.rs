//! A change of a child in, the Application that it concerns out. Pure.

use std::sync::Arc;

use engine::api::Entry;
use engine::object::{Key, Object};
use engine::store::{ByNamespace, Change, Reader};
use engine::trigger::{Urgency, controllers, indexed, owners};

use crate::application::Application;
use crate::application::http::Http;
use crate::observe::config::Configures;
use crate::observe::{Child, FollowersOf, Labelled, Marker, Namespace, Pod, Stamp};

/// The Applications that own the child, before or after the change, and the one under whose child's name it stands: that
/// one may be waiting for somebody else's object to go away. A child that is gone is urgent: a failure to write its sibling
/// must not keep it away.
pub fn owner<K: Marker>(change: &Change<Child<K>>) -> Vec<(Key, Urgency)> {
    let urgency = if change.new.is_none() { Urgency::Urgent } else { Urgency::Normal };
    let mut keys = owners::<Application, Child<K>>(change);
    for (_, owner) in &mut keys {
        *owner = urgency;
    }
    let child = change.key();
    if let Some(application) = child.name.strip_suffix(K::KIND.suffix()) {
        let key = child.sibling(application);
        if keys.iter().all(|(owner, _)| *owner != key) {
            keys.push((key, urgency));
        }
    }
    keys
}

/// The Application that controls a revision or the Job of a migration, and the one whose label it bears, before or after the
/// change: what has lost its owner reference is the Application's all the same, and a Job of its earlier life may be waited for.
pub fn labelled<T: Object>(change: &Change<T>) -> Vec<(Key, Urgency)> {
    let mut keys = controllers::<Application, T>(change);
    keys.extend(indexed::<Labelled, T>(change));
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The Application of a pod that has begun or ceased to fail, to be unready or to run a migration, or fails in another way; nobody
/// else reads pods.
pub fn failing(change: &Change<Pod>) -> Vec<(Key, Urgency)> {
    let valid = |entry: Option<&Entry<Pod>>| match entry {
        Some(Entry::Valid(pod)) => Some(pod.clone()),
        _ => None,
    };
    let (old, new) = (valid(change.old.as_ref()), valid(change.new.as_ref()));
    let state = |pod: &Option<Arc<Pod>>| {
        pod.as_ref().map(|pod| (pod.failure(), pod.unready(), pod.runs_migration())).unwrap_or_default()
    };
    if state(&old) == state(&new) {
        return Vec::new();
    }
    let application = new.or(old).and_then(|pod| pod.application());
    application.map(|key| (key, Urgency::Normal)).into_iter().collect()
}

/// The Applications, of all in `applications`, that ask for an `HTTPRoute`, whenever the definition of it changes.
pub fn routed(applications: &Reader<Application>) -> Vec<(Key, Urgency)> {
    let all = applications.list().into_iter();
    let asks = |entry: &Entry<Application>| {
        entry.valid().is_some_and(|application| application.spec.http.as_deref().is_some_and(Http::is_route))
    };
    all.filter(asks).map(|entry| (entry.key(), Urgency::Urgent)).collect()
}

/// The Applications, of all in `applications`, that follow a `ConfigMap` or Secret.
pub fn followers<S: Configures>(change: &Change<Stamp<S>>, applications: &Reader<Application>) -> Vec<(Key, Urgency)> {
    let followers = applications.by_index::<FollowersOf>(&(S::SOURCE, change.key()));
    followers.into_iter().map(|application| (application.key(), Urgency::Normal)).collect()
}

/// The Applications, of all in `applications`, in a namespace that has begun or ceased to enforce `restricted`.
pub fn enforcing(change: &Change<Namespace>, applications: &Reader<Application>) -> Vec<(Key, Urgency)> {
    let enforces = |entry: Option<&Entry<Namespace>>| match entry {
        Some(Entry::Valid(namespace)) => namespace.enforces_restricted(),
        _ => false,
    };
    if enforces(change.old.as_ref()) == enforces(change.new.as_ref()) {
        return Vec::new();
    }
    let inside = applications.by_index::<ByNamespace>(&change.key().name);
    inside.into_iter().map(|application| (application.key(), Urgency::Urgent)).collect()
}

#[cfg(test)]
mod tests {
    use engine::store::Origin;
    use serde_json::{Value, json};

    use super::*;
    use crate::observe::Job;

    fn entry<T: serde::de::DeserializeOwned>(object: &Value) -> Entry<T> {
        Entry::Valid(Arc::new(serde_json::from_value(object.clone()).unwrap()))
    }

    fn metadata(owners: &Value) -> Value {
        json!({"name": "m", "namespace": "shop", "ownerReferences": owners,
            "labels": {"label": "web.migration", "minetto.dev/application": "web", "minetto.dev/migration": "schema"}})
    }

    #[test]
    fn a_job_that_has_lost_its_owner_reference_still_wakes_its_application() {
        let job = json!({"metadata": metadata(&json!([]))});
        let change: Change<Job> = Change { old: Some(entry(&job)), new: None, origin: Origin::Event };
        assert_eq!(labelled(&change), [(Key::new("shop", "web"), Urgency::Normal)]);
        let reference =
            json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application", "name": "web", "controller": true});
        let controlled = json!({"metadata": metadata(&json!([reference]))});
        let change: Change<Job> =
            Change { old: Some(entry(&job)), new: Some(entry(&controlled)), origin: Origin::Event };
        assert_eq!(labelled(&change).len(), 1, "once");
    }

    #[test]
    fn a_pod_of_a_migration_wakes_its_application_when_it_ends_or_goes_whoever_owns_it() {
        let pod = |owners: &Value, phase: &str| {
            Some(entry(&json!({"metadata": metadata(owners), "status": {"phase": phase}})))
        };
        let woken = |old: &Option<Entry<Pod>>, new: &Option<Entry<Pod>>| {
            !failing(&Change { old: old.clone(), new: new.clone(), origin: Origin::Event }).is_empty()
        };
        for owners in [json!([{"kind": "Job", "name": "j", "controller": true}]), json!([])] {
            let (runs, ended) = (pod(&owners, "Running"), pod(&owners, "Succeeded"));
            assert!(woken(&runs, &ended) && woken(&runs, &None));
            assert!(!woken(&pod(&owners, "Pending"), &runs) && !woken(&ended, &None));
        }
    }
}
