//! A rollout → how far it is: the status of its Deployment.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::owned;
use super::super::step::{Write, after};
use super::conditions;
use super::rollout::{Rollout, available};
use crate::object;

/// The deadline that means none: the largest number of Go's `int32`.
const NEVER: i64 = 0x7fff_ffff;

/// The status while sizes are put right, or nothing rolls.
pub(super) fn between(rollout: &Rollout<'_>) -> Option<Write> {
    written(rollout, counted(rollout))
}

/// The status of a rollout.
pub(super) fn rolling(rollout: &Rollout<'_>) -> Option<Write> {
    let mut told = counted(rollout);
    let before = &rollout.deployment["status"];
    let present = owned::condition(before, "Progressing");
    if deadline_seconds(rollout).is_none() {
        conditions::remove(&mut told, "Progressing");
        return written(rollout, told);
    }
    let number = |status: &Value, name: &str| object::number(status, &format!("/{name}"));
    let is_settled = number(&told["status"], "replicas") == number(&told["status"], "updatedReplicas")
        && present.is_some_and(|present| present["reason"] == "NewReplicaSetAvailable");
    if is_settled {
        return written(rollout, told);
    }
    let whom = match &rollout.new {
        Some(new) => format!("ReplicaSet {:?}", object::text(new, "name")),
        None => format!("Deployment {:?}", object::text(rollout.deployment, "name")),
    };
    let after = told["status"].clone();
    let old = |status: &Value| number(status, "replicas") - number(status, "updatedReplicas");
    let is_more = |name: &str| number(&after, name) > number(before, name);
    if is_complete(rollout, &after) {
        let why = format!("{whom} has successfully progressed.");
        conditions::set(&mut told, "Progressing", "True", "NewReplicaSetAvailable", &why, rollout.now);
    } else if is_more("updatedReplicas")
        || old(&after) < old(before)
        || is_more("readyReplicas")
        || is_more("availableReplicas")
    {
        let why = format!("{whom} is progressing.");
        conditions::renew(&mut told, "Progressing", "True", "ReplicaSetUpdated", &why, rollout.now);
    } else if present.is_some_and(|present| is_late(rollout, present)) {
        let why = format!("{whom} has timed out progressing.");
        conditions::set(&mut told, "Progressing", "False", "ProgressDeadlineExceeded", &why, rollout.now);
    }
    written(rollout, told)
}

/// What a pause or its end has to say before anything else.
pub(super) fn pause(rollout: &Rollout<'_>) -> Option<Write> {
    deadline_seconds(rollout)?;
    let present = owned::condition(&rollout.deployment["status"], "Progressing");
    let reason = present.and_then(|present| present["reason"].as_str()).unwrap_or_default();
    let (reason, message) = match (rollout.is_paused(), reason) {
        // What has failed stays told.
        (_, "ProgressDeadlineExceeded") | (true, "DeploymentPaused") => return None,
        (true, _) => ("DeploymentPaused", "Deployment is paused"),
        (false, "DeploymentPaused") => ("DeploymentResumed", "Deployment is resumed"),
        (false, _) => return None,
    };
    let mut told = rollout.deployment.clone();
    conditions::set(&mut told, "Progressing", "Unknown", reason, message, rollout.now);
    Some(Write::status(rollout.place, told))
}

/// Whether all pods are of the present template, and serve.
pub(super) fn is_complete(rollout: &Rollout<'_>, status: &Value) -> bool {
    let counts = ["updatedReplicas", "replicas", "availableReplicas"];
    counts.iter().all(|name| object::number(status, &format!("/{name}")) == rollout.wished())
        && object::number(status, "/observedGeneration") >= object::number(rollout.deployment, "/metadata/generation")
}

/// After how long without progress a rollout has failed; `None` if it never has.
pub(super) fn deadline_seconds(rollout: &Rollout<'_>) -> Option<i64> {
    rollout.deployment["spec"]["progressDeadlineSeconds"].as_i64().filter(|seconds| *seconds != NEVER)
}

/// When a rollout that makes no progress will have failed; `None` if that is not to come.
pub(super) fn deadline(rollout: &Rollout<'_>) -> Option<Timestamp> {
    let present = owned::condition(&rollout.deployment["status"], "Progressing")?;
    let is_over = ["NewReplicaSetAvailable", "ProgressDeadlineExceeded"].iter().any(|word| present["reason"] == *word);
    end(rollout, present).filter(|end| !is_over && *end > rollout.now)
}

/// Whether a rollout has made no progress for too long.
fn is_late(rollout: &Rollout<'_>, present: &Value) -> bool {
    let is_over = present["reason"] == "ProgressDeadlineExceeded";
    let is_good = present["reason"] == "NewReplicaSetAvailable";
    is_over || !is_good && end(rollout, present).is_some_and(|end| end <= rollout.now)
}

/// When what was last told is too long ago: it has to be past, and times are told to the second.
fn end(rollout: &Rollout<'_>, present: &Value) -> Option<Timestamp> {
    let since = object::time(present, "/lastUpdateTime")?;
    Some(after(since, deadline_seconds(rollout)? + 1))
}

/// The Deployment with what its sets say.
fn counted(rollout: &Rollout<'_>) -> Value {
    let mut told = rollout.deployment.clone();
    let total = |pointer: &str| rollout.all().map(|set| object::number(set, pointer)).sum::<i64>();
    let serving: i64 = rollout.all().map(|set| available(set)).sum();
    let wished: i64 = rollout.all().map(|set| super::rollout::replicas(set)).sum();
    let updated = rollout.new.as_ref().map_or(0, |new| object::number(new, "/status/replicas"));
    let mut status = json!({"observedGeneration": rollout.deployment["metadata"]["generation"]});
    for (name, count) in [
        ("replicas", total("/status/replicas")),
        ("updatedReplicas", updated),
        ("readyReplicas", total("/status/readyReplicas")),
        ("availableReplicas", serving),
        ("unavailableReplicas", (wished - serving).max(0)),
    ] {
        if count > 0 {
            status[name] = count.into();
        }
    }
    let is_told = |set: &&std::sync::Arc<Value>| set["status"].get("terminatingReplicas").is_some();
    if rollout.all().all(|set| is_told(&set)) {
        status["terminatingReplicas"] = total("/status/terminatingReplicas").into();
    }
    for name in ["collisionCount", "conditions"] {
        object::copy_field(&mut status, &rollout.deployment["status"], name);
    }
    told["status"] = status;
    let now = rollout.now;
    if serving >= rollout.wished() - rollout.max_unavailable() {
        let why = "Deployment has minimum availability.";
        conditions::set(&mut told, "Available", "True", "MinimumReplicasAvailable", why, now);
    } else {
        let why = "Deployment does not have minimum availability.";
        conditions::set(&mut told, "Available", "False", "MinimumReplicasUnavailable", why, now);
    }
    told
}

fn written(rollout: &Rollout<'_>, told: Value) -> Option<Write> {
    (told["status"] != rollout.deployment["status"]).then(|| Write::status(rollout.place, told))
}
