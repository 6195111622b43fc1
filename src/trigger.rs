//! A change of a child in, the Application that it concerns out. Pure.

use engine::object::Key;
use engine::store::Change;
use engine::trigger::{Urgency, owners};

use crate::application::Application;
use crate::observe::{Child, Marker};

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
