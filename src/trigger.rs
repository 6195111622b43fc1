//! A change of a child in, the Application that it concerns out. Pure.

use std::sync::Arc;

use engine::api::Entry;
use engine::object::{Key, Object};
use engine::store::{ByNamespace, Change, Reader};
use engine::trigger::{Urgency, controllers, owners};

use crate::application::Application;
use crate::application::http::Http;
use crate::observe::config::Configures;
use crate::observe::{Child, FollowersOf, Marker, Namespace, Pod, Stamp};

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

/// The Application that controls a revision or the Job of a migration, before or after the change.
pub fn controller<T: Object>(change: &Change<T>) -> Vec<(Key, Urgency)> {
    controllers::<Application, T>(change)
}

/// The Application of a pod that has begun or ceased to fail or to be unready, or fails in another way; nobody else reads pods.
pub fn failing(change: &Change<Pod>) -> Vec<(Key, Urgency)> {
    let valid = |entry: Option<&Entry<Pod>>| match entry {
        Some(Entry::Valid(pod)) => Some(pod.clone()),
        _ => None,
    };
    let (old, new) = (valid(change.old.as_ref()), valid(change.new.as_ref()));
    let trouble = |pod: &Option<Arc<Pod>>| pod.as_ref().map(|pod| (pod.failure(), pod.unready())).unwrap_or_default();
    if trouble(&old) == trouble(&new) {
        return Vec::new();
    }
    let application = new.or(old).and_then(|pod| pod.application());
    application.map(|key| (key, Urgency::Normal)).into_iter().collect()
}

/// The Applications, of all in `applications`, that ask for an `HTTPRoute`, whenever the definition of it changes.
pub fn routed(applications: &Reader<Application>) -> Vec<(Key, Urgency)> {
    let all = applications.list().into_iter();
    let asks = |entry: &Entry<Application>| {
        entry.valid().is_some_and(|application| application.spec.http.as_ref().is_some_and(Http::is_route))
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
