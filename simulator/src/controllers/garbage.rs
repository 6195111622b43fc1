//! The garbage collector: an object whose owners are gone → deleted; an owner that is to go → what becomes of its
//! dependents.

use serde_json::{Value, json};

use super::owned;
use super::step::{Step, Write};
use crate::history::Place;
use crate::object;
use crate::state::State;

/// The finalizer of an owner that goes after its dependents.
const FOREGROUND: &str = "foregroundDeletion";

/// The finalizer of an owner whose dependents stay.
const ORPHAN: &str = "orphan";

pub(super) fn look(state: &State, place: &Place, object: &Value) -> Step {
    if object::is_terminating(object) {
        let finalizers = object::finalizers(object);
        if finalizers.contains(&ORPHAN) {
            return orphan(state, place, object);
        }
        if finalizers.contains(&FOREGROUND) {
            return foreground(state, place, object);
        }
        return Step::default();
    }
    let owners = object::owners(object);
    if owners.is_empty() {
        return Step::default();
    }
    // What is known of each: gone, going after its dependents, or solid.
    let present = |owner: &&Value| !is_gone(state, place, owner);
    let waits = |owner: &&Value| {
        let found = self::owner(state, place, owner).and_then(|place| state.history.get(&place));
        found.is_some_and(|owner| object::is_terminating(owner) && object::finalizers(owner).contains(&FOREGROUND))
    };
    let solid: Vec<&Value> = owners.iter().filter(present).filter(|owner| !waits(owner)).collect();
    if solid.len() == owners.len() {
        return Step::default();
    }
    if !solid.is_empty() {
        let uid = object::text(object, "uid");
        return Step::of(vec![Write::merge(place, json!({"metadata": {"uid": uid, "ownerReferences": solid}}))]);
    }
    let is_waited_for = owners.iter().filter(present).any(|owner| waits(&owner));
    let has_dependents = state.history.dependents(object::text(object, "uid")).next().is_some();
    let policy = match object::finalizers(object) {
        _ if is_waited_for && has_dependents => "Foreground",
        finalizers if finalizers.contains(&ORPHAN) => "Orphan",
        finalizers if finalizers.contains(&FOREGROUND) => "Foreground",
        _ => "Background",
    };
    Step::of(vec![Write::delete(place, object, policy)])
}

/// The place of what `owner` refers to; `None` if there is no such kind.
pub(super) fn owner(state: &State, place: &Place, owner: &Value) -> Option<Place> {
    let text = |name: &str| owner[name].as_str().unwrap_or_default();
    state.catalog.place(text("apiVersion"), text("kind"), &place.namespace, text("name"))
}

/// Whether an owner is known not to be there. Of a kind that is unknown, nothing is.
fn is_gone(state: &State, place: &Place, owner: &Value) -> bool {
    let Some(found) = self::owner(state, place, owner) else { return false };
    state.history.get(&found).is_none_or(|found| owner["uid"] != object::text(found, "uid"))
}

/// Takes the owner out of its dependents, and then lets it go.
fn orphan(state: &State, place: &Place, object: &Value) -> Step {
    let uid = object::text(object, "uid");
    let writes: Vec<Write> =
        state.history.dependents(uid).map(|(place, dependent)| owned::disown(place, dependent, uid)).collect();
    if writes.is_empty() { release(place, object, ORPHAN) } else { Step { writes, again: None } }
}

/// Has the dependents deleted, and lets the owner go once none is left that it has to wait for.
fn foreground(state: &State, place: &Place, object: &Value) -> Step {
    let uid = object::text(object, "uid");
    let dependents: Vec<_> = state.history.dependents(uid).collect();
    let blocks = |dependent: &Value| {
        object::owners(dependent).iter().any(|owner| owner["uid"] == uid && owner["blockOwnerDeletion"] == true)
    };
    if !dependents.iter().any(|(_, dependent)| blocks(dependent)) {
        return release(place, object, FOREGROUND);
    }
    let going = dependents.into_iter().filter(|(_, dependent)| !object::is_terminating(dependent));
    Step::of(going.flat_map(|(place, dependent)| look(state, place, dependent).writes).collect())
}

fn release(place: &Place, object: &Value, finalizer: &str) -> Step {
    let rest: Vec<&str> = object::finalizers(object).into_iter().filter(|one| *one != finalizer).collect();
    let rest = if rest.is_empty() { Value::Null } else { json!(rest) };
    let version = object::text(object, "resourceVersion");
    Step::of(vec![Write::merge(place, json!({"metadata": {"resourceVersion": version, "finalizers": rest}}))])
}

/// Deletes an object whose namespace goes.
pub(super) fn sweep(place: &Place, object: &Value) -> Write {
    debug_assert_eq!(owned::place(&place.resource, object), *place, "an object stands where it says");
    Write::delete(place, object, "Background")
}
