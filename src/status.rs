//! What there is of an Application in, what its user is told out. Pure: the time is an argument.

mod resources;
mod rollout;
mod route;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::application::{Allowed, Application, ApplicationStatus, Condition, ConditionType, Failure, Reason};
use crate::observe::child::{Condition as ChildCondition, Status};
use crate::observe::{Configuration, Found, Gateway, Kind, Live, Missing, Observed};
use crate::plan::rollout::{Phase, Rollout, Runs, decide};
use crate::plan::{self, selector};
use crate::readiness;

/// What became of the last attempt to write the children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// All is written.
    Made,
    /// The API server will not have it; this is what it says.
    Rejected(String),
    /// What stands under the name of an object that the operator needs can't be used; this is which, and why.
    Occupied(String),
    /// Another writer changes it back each time; this is what.
    Contested(String),
    /// It did not work out this time; this is why.
    Failed(String),
}

/// One sentence on the state of an Application, from which the conditions follow.
struct Verdict {
    ready: bool,
    progressing: bool,
    degraded: bool,
    reason: Reason,
    message: String,
}

/// The status of `application`; equal to the one that it has where nothing is new.
pub fn status(
    application: &Application,
    observed: &Observed,
    allowed: &Allowed,
    attempt: &Attempt,
    now: &Time,
) -> ApplicationStatus {
    let nothing = Status::default();
    let counts = match observed.of(Kind::Deployment) {
        Found::Own(deployment) | Found::Leaving(deployment) => &deployment.status,
        Found::Absent | Found::Foreign(_) => &nothing,
    };
    let rollout = decide(application, observed);
    let unready = readiness::failure(application, observed, now.0);
    let verdict = explained(judge(application, observed, allowed, attempt, &rollout), unready.as_ref());
    let (current_revision, last_good_revision) =
        rollout::revisions(application, observed, &rollout, *attempt == Attempt::Made);
    let is_former = matches!(rollout.runs, Runs::Former(_)) && !matches!(rollout.phase, Phase::Pinned(_));
    let failure = rollout.failure.as_ref().or(observed.failure.as_ref()).or(unready.as_ref()).cloned();
    ApplicationStatus {
        conditions: conditions(application, &verdict, &rollout, now),
        observed_generation: application.metadata.generation,
        replicas: counts.replicas,
        ready_replicas: counts.ready_replicas,
        updated_replicas: if is_former { 0 } else { counts.updated_replicas },
        current_revision,
        last_good_revision,
        failure: failure.map(|failure| Failure { message: shortened(&failure.message), ..failure }.into()),
        url: url(application, observed),
        resources: resources::resources(application, observed, &rollout),
        selector: selector(&application.metadata.name),
    }
}

/// Where it is reached from outside, once what leads there is written.
fn url(application: &Application, observed: &Observed) -> Option<String> {
    let http = application.spec.http.as_ref()?;
    observed.of(if http.is_route() { Kind::HttpRoute } else { Kind::Ingress }).own()?;
    http.url()
}

/// The state of things, worst first.
fn judge(
    application: &Application,
    observed: &Observed,
    allowed: &Allowed,
    attempt: &Attempt,
    rollout: &Rollout,
) -> Verdict {
    if application.metadata.is_terminating() {
        let held = application.metadata.finalizers.join(", ");
        let held = if held.is_empty() { held } else { format!(", and its finalizers keep it: {held}") };
        return Verdict::waiting(Reason::Terminating, format!("The Application is being deleted{held}"));
    }
    if let Some(fault) = application.spec.fault() {
        return Verdict::broken(Reason::InvalidSpec, fault);
    }
    if let Some(refusal) = allowed.refusal(&application.spec) {
        return Verdict::broken(Reason::NotAllowed, refusal);
    }
    let name = &application.metadata.name;
    // What stands under the name of a child that is not wished for is in nobody's way.
    let can_be = |kind: &Kind| *kind != Kind::HttpRoute || observed.gateway == Gateway::Served;
    let wished: Vec<Kind> = plan::wished(application, rollout).filter(can_be).collect();
    let foreign = wished.iter().find_map(|kind| match observed.of(*kind) {
        Found::Foreign(whose) => Some((kind, whose)),
        _ => None,
    });
    if let Some((kind, whose)) = foreign {
        let message = format!("{kind} {} {whose}; delete it, or give the Application another name", kind.name(name));
        return Verdict::broken(Reason::ChildConflict, message);
    }
    match attempt {
        Attempt::Rejected(message) => return Verdict::broken(Reason::ApplyRejected, message.clone()),
        Attempt::Occupied(message) => return Verdict::broken(Reason::ChildConflict, message.clone()),
        Attempt::Contested(message) => return Verdict::broken(Reason::Contested, message.clone()),
        Attempt::Failed(message) => return Verdict::waiting(Reason::ApplyFailed, message.clone()),
        Attempt::Made => {}
    }
    if let Some(kind) = wished.iter().find(|kind| matches!(observed.of(**kind), Found::Leaving(_))) {
        let message = format!("Waiting until {kind} {} is deleted, which its finalizers may delay", kind.name(name));
        return Verdict::waiting(Reason::Pending, message);
    }
    if let Some(verdict) = rollout::judge(rollout) {
        return verdict;
    }
    let deployment = observed.of(Kind::Deployment).own();
    // Without a ReplicaSet the deployment controller never says that it has seen the wish.
    if let Some(refused) = deployment.and_then(|deployment| refused_replica_set(&deployment.status)) {
        return Verdict::broken(quota_or(Reason::ReplicaFailure, refused), refused.to_owned());
    }
    let missing = wished.iter().any(|kind| observed.of(*kind).own().is_none());
    let verdict = match deployment {
        Some(deployment) if !missing && deployment.status.observed_generation >= deployment.metadata.generation => {
            progress(application, &deployment.status, observed.failure.as_ref())
        }
        _ => Verdict::waiting(Reason::Pending, "Waiting for the cluster to take up the children".to_owned()),
    };
    let verdict = unfollowed(unstartable(verdict, observed), observed);
    // What is wrong with the pods goes before what is wrong with the way to them.
    if verdict.degraded { verdict } else { route::judge(application, observed, rollout).unwrap_or(verdict) }
}

