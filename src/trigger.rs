//! A change of a child in, the Application that it concerns out. Pure.

use engine::object::Key;
use engine::store::Change;
use engine::trigger::{Urgency, owners};

use crate::application::Application;
use crate::observe::Child;

/// The Applications that own the child, before or after the change, and the one under whose child's name it stands: that
/// one may be waiting for somebody else's object to go away. A child that is gone is urgent: a failure to write its sibling
/// must not keep it away.
pub fn owner<C: Child>(change: &Change<C>) -> Vec<(Key, Urgency)> {
    let urgency = if change.new.is_none() { Urgency::Urgent } else { Urgency::Normal };
    let mut keys = owners::<Application, C>(change);
    for (_, owner) in &mut keys {
        *owner = urgency;
    }
    let child = change.key();
    if let Some(application) = child.name.strip_suffix(C::SUFFIX) {
        let key = child.sibling(application);
        if keys.iter().all(|(owner, _)| *owner != key) {
            keys.push((key, urgency));
        }
    }
    keys
}
