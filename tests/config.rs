//! Pods that follow their configuration: replaced when it changes, together, not too soon, and across the operator's ends.

mod support;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::{Operator, Space, World, condition, let_time_pass, reason, record, wait_for};

/// The digest of the configuration that the pods of `web` are to run with.
fn digest(space: &Space<'_>) -> Option<String> {
    let deployment = space.get("deployments", "web-deployment")?;
    let annotation = &deployment["spec"]["template"]["metadata"]["annotations"]["minetto.dev/config-digest"];
    annotation.as_str().map(str::to_owned)
}

#[track_caller]
fn wait_for_another(space: &Space<'_>, than: &str) -> String {
    wait_for("the pods to be replaced", || digest(space).filter(|now| now != than))
}

fn config_map(space: &Space<'_>, name: &str, data: &Value) {
    space.create("configmaps", &json!({"metadata": {"name": name}, "data": data}));
}

/// A namespace with an operator of its own.
fn operated(name: &str) -> Option<(Space<'static>, Operator)> {
    let space = Space::new(name)?;
    let operator = space.world.operator(&["--namespace", name]);
    Some((space, operator))
}

/// An Application that takes what is in the `ConfigMap` `settings`, and one key of `shared`.
fn follower(rollout: &Value) -> Value {
    let env =
        json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "shared", "key": "a", "optional": true}}}]);
    json!({"image": "nginx", "port": 80, "env": env, "envFrom": [{"configMapRef": {"name": "settings"}}],
        "configRollout": rollout})
}

fn reads_of_contents(space: &Space<'_>) -> usize {
    let requests = space.world.requests_of_operator().into_iter();
    let read = |request: &support::Request| request.verb == "get" && request.resource == "configmaps";
    requests.filter(|request| read(request) && request.namespace == space.name).count()
}

#[test]
fn a_change_replaces_the_pods_and_what_is_no_change_does_not() {
    let Some((space, operator)) = operated("follow").filter(|_| testbed::has_kubectl()) else { return };
    config_map(&space, "settings", &json!({"level": "info"}));
    config_map(&space, "shared", &json!({"a": "1", "b": "1"}));
    space.application("web", &follower(&json!({"minInterval": "1s"})));
    space.wait_until_ready("web");
    let first = digest(&space).expect("a digest from the first pods on");
    assert_eq!(reads_of_contents(&space), 2, "each is read once");
    let pods = || space.list("replicasets").len();
    assert_eq!(pods(), 1);

    // A label, a key that nobody takes, and a ConfigMap of others.
    space.edit("configmaps", "settings", &json!({"metadata": {"labels": {"a": "b"}}}));
    space.edit("configmaps", "shared", &json!({"data": {"b": "2"}}));
    config_map(&space, "other", &json!({"a": "1"}));
    wait_for("both to be looked at", || (reads_of_contents(&space) == 4).then_some(()));
    assert_eq!(digest(&space).as_deref(), Some(&*first));

    space.edit("configmaps", "settings", &json!({"data": {"level": "debug"}}));
    let second = wait_for_another(&space, &first);
    space.wait_until_ready("web");
    assert_eq!(pods(), 2);
    space.edit("configmaps", "shared", &json!({"data": {"a": "2"}}));
    let third = wait_for_another(&space, &second);
    // What was there before is there again, as it was.
    space.edit("configmaps", "shared", &json!({"data": {"a": "1"}}));
    assert_eq!(wait_for_another(&space, &third), second);
    space.wait_until_ready("web");
    assert_eq!(pods(), 3, "the former ReplicaSet serves again");

    // The last rollout is told of as it goes.
    space.kubectl(&["rollout", "status", "deployment/web-deployment"]);
    wait_for("nothing more to be told", || {
        let so_far = space.writes().len();
        let_time_pass(Duration::from_secs(1));
        (space.writes().len() == so_far).then_some(())
    });

    // Of another start nobody notices anything, and nothing is read again.
    let (before, reads) = (space.writes().len(), reads_of_contents(&space));
    drop(operator);
    let _another = space.operator();
    let_time_pass(Duration::from_secs(2));
    assert_eq!((space.writes().len(), reads_of_contents(&space)), (before, reads));
    space.edit("configmaps", "settings", &json!({"data": {"level": "info"}}));
    wait_for_another(&space, &second);
}