/// The verdict, with what is known of a container that is not ready where pods are waited for.
fn explained(verdict: Verdict, unready: Option<&Failure>) -> Verdict {
    use Reason::{PodsNotReady, RollingOut, RolloutStalled, Scaling};
    match (unready, verdict.reason) {
        (Some(unready), RollingOut | Scaling | PodsNotReady | RolloutStalled) => {
            Verdict { message: format!("{}. {unready}", verdict.message.trim_end_matches('.')), ..verdict }
        }
        _ => verdict,
    }
}

/// The verdict, where something that new pods can't start without is not there. Those that run go on.
fn unstartable(verdict: Verdict, observed: &Observed) -> Verdict {
    let Some(missing) = observed.configuration.as_ref().and_then(Configuration::missing) else { return verdict };
    let sentence = match missing {
        Missing::Object(of) => {
            format!("{} {}, without which no pod can start, does not exist", of.source.kind(), of.name)
        }
        Missing::Key(of) => {
            let key = of.key.as_deref().unwrap_or_default();
            format!("{} {} has no key {key}, without which no pod can start", of.source.kind(), of.name)
        }
    };
    match verdict {
        Verdict { degraded: true, .. } => verdict,
        Verdict { ready: true, .. } => Verdict { message: format!("{}; {sentence}", verdict.message), ..verdict },
        _ => Verdict::broken(Reason::ConfigMissing, sentence),
    }
}

/// The verdict, where it is not known what there is of the configuration. Pods that run go on, and new ones wait for it.
fn unfollowed(verdict: Verdict, observed: &Observed) -> Verdict {
    let is_late = observed.configuration.as_ref().is_some_and(|configuration| configuration.is_late);
    if !is_late || verdict.degraded {
        return verdict;
    }
    let sentence =
        "the configuration is not followed: ConfigMaps or Secrets can't be listed, for want of a right perhaps";
    Verdict { message: format!("{}; {sentence}", verdict.message), ..verdict }
}

/// How far the rollout is, once the deployment controller has seen the latest wish.
fn progress(application: &Application, status: &Status, failure: Option<&Failure>) -> Verdict {
    let wished = application.spec.replicas;
    let condition = |kind: &str| status.conditions.iter().find(|condition| &*condition.kind == kind);
    let (updated, exist, available) = (status.updated_replicas, status.replicas, status.available_replicas);
    if is_fulfilled(status, wished) {
        return match wished {
            0 => Verdict::settled(Reason::ScaledToZero, "Scaled to zero".to_owned()),
            _ => Verdict::settled(Reason::Available, format!("{wished} of {wished} pods are ready")),
        };
    }
    if let Some(failure) = condition("ReplicaFailure").filter(|condition| &*condition.status == "True") {
        return Verdict::broken(quota_or(Reason::ReplicaFailure, &failure.message), failure.message.to_string());
    }
    if let Some(failure) = failure {
        return Verdict::broken(Reason::PodFailing, failure.to_string());
    }
    let progressing = condition("Progressing");
    if let Some(stalled) = progressing.filter(|condition| &*condition.reason == "ProgressDeadlineExceeded") {
        return Verdict::broken(Reason::RolloutStalled, stalled.message.to_string());
    }
    if updated < exist {
        return Verdict::waiting(Reason::RollingOut, format!("{updated} of {wished} pods run the latest spec"));
    }
    if exist != wished {
        return Verdict::waiting(Reason::Scaling, format!("{exist} pods exist, {wished} are wished"));
    }
    let message = format!("{available} of {wished} pods are ready");
    if progressing.is_none_or(|condition| &*condition.reason != "NewReplicaSetAvailable") {
        return Verdict::waiting(Reason::RollingOut, message);
    }
    // The rollout is complete, so that pods were lost, or were added by a wish that came since and are on their way.
    if were_ready(application) {
        Verdict::broken(Reason::PodsNotReady, message)
    } else {
        Verdict::waiting(Reason::Scaling, message)
    }
}

