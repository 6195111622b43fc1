//! Verdicts without a cluster: each state of a Deployment, and what its user reads.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::application::config::{Reference, Source};
use crate::observe::Live;

fn time(seconds: i64) -> Time {
    Time(jiff::Timestamp::from_second(seconds).unwrap())
}

fn application(replicas: i32) -> Application {
    let application = json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "generation": 3},
        "spec": {"image": "i", "replicas": replicas, "port": 80},
    });
    serde_json::from_value(application).unwrap()
}

fn observed(status: &Value) -> Observed {
    let deployment = json!({"metadata": {"generation": 2}, "spec": {}, "status": status}).to_string();
    let deployment: Live = serde_json::from_str(&deployment).unwrap();
    let service: Live = serde_json::from_str(r#"{"metadata": {}, "spec": {}}"#).unwrap();
    let own = |child| Found::Own(Arc::new(child));
    let children = [(Kind::Deployment, own(deployment)), (Kind::Service, own(service))];
    Observed { children: children.into(), ..Observed::default() }
}

/// The status of an Application to whom nothing is allowed.
fn status(application: &Application, observed: &Observed, attempt: &Attempt, now: &Time) -> ApplicationStatus {
    super::status(application, observed, &Allowed::default(), attempt, now)
}

/// A Deployment's status with these numbers of pods.
fn pods(exist: i32, updated: i32, available: i32) -> Value {
    json!({"observedGeneration": 2, "replicas": exist, "updatedReplicas": updated, "readyReplicas": available,
        "availableReplicas": available})
}

/// The values of Ready, Progressing and Degraded, and why. Reconciling and Stalled are the last two under other names.
fn shown(status: &ApplicationStatus) -> (String, String) {
    let values: Vec<&str> = status.conditions.iter().map(|condition| &*condition.status).collect();
    assert_eq!(values[3..5], values[1..3]);
    (values[..3].join(" "), status.conditions[0].reason.to_string())
}

fn verdict(replicas: i32, deployment: &Value) -> (String, String) {
    shown(&status(&application(replicas), &observed(deployment), &Attempt::Made, &time(100)))
}

fn said(values: &str, reason: Reason) -> (String, String) {
    (values.to_owned(), reason.to_string())
}

const READY: &str = "True False False";
const WAITING: &str = "False True False";
const BROKEN: &str = "False False True";

#[test]
fn all_pods_ready_of_the_latest_spec_is_ready() {
    assert_eq!(verdict(2, &pods(2, 2, 2)), said(READY, Reason::Available));
    assert_eq!(verdict(0, &pods(0, 0, 0)), said(READY, Reason::ScaledToZero));
}

#[test]
fn what_holds_an_application_that_is_being_deleted_is_named() {
    let mut leaving = application(2);
    leaving.metadata.deletion_timestamp = Some("2026-01-01T00:00:00Z".into());
    let message = |application: &Application| {
        let status = status(application, &observed(&pods(2, 2, 2)), &Attempt::Made, &time(100));
        assert_eq!(shown(&status), said(WAITING, Reason::Terminating));
        status.conditions[0].message.clone()
    };
    assert_eq!(message(&leaving), "The Application is being deleted");
    leaving.metadata.finalizers =
        ["foregroundDeletion", "example.com/hang"].map(Box::<str>::from).into_iter().collect();
    let held = "The Application is being deleted, and its finalizers keep it: foregroundDeletion, example.com/hang";
    assert_eq!(message(&leaving), held);
}

#[test]
fn a_rollout_under_way_is_told_from_scaling() {
    assert_eq!(verdict(2, &pods(3, 1, 2)), said(WAITING, Reason::RollingOut));
    assert_eq!(verdict(2, &pods(3, 2, 2)), said(WAITING, Reason::RollingOut));
    assert_eq!(verdict(2, &pods(2, 2, 1)), said(WAITING, Reason::RollingOut));
    assert_eq!(verdict(5, &pods(2, 2, 2)), said(WAITING, Reason::Scaling));
    assert_eq!(verdict(0, &pods(2, 2, 2)), said(WAITING, Reason::Scaling));
}

#[test]
fn counts_of_an_earlier_generation_are_not_believed() {
    let mut earlier = pods(2, 2, 2);
    earlier["observedGeneration"] = json!(1);
    assert_eq!(verdict(2, &earlier), said(WAITING, Reason::Pending));
}

#[test]
fn pods_that_were_ready_and_no_longer_are_degrade_it_until_they_are_again() {
    let mut deployment = pods(2, 2, 1);
    deployment["conditions"] = json!([{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]);
    let mut application = application(2);
    let mut told = |deployment: &Value| {
        application.status = status(&application, &observed(deployment), &Attempt::Made, &time(100));
        shown(&application.status)
    };
    assert_eq!(told(&pods(2, 2, 2)), said(READY, Reason::Available));
    assert_eq!(told(&deployment), said(BROKEN, Reason::PodsNotReady));
    assert_eq!(told(&deployment), said(BROKEN, Reason::PodsNotReady));
    assert_eq!(told(&pods(2, 2, 2)), said(READY, Reason::Available));
}

#[test]
fn pods_that_a_scale_has_added_are_on_their_way_and_not_lost() {
    let mut application = application(2);
    application.status = status(&application, &observed(&pods(2, 2, 2)), &Attempt::Made, &time(100));
    (application.metadata.generation, application.spec.replicas) = (4, 10);
    let mut deployment = pods(10, 10, 2);
    deployment["conditions"] = json!([{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]);
    let scaled = status(&application, &observed(&deployment), &Attempt::Made, &time(200));
    assert_eq!(shown(&scaled), said(WAITING, Reason::Scaling));
}

#[test]
fn a_replica_set_that_is_refused_is_told_although_the_wish_is_never_seen() {
    let refused = json!({"conditions": [{"type": "Progressing", "status": "False", "reason": "ReplicaSetCreateError",
        "message": "exceeded quota: rs"}]});
    assert_eq!(verdict(2, &refused), said(BROKEN, Reason::QuotaExceeded));
}

#[test]
fn a_message_without_end_is_cut() {
    let refused = Attempt::Rejected("é".repeat(100_000));
    let status = status(&application(2), &observed(&pods(2, 2, 2)), &refused, &time(100));
    assert_eq!(status.conditions[0].message.chars().count(), LONGEST_MESSAGE);
}

#[test]
fn what_stands_in_the_way_is_named() {
    let with = |kind: &str, reason: &str, message: &str| {
        let mut deployment = pods(1, 1, 0);
        deployment["conditions"] = json!([{"type": kind, "status": "True", "reason": reason, "message": message}]);
        verdict(2, &deployment)
    };
    let quota = with("ReplicaFailure", "FailedCreate", "pods \"x\" is forbidden: exceeded quota: small");
    assert_eq!(quota, said(BROKEN, Reason::QuotaExceeded));
    assert_eq!(with("ReplicaFailure", "FailedCreate", "denied"), said(BROKEN, Reason::ReplicaFailure));
    assert_eq!(with("Progressing", "ProgressDeadlineExceeded", "late"), said(BROKEN, Reason::RolloutStalled));
}

#[test]
fn a_foreign_object_is_named_with_the_way_out() {
    let mut foreign = observed(&pods(2, 2, 2));
    foreign.children.insert(Kind::Service, Found::Foreign("is not owned by this Application".to_owned()));
    let status = status(&application(2), &foreign, &Attempt::Made, &time(100));
    assert_eq!(shown(&status), said(BROKEN, Reason::ChildConflict));
    let message = &status.conditions[0].message;
    assert!(message.starts_with("Service web-service is not owned by this Application; delete it"), "{message}");
}

#[test]
fn a_refused_write_shows_the_servers_words() {
    let refused = Attempt::Rejected("Deployment web-deployment was refused: 403".to_owned());
    let status = status(&application(2), &observed(&pods(2, 2, 2)), &refused, &time(100));
    assert_eq!(shown(&status), said(BROKEN, Reason::ApplyRejected));
    assert_eq!(status.conditions[2].message, "Deployment web-deployment was refused: 403");
}

#[test]
fn a_status_that_says_the_same_later_is_the_same() {
    let mut application = application(2);
    let first = status(&application, &observed(&pods(2, 2, 2)), &Attempt::Made, &time(100));
    application.status = first.clone();
    let second = status(&application, &observed(&pods(2, 2, 2)), &Attempt::Made, &time(200));
    assert_eq!(first, second);
}

#[test]
fn a_condition_that_turns_has_a_new_time_and_others_keep_theirs() {
    let mut application = application(2);
    application.status = status(&application, &observed(&pods(2, 2, 2)), &Attempt::Made, &time(100));
    let turned = status(&application, &observed(&pods(3, 1, 2)), &Attempt::Made, &time(200));
    let times: Vec<i64> =
        turned.conditions.iter().map(|condition| condition.last_transition_time.0.as_second()).collect();
    assert_eq!(times, [200, 200, 100, 200, 100], "Ready and Progressing turned, Degraded did not");
    assert_eq!(turned.observed_generation, 3);
}

#[test]
fn conditions_of_other_writers_are_carried_along() {
    let mut application = application(2);
    let foreign = Condition {
        type_: "example.com/Audited".into(),
        status: "True".into(),
        reason: "Audited".into(),
        message: "".into(),
        observed_generation: None,
        last_transition_time: time(1),
    };
    application.status.conditions = [foreign.clone()].into();
    application.spec.migrations = Some(Vec::new());
    application.spec.rollback = Some(crate::application::rollout::Rollback::default());
    let status = status(&application, &observed(&pods(2, 2, 2)), &Attempt::Made, &time(100));
    assert_eq!(status.conditions.len(), ConditionType::ALL.len() + 1);
    assert_eq!(status.conditions.last(), Some(&foreign));
}

#[test]
fn what_is_not_allowed_is_refused_with_the_flag_that_would_allow_it() {
    let mut application = application(2);
    application.spec.service_account_name = Some("admin".to_owned());
    let told = status(&application, &observed(&pods(2, 2, 2)), &Attempt::Made, &time(100));
    assert_eq!(shown(&told), said(BROKEN, Reason::NotAllowed));
    assert!(told.conditions[0].message.ends_with("--allow-service-accounts"), "{}", told.conditions[0].message);
    let allowed = Allowed { service_accounts: true, ..Allowed::default() };
    let told = super::status(&application, &observed(&pods(2, 2, 2)), &allowed, &Attempt::Made, &time(100));
    assert_eq!(shown(&told), said(READY, Reason::Available));
}

#[test]
fn a_child_that_is_not_wished_for_is_not_waited_for() {
    let mut worker = application(2);
    worker.spec.port = None;
    let mut observed = observed(&pods(2, 2, 2));
    for service in [Found::Absent, Found::Foreign("is hers".to_owned())] {
        observed.children.insert(Kind::Service, service);
        let told = status(&worker, &observed, &Attempt::Made, &time(100));
        assert_eq!(shown(&told), said(READY, Reason::Available));
    }
}

#[test]
fn a_failing_pod_is_told_at_once_with_its_container_and_exit_code() {
    let failure = Failure {
        pod: "web-1".to_owned(),
        container: "web-container".to_owned(),
        reason: "CrashLoopBackOff".to_owned(),
        exit_code: Some(1),
        message: "no database".to_owned(),
    };
    let failing = Observed { failure: Some(failure.clone()), ..observed(&pods(2, 2, 1)) };
    let told = status(&application(2), &failing, &Attempt::Made, &time(100));
    assert_eq!(shown(&told), said(BROKEN, Reason::PodFailing));
    let sentence = "Pod web-1, container web-container: CrashLoopBackOff (exit code 1): no database";
    assert_eq!((&*told.conditions[0].message, told.failure.as_deref()), (sentence, Some(&failure)));
    let healed = status(&application(2), &observed(&pods(2, 2, 2)), &Attempt::Made, &time(100));
    assert_eq!((shown(&healed), healed.failure), (said(READY, Reason::Available), None));
}

fn followed(configuration: Configuration) -> Observed {
    Observed { configuration: Some(Configuration { is_listed: true, ..configuration }), ..observed(&pods(2, 2, 2)) }
}

#[test]
fn a_key_that_pods_can_not_start_without_is_named() {
    let reference =
        Reference { source: Source::ConfigMap, name: "settings".into(), key: Some("level".into()), is_optional: false };
    let lacking = followed(Configuration { lacking: Some(reference), ..Configuration::default() });
    let told = status(&application(2), &lacking, &Attempt::Made, &time(100));
    let sentence = "ConfigMap settings has no key level, without which no pod can start";
    assert_eq!(shown(&told), said(READY, Reason::Available));
    assert_eq!(told.conditions[0].message, format!("2 of 2 pods are ready; {sentence}"));
    let starting = Observed { configuration: lacking.configuration, ..observed(&pods(2, 1, 1)) };
    let told = status(&application(2), &starting, &Attempt::Made, &time(100));
    assert_eq!((shown(&told), &*told.conditions[0].message), (said(BROKEN, Reason::ConfigMissing), sentence));
}

#[test]
fn configuration_that_can_not_be_listed_is_told_once_that_takes_long() {
    let message = |is_late| {
        let configuration = Configuration { is_late, ..Configuration::default() };
        let told = status(&application(2), &followed(configuration), &Attempt::Made, &time(100));
        assert_eq!(shown(&told), said(READY, Reason::Available));
        told.conditions[0].message.clone()
    };
    assert_eq!(message(false), "2 of 2 pods are ready");
    assert!(message(true).contains("; the configuration is not followed: "), "{}", message(true));
}

#[test]
fn pods_of_a_revision_without_a_port_need_no_service() {
    let mut application = application(2);
    application.spec.rollback = Some(crate::application::rollout::Rollback { to_revision: Some(1), on_failure: None });
    let template = json!({"spec": {"containers": [{"name": "web-container", "image": "i"}]}});
    let revision =
        json!({"metadata": {"name": "web-1", "uid": "r-1"}, "revision": 1, "data": {"spec": {"template": template}}});
    let mut observed = observed(&pods(2, 2, 2));
    observed.children.remove(&Kind::Service);
    observed.revisions.push(Arc::new(serde_json::from_str(&revision.to_string()).unwrap()));
    let told = status(&application, &observed, &Attempt::Made, &time(100));
    assert_eq!(shown(&told), said(READY, Reason::Available));
    assert_eq!(told.resources.len(), 1, "{:?}", told.resources);
}
