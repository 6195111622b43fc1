//! A Deployment and its `ReplicaSet`s → sets made, scaled and forgotten, and its status.
//!
//! The order of what is decided is the real controller's: pauses, then sizes that no longer fit, then the rollout.

mod conditions;
mod revision;
mod rollout;
mod scale;
mod status;

use jiff::Timestamp;
use serde_json::Value;

use self::rollout::Rollout;
use super::owned::{self, SETS};
use super::step::{Step, Write};
use crate::history::Place;
use crate::object;
use crate::state::State;

pub(super) fn look(state: &State, place: &Place, deployment: &Value, now: Timestamp) -> Step {
    let claims = owned::claim(state, SETS, deployment);
    if !claims.is_empty() {
        return Step::of(claims);
    }
    let rollout = Rollout::new(state, place, deployment, now);
    if object::is_terminating(deployment) {
        return Step::of(status::between(&rollout).into_iter().collect());
    }
    if let Some(told) = status::pause(&rollout) {
        return Step::of(vec![told]);
    }
    let is_sized_anew = rollout.is_paused() || rollout.is_sized_anew();
    // Pods of old and new templates never run side by side where they are replaced all at once.
    let may_create = !is_sized_anew && (rollout.rolls() || rollout.is_emptied(state));
    let writes = revision::writes(state, &rollout, may_create);
    if !writes.is_empty() {
        return Step::of(writes);
    }
    if is_sized_anew {
        let mut writes = scale::proportional(&rollout);
        if rollout.is_paused() {
            writes.extend(revision::forget(&rollout));
        }
        writes.extend(status::between(&rollout));
        return Step::of(writes);
    }
    let mut writes = if rollout.rolls() { scale::rolling(&rollout) } else { scale::recreate(&rollout, may_create) };
    if writes.is_empty() && status::is_complete(&rollout, &deployment["status"]) {
        writes.extend(revision::forget(&rollout));
    }
    writes.extend(status::rolling(&rollout));
    Step { writes, again: status::deadline(&rollout) }
}

/// Replaces a `ReplicaSet`.
fn update(set: &Value) -> Write {
    Write::update(&owned::place(SETS, set), set.clone())
}