#[test]
fn changes_within_the_interval_are_rolled_out_together_even_by_another_operator() {
    let Some((space, mut operator)) = operated("batched") else { return };
    config_map(&space, "settings", &json!({"n": "0"}));
    space.application("web", &follower(&json!({"minInterval": "10s"})));
    space.wait_until_ready("web");
    let first = digest(&space).expect("a digest");
    let rolled = || -> Timestamp {
        let deployment = space.get("deployments", "web-deployment").expect("a Deployment");
        let at = &deployment["metadata"]["annotations"]["minetto.dev/config-rolled-at"];
        at.as_str().expect("a time").parse().expect("a time")
    };
    let began = rolled();
    for n in 1..=3 {
        space.edit("configmaps", "settings", &json!({"data": {"n": n.to_string()}}));
    }
    let_time_pass(Duration::from_secs(1));
    assert_eq!(digest(&space).as_deref(), Some(&*first), "not yet");
    // It ends while a rollout is due, and what changes meanwhile is not lost either.
    operator.kill();
    space.edit("configmaps", "settings", &json!({"data": {"n": "4"}}));
    operator.start_again();
    wait_for_another(&space, &first);
    let apart = rolled().duration_since(began);
    record("seconds between two rollouts of 10 s", apart.as_secs());
    assert!(apart.as_secs() >= 10, "{apart}");
    space.wait_until_ready("web");
    assert_eq!(space.list("replicasets").len(), 2, "one rollout for four changes");
}

#[test]
fn pods_that_are_replaced_anyway_take_a_change_along_and_those_of_a_former_revision_are_left_alone() {
    let Some((space, _operator)) = operated("along") else { return };
    config_map(&space, "settings", &json!({"level": "info"}));
    config_map(&space, "others", &json!({"a": "1"}));
    space.application("web", &follower(&json!({"minInterval": "10m"})));
    space.wait_until_ready("web");
    let first = digest(&space).expect("a digest");
    let patch = |spec: &Value| space.edit("applications", "web", &json!({"spec": spec}));
    space.edit("configmaps", "settings", &json!({"data": {"level": "debug"}}));
    let_time_pass(Duration::from_secs(1));
    assert_eq!(digest(&space).as_deref(), Some(&*first), "not yet");
    patch(&json!({"image": "nginx:2"}));
    let second = wait_for_another(&space, &first);
    space.wait_until_ready("web");
    assert_eq!(space.list("replicasets").len(), 2, "one rollout for both");

    // Back at revision 1, whatever the spec refers to.
    let elsewhere = json!([{"configMapRef": {"name": "others"}}]);
    let rollout = json!({"minInterval": "1s"});
    patch(&json!({"rollback": {"toRevision": 1}, "envFrom": elsewhere, "configRollout": rollout}));
    space.wait_for_status("web", "to run revision 1", |seen| reason(seen, "RolledBack").1 == "RevisionRequested");
    space.edit("configmaps", "others", &json!({"data": {"a": "2"}}));
    let_time_pass(Duration::from_secs(2));
    assert_eq!(digest(&space).as_deref(), Some(&*second));
    patch(&json!({"rollback": null}));
    wait_for_another(&space, &second);
    space.wait_until_ready("web");
    assert_eq!(space.list("replicasets").len(), 4, "one for each change of the spec");
}

#[test]
fn a_key_that_goes_takes_no_pods_along_and_is_named() {
    let Some((space, _operator)) = operated("keyless") else { return };
    config_map(&space, "settings", &json!({"level": "info", "other": "1"}));
    let env = json!([{"name": "L", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}}]);
    space
        .application("web", &json!({"image": "nginx", "port": 80, "env": env, "configRollout": {"minInterval": "1s"}}));
    space.wait_until_ready("web");
    let first = digest(&space).expect("a digest");
    space.edit("configmaps", "settings", &json!({"data": {"level": null}}));
    let told = "1 of 1 pods are ready; ConfigMap settings has no key level, without which no pod can start";
    space.wait_for_status("web", told, |seen| condition(seen, "Ready").2 == told);
    let_time_pass(Duration::from_secs(2));
    assert_eq!(digest(&space).as_deref(), Some(&*first));
    space.edit("configmaps", "settings", &json!({"data": {"level": "debug"}}));
    wait_for_another(&space, &first);
    space.wait_for_status("web", "to be well", |seen| condition(seen, "Ready").2 == "1 of 1 pods are ready");
}

