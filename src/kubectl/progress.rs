//! How far the rollout of the latest spec is, as those ask who wait for its end. Pure.

use super::snapshot::Snapshot;
use super::text::printable;
use crate::application::{ConditionType, Reason};

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It is on its way; this is where.
    Going(String),
    /// All wished pods run the latest spec.
    Done(String),
    /// It does not come to its end by itself.
    Failed(String),
}

/// Reasons that stay until the spec or the cluster is changed by somebody. What is left out may pass: a pod that crashes until
/// its database is there, a quota that is freed. Such a rollout has failed once its deadline has passed, and not before.
const FINAL: [Reason; 11] = [
    Reason::RolloutStalled,
    Reason::RolledBack,
    Reason::MigrationFailed,
    Reason::RevisionNotFound,
    Reason::MigrationInTheWay,
    Reason::InvalidSpec,
    Reason::NotAllowed,
    Reason::ApplyRejected,
    Reason::ChildConflict,
    Reason::GatewayAPIAbsent,
    Reason::RouteNotAccepted,
];

/// How far the Application is.
pub fn progress(snapshot: &Snapshot) -> Progress {
    let application = &*snapshot.application;
    let (name, status) = (&application.metadata.name, &application.it.status);
    if application.metadata.is_terminating() {
        return Progress::Failed(format!("application {name} is being deleted"));
    }
    let ready = status.condition(ConditionType::Ready);
    let Some(ready) = ready.filter(|_| status.observed_generation == application.metadata.generation) else {
        return Progress::Going("waiting for the operator to take up the latest spec".to_owned());
    };
    let told = format!("{}: {}", ready.reason, printable(&ready.message));
    let holds = |kind| status.condition(kind).is_some_and(|condition| condition.status == "True");
    if ready.status == "True" {
        let revision = status.current_revision.map_or_else(String::new, |number| format!(", revision {number}"));
        return Progress::Done(format!("application {name} is rolled out{revision}: {}", printable(&ready.message)));
    }
    let is_final = FINAL.iter().any(|reason| reason.as_str() == ready.reason);
    let is_failed = holds(ConditionType::Degraded) && (is_final || is_late(snapshot));
    if is_failed { Progress::Failed(format!("application {name}: {told}")) } else { Progress::Going(told) }
}

/// Whether the Deployment has made no progress within its deadline. A failing pod is what is told then, and not that.
fn is_late(snapshot: &Snapshot) -> bool {
    let Some(deployment) = snapshot.deployment() else { return false };
    let status = deployment.it.status.as_ref();
    let is_of_now = status.and_then(|status| status.observed_generation) >= Some(deployment.metadata.generation);
    let mut conditions = status.and_then(|status| status.conditions.as_ref()).into_iter().flatten();
    is_of_now && conditions.any(|condition| condition.reason.as_deref() == Some("ProgressDeadlineExceeded"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::kubectl::snapshot::tests::{bare, rolling};

    fn told(ready: &str, reason: &str) -> Progress {
        let condition = |kind: &str, status: &str| {
            json!({"type": kind, "status": status, "reason": reason, "message": "m",
                "lastTransitionTime": "2026-01-01T00:00:00Z"})
        };
        let degraded = if ready == "True" { "False" } else { "True" };
        let conditions = [condition("Ready", ready), condition("Degraded", degraded)];
        progress(&bare(&json!({}), &json!({"conditions": conditions, "currentRevision": 2})))
    }

    #[test]
    fn a_rollout_ends_when_all_is_ready_or_nothing_will_change_by_itself() {
        assert_eq!(
            told("True", "Available"),
            Progress::Done("application shop is rolled out, revision 2: m".to_owned())
        );
        for reason in ["MigrationFailed", "RolledBack", "ApplyRejected", "RolloutStalled"] {
            assert_eq!(told("False", reason), Progress::Failed(format!("application shop: {reason}: m")));
        }
        for reason in ["PodFailing", "QuotaExceeded", "PodsNotReady"] {
            assert_eq!(told("False", reason), Progress::Going(format!("{reason}: m")));
        }
    }

    #[test]
    fn what_is_told_of_an_earlier_spec_ends_nothing() {
        let mut snapshot = bare(&json!({}), &json!({}));
        assert!(matches!(progress(&snapshot), Progress::Going(_)));
        Arc::get_mut(&mut snapshot.application).unwrap().metadata.generation = 9;
        assert!(matches!(progress(&snapshot), Progress::Going(_)));
    }

    #[test]
    fn a_pod_that_fails_has_failed_the_rollout_once_its_deadline_has_passed() {
        let mut snapshot = rolling(2);
        assert!(matches!(progress(&snapshot), Progress::Going(_)));
        let deployment = Arc::get_mut(&mut snapshot.deployments[0]).unwrap();
        let conditions = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]);
        deployment.it.status.as_mut().unwrap().conditions = serde_json::from_value(conditions).unwrap();
        assert!(matches!(progress(&snapshot), Progress::Failed(why) if why.contains("PodFailing")));
    }
}