/// Whether all wished pods, and no others, have the latest template and are available.
fn is_fulfilled(status: &Status, wished: i32) -> bool {
    [status.updated_replicas, status.replicas, status.available_replicas] == [wished; 3]
}

/// Whether the rollout of the Deployment, as it is wished for, has come to its end.
fn is_complete(deployment: &Live, wished: i32) -> bool {
    let status = &deployment.status;
    status.observed_generation >= deployment.metadata.generation && is_fulfilled(status, wished)
}

/// Whether the Deployment, as it is, has come to its end: all pods are updated and available.
pub fn is_rolled_out(application: &Application, observed: &Observed) -> bool {
    observed.of(Kind::Deployment).own().is_some_and(|live| is_complete(live, application.spec.replicas))
}

/// Returns true if the present wish has been fulfilled before.
fn were_ready(application: &Application) -> bool {
    application.status.condition(ConditionType::Ready).is_some_and(|ready| {
        let fulfilled = ready.status == "True" || ready.reason == Reason::PodsNotReady.as_str();
        fulfilled && ready.observed_generation == Some(application.metadata.generation)
    })
}

/// Why the deployment controller could not even begin, if so.
fn refused_replica_set(status: &Status) -> Option<&str> {
    let refused = |condition: &&ChildCondition| &*condition.reason == "ReplicaSetCreateError";
    status.conditions.iter().find(refused).map(|condition| &*condition.message)
}

fn quota_or(other: Reason, message: &str) -> Reason {
    if message.contains("exceeded quota") { Reason::QuotaExceeded } else { other }
}

impl Verdict {
    fn settled(reason: Reason, message: String) -> Self {
        Self { ready: true, progressing: false, degraded: false, reason, message }
    }

    fn waiting(reason: Reason, message: String) -> Self {
        Self { ready: false, progressing: true, degraded: false, reason, message }
    }

    fn broken(reason: Reason, message: String) -> Self {
        Self { ready: false, progressing: false, degraded: true, reason, message }
    }
}

/// The conditions of `verdict`, and those of other writers as they are.
fn conditions(application: &Application, verdict: &Verdict, rollout: &Rollout, now: &Time) -> Box<[Condition]> {
    let generation = application.metadata.generation;
    let quiet = if verdict.ready { Reason::RolloutComplete } else { verdict.reason };
    let fault = if verdict.degraded { verdict.reason } else { Reason::AsExpected };
    let of_verdict = [
        (ConditionType::Ready, verdict.ready, verdict.reason),
        (ConditionType::Progressing, verdict.progressing, quiet),
        (ConditionType::Degraded, verdict.degraded, fault),
        (ConditionType::Reconciling, verdict.progressing, quiet),
        (ConditionType::Stalled, verdict.degraded, fault),
    ];
    let of_verdict = of_verdict.into_iter().map(|(kind, holds, reason)| {
        let message = if reason == Reason::AsExpected { String::new() } else { verdict.message.clone() };
        (kind, holds.into(), reason, message)
    });
    let mut conditions: Vec<Condition> = of_verdict
        .chain(rollout::conditions(application, rollout))
        .map(|(kind, status, reason, message)| {
            let condition = kind.condition(status, reason, shortened(&message), generation, now.clone());
            match application.status.condition(kind) {
                Some(former) if former.status == condition.status => {
                    Condition { last_transition_time: former.last_transition_time.clone(), ..condition }
                }
                _ => condition,
            }
        })
        .collect();
    let foreign = |condition: &&Condition| ConditionType::ALL.iter().all(|kind| kind.as_str() != condition.type_);
    conditions.extend(application.status.conditions.iter().filter(foreign).cloned());
    conditions.into()
}

/// The longest message in a condition, in characters. The schema allows 32,768; a webhook may say more, and nobody reads as
/// much three times.
const LONGEST_MESSAGE: usize = 2_048;

fn shortened(message: &str) -> String {
    if message.chars().count() <= LONGEST_MESSAGE {
        return message.to_owned();
    }
    message.chars().take(LONGEST_MESSAGE - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
