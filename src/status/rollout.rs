//! What the user is told of a rollout: the conditions `Migrated` and `RolledBack`, and the revisions. Pure.

use super::{Verdict, is_complete};
use crate::application::{Application, ConditionStatus, ConditionType, Reason};
use crate::observe::{Kind, Observed};
use crate::plan;
use crate::plan::rollout::{Phase, Rollout, Runs};

/// A condition without its time.
pub(super) type Told = (ConditionType, ConditionStatus, Reason, String);

/// What stands in the way of the wished pods, if a revision has to wait or has failed.
pub(super) fn judge(rollout: &Rollout) -> Option<Verdict> {
    if let Some(refusal) = rollout.refusal.as_ref().filter(|refusal| refusal.is_asked_for) {
        return Some(Verdict::broken(reason(refusal.is_for_migration), refusal.message.clone()));
    }
    match &rollout.phase {
        Phase::Direct | Phase::Pinned(_) => None,
        Phase::Migrating(message) => Some(match &rollout.failure {
            Some(failure) => Verdict::broken(Reason::PodFailing, format!("{message}. {failure}")),
            None => Verdict::waiting(Reason::Migrating, message.clone()),
        }),
        Phase::MigrationFailed(message) => Some(Verdict::broken(Reason::MigrationFailed, message.clone())),
        Phase::RolledBack(message) => Some(Verdict::broken(Reason::RolledBack, message.clone())),
    }
}

/// The conditions that only some Applications have.
pub(super) fn conditions(application: &Application, rollout: &Rollout) -> Vec<Told> {
    let spec = &application.spec;
    let migrated = spec.migrations.as_ref().map(|_| {
        let (status, reason, message) = match &rollout.phase {
            Phase::Migrating(message) => (ConditionStatus::Unknown, Reason::Migrating, message.clone()),
            Phase::MigrationFailed(message) => (ConditionStatus::False, Reason::MigrationFailed, message.clone()),
            _ => (ConditionStatus::True, Reason::AsExpected, String::new()),
        };
        (ConditionType::Migrated, status, reason, message)
    });
    let rolled_back = spec.rollback.as_ref().map(|_| {
        let (holds, reason, message) = match (&rollout.phase, &rollout.refusal) {
            (Phase::RolledBack(message), _) => (true, Reason::RolledBack, message.clone()),
            (Phase::Pinned(number), _) => {
                (true, Reason::RevisionRequested, format!("spec.rollback.toRevision is {number}"))
            }
            (_, Some(refusal)) => (false, reason(refusal.is_for_migration), refusal.message.clone()),
            (_, None) => (false, Reason::AsExpected, String::new()),
        };
        (ConditionType::RolledBack, holds.into(), reason, message)
    });
    migrated.into_iter().chain(rolled_back).collect()
}

/// The numbers of the revision that runs, and of the last that was rolled out to its end, of those that there are.
pub(super) fn revisions(
    application: &Application,
    observed: &Observed,
    rollout: &Rollout,
    is_made: bool,
) -> (Option<i64>, Option<i64>) {
    let former = &application.status;
    let recorded = rollout.recorded;
    let current = recorded.or(former.current_revision);
    let is_good = is_made && rollout.runs != Runs::Nothing && {
        let deployment = observed.of(Kind::Deployment).own();
        // No pods prove nothing.
        application.spec.replicas > 0
            && deployment.is_some_and(|live| {
                is_complete(live, application.spec.replicas)
                    // The Application may have been read anew since the Deployment was written.
                    && (recorded == former.last_good_revision || plan::is_applied(application, rollout, live))
            })
    };
    (current, recorded.filter(|_| is_good).or(rollout.good))
}

fn reason(is_for_migration: bool) -> Reason {
    if is_for_migration { Reason::MigrationInTheWay } else { Reason::RevisionNotFound }
}