#[test]
fn what_is_missing_is_told_and_rolled_out_when_it_comes_and_kept_when_it_goes() {
    let Some((space, _operator)) = operated("missing") else { return };
    space.application("web", &follower(&json!({"minInterval": "1s"})));
    let message = |seen: &Value| condition(seen, "Ready").2.to_owned();
    let says = "ConfigMap settings, without which no pod can start, does not exist";
    // The nodes are played, and start every pod.
    space.wait_for_status("web", "to be told", |seen| message(seen) == format!("1 of 1 pods are ready; {says}"));
    let first = digest(&space).expect("a digest of what there is");
    config_map(&space, "settings", &json!({"a": "1"}));
    let second = wait_for_another(&space, &first);
    space.wait_for_status("web", "to be ready", |seen| message(seen) == "1 of 1 pods are ready");
    // One that pods can do without comes and goes.
    config_map(&space, "shared", &json!({"a": "1"}));
    let third = wait_for_another(&space, &second);
    space.delete("configmaps", "shared");
    assert_eq!(wait_for_another(&space, &third), second);
    // One that they can't do without must not take the pods along that still have it.
    space.delete("configmaps", "settings");
    space.wait_for_status("web", "to be told", |seen| message(seen).ends_with(says));
    let_time_pass(Duration::from_secs(2));
    assert_eq!(digest(&space).as_deref(), Some(&*second));
    let seen = space.get("applications", "web").expect("the Application");
    assert_eq!(reason(&seen, "Ready").0, "True", "its pods serve");
}

#[test]
fn who_does_not_ask_for_it_costs_nothing_and_turning_it_off_leaves_nothing() {
    let Some(world) = World::shared() else { return };
    let space = world.space("unasked");
    let operator = world.operator(&["--namespace", "unasked"]);
    config_map(&space, "settings", &json!({"a": "1"}));
    space.application("web", &follower(&json!({"mode": "None"})));
    space.wait_until_ready("web");
    assert_eq!(digest(&space), None);
    let watched = || {
        let metrics = operator.metrics();
        let line = metrics.lines().find(|line| line.starts_with("engine_cache_synced{resource=\"configmaps\""));
        line.expect("a cache of ConfigMaps").ends_with(" 1")
    };
    assert!(!watched(), "not even a watch");
    space.edit("applications", "web", &json!({"spec": {"configRollout": {"mode": "Rolling"}}}));
    wait_for("a digest", || digest(&space));
    assert!(watched());
    space.edit("applications", "web", &json!({"spec": {"configRollout": null}}));
    wait_for("no digest", || digest(&space).is_none().then_some(()));
    let deployment = space.get("deployments", "web-deployment").expect("a Deployment");
    assert!(!deployment.to_string().contains("minetto.dev/config-"), "{deployment}");
}

#[test]
fn secrets_are_followed_where_the_operator_is_told_to_and_never_said() {
    let Some(world) = World::shared() else { return };
    if !testbed::has_kubectl() {
        return;
    }
    // As somebody who may read Secrets, where that is asked.
    if !testbed::is_simulated() {
        let role = ["create", "clusterrole", "secret-reader", "--verb=get,list,watch", "--resource=secrets"];
        world.cluster.kubectl_ok(&role);
        let account = "--serviceaccount=application-operator-system:application-operator";
        let binding = ["create", "clusterrolebinding", "secrets", "--clusterrole=secret-reader", account];
        world.cluster.kubectl_ok(&binding);
    }
    let space = world.space("secret");
    let operator = world.operator(&["--namespace", "secret", "--watch-secrets", "--log-level=trace"]);
    let set = |value: &str| json!({"metadata": {"name": "database"}, "stringData": {"password": value}});
    space.create("secrets", &set("recognisable-1"));
    let env = json!([{"name": "P", "valueFrom": {"secretKeyRef": {"name": "database", "key": "password"}}}]);
    let spec = json!({"image": "nginx", "port": 80, "env": env, "configRollout": {"minInterval": "1s"}});
    space.application("web", &spec);
    space.wait_until_ready("web");
    let first = digest(&space).expect("a digest");
    space.edit("secrets", "database", &set("recognisable-2"));
    wait_for_another(&space, &first);
    let everything = format!(
        "{}{}{}{}",
        operator.log(),
        space.get("deployments", "web-deployment").expect("a Deployment"),
        space.get("applications", "web").expect("the Application"),
        space.kubectl(&["events", "--for", "application/web"]),
    );
    // In the clear, and as the API server writes it.
    for secret in ["recognisable", "cmVjb2duaXNhYmxl"] {
        assert!(!everything.contains(secret), "{secret} is said");
    }
    assert!(everything.contains("replacing the pods"));
}
