//! Whether this version of the operator makes other pods of a wish than the last one did. Pure.

use serde_json::Value;

use super::rollout::{Runs, Step, decide};
use super::{HASH_ANNOTATION, compare, pod, render_as};
use crate::application::Application;
use crate::observe::{Kind, Observed, Rolled};

/// Returns true if pods that run are to be replaced although nobody has changed the wish: this version renders them otherwise
/// than what was applied last, or adopts them from the Go operator. A wish that was changed since the operator last looked, an
/// edit of the Deployment, and a change of configuration are somebody's own doing.
pub fn renders_pods_anew(application: &Application, observed: &Observed) -> bool {
    let Some(live) = observed.of(Kind::Deployment).own() else { return false };
    let metadata = &live.metadata;
    let applied = metadata.annotations.get(HASH_ANNOTATION);
    let is_adopted = applied.is_none() && metadata.controller().is_none();
    let is_old_wish = application.status.observed_generation == application.metadata.generation;
    if application.metadata.is_terminating() || !is_adopted && (applied.is_none() || !is_old_wish) {
        return false;
    }
    let mut rollout = decide(application, observed);
    // A revision that is on record and waits, for its migrations say, is one that was wished for.
    let is_new = rollout.before.iter().any(|step| match step {
        Step::Record { .. } => true,
        Step::Amend { body, .. } => body.get("revision").is_some(),
        _ => false,
    });
    if rollout.runs == Runs::Nothing {
        rollout.runs = Runs::Wished(pod::template(application, observed.enforces_restricted));
    }
    let rolled = application.spec.rolling_config().and_then(|_| Rolled::of(live));
    let Some(wish) = render_as(application, &rollout, rolled.as_ref(), Kind::Deployment) else { return false };
    is_new
        && wish["metadata"]["annotations"][HASH_ANNOTATION].as_str() != applied
        && may_differ(&wish["spec"], live.spec.get())
}

/// Whether an apply of `wish` may change the pod template. Where no field of the wish differs, one has left it, and that may be
/// one of the template.
fn may_differ(wish: &Value, live: &str) -> bool {
    let Ok(live) = serde_json::from_str::<Value>(live) else { return true };
    let differs = |field: &str| compare::differs(&wish[field], &live[field], &format!("spec.{field}"));
    let others = wish.as_object().into_iter().flatten().filter(|(field, _)| *field != "template");
    differs("template") || !others.into_iter().any(|(field, _)| differs(field))
}
