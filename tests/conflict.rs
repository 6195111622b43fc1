//! What stands in the operator's way is named in the status, never seized, never fought over, and forgotten once it is gone.

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::Feature;

use crate::support::{
    Children, Operator, Request, Space, condition, faults, let_time_pass, path, reason, record, uid, wait_for,
    wait_until_good,
};

/// A while in which an operator that is in a loop would do something hundreds of times.
const WHILE: Duration = Duration::from_secs(3);

#[test]
fn a_deployment_of_somebody_else_is_left_alone_and_named() {
    let Some(space) = Space::new("foreign-deployment") else { return };
    let _operator = space.operator();
    let labels = json!({"app": "theirs"});
    let foreign = space.create(
        "deployments",
        &json!({"metadata": {"name": "web-deployment"}, "spec": {"replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "x", "image": "theirs"}]}}}}),
    );
    space.application("web", &json!({"image": "nginx", "port": 80}));

    let seen = space.wait_for_status("web", "to be degraded", |seen| reason(seen, "Degraded").0 == "True");
    let (_, why, message) = condition(&seen, "Degraded");
    assert_eq!(why, "ChildConflict");
    assert_eq!(
        message,
        "Deployment web-deployment is not owned by this Application; delete it, or give the Application another name"
    );
    assert_eq!(reason(&seen, "Ready"), ("False", "ChildConflict"));
    space.wait_for_warning("web", "ChildConflict");
    let after = space.get("deployments", "web-deployment").unwrap();
    assert_eq!((uid(&after), &after["spec"]), (uid(&foreign), &foreign["spec"]));
    assert_eq!(space.writes_of("web-deployment"), 0);

    space.delete("deployments", "web-deployment");
    let gone = Instant::now();
    space.wait_until_converged("web");
    record("converged after a foreign Deployment was deleted in", gone.elapsed());
    assert_eq!(reason(&space.wait_until_ready("web"), "Degraded"), ("False", "AsExpected"));
}

#[test]
fn a_service_that_another_controller_owns_is_left_alone_and_named() {
    let Some(space) = Space::new("foreign-service") else { return };
    let _operator = space.operator();
    let owner = space.create("configmaps", &json!({"metadata": {"name": "theirs"}}));
    let owner =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": uid(&owner), "controller": true});
    let foreign = space.create(
        "services",
        &json!({"metadata": {"name": "web-service", "labels": {"app": "web"}, "ownerReferences": [owner]},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}),
    );
    space.application("web", &json!({"image": "nginx", "port": 80}));

    let seen = space.wait_for_status("web", "to be degraded", |seen| reason(seen, "Degraded").0 == "True");
    let (_, why, message) = condition(&seen, "Degraded");
    assert_eq!(why, "ChildConflict");
    assert!(message.starts_with("Service web-service is controlled by ConfigMap theirs; delete it"), "{message}");
    space.wait_for_warning("web", "ChildConflict");
    assert_eq!(space.get("services", "web-service"), Some(foreign), "not even its resourceVersion has changed");
    assert_eq!(space.writes_of("web-service"), 0);

    space.delete("services", "web-service");
    let gone = Instant::now();
    space.wait_until_converged("web");
    record("converged after a foreign Service was deleted in", gone.elapsed());
    space.wait_until_ready("web");
}

#[test]
fn children_that_were_orphaned_are_not_seized_by_the_next_application_of_the_name() {
    let Some(space) = Space::new("orphans").and_then(Space::with_kubectl) else { return };
    let _operator = space.operator();
    space.application("web", &json!({"image": "nginx", "port": 80}));
    space.wait_until_ready("web");
    let before = space.writes().len();
    space.kubectl(&["delete", "application", "web", "--cascade=orphan"]);
    let orphans = space.children("web");
    assert_eq!(orphans.deployment.as_ref().unwrap()["metadata"].get("ownerReferences"), None);
    space.application("web", &json!({"image": "httpd", "port": 80}));

    let seen = space.wait_for_status("web", "to be degraded", |seen| reason(seen, "Degraded").0 == "True");
    assert_eq!(reason(&seen, "Ready"), ("False", "ChildConflict"));
    let after = space.children("web");
    assert_eq!(after.service, orphans.service);
    let spec = |children: &Children| children.deployment.as_ref().unwrap()["spec"].clone();
    assert_eq!((spec(&after), writes_since(&space, before)), (spec(&orphans), vec![]));
    space.kubectl(&["delete", "deployment/web-deployment", "service/web-service"]);
    space.wait_until_ready("web");
}

#[test]
fn an_application_that_is_replaced_at_once_ends_with_children_of_its_own() {
    let Some(space) = Space::new("replaced") else { return };
    let _operator = space.operator();
    for port in 80..90 {
        space.application("web", &json!({"image": "nginx", "replicas": 0, "port": port}));
        // Each life is interrupted at another moment.
        let_time_pass(Duration::from_millis(20 * (port - 80)));
        space.delete("applications", "web");
    }
    space.application("web", &json!({"image": "nginx", "replicas": 1, "port": 80}));
    space.wait_until_ready("web");
}

#[test]
fn a_child_that_is_slow_to_go_is_waited_for_in_silence() {
    let Some(space) = Space::new("leaving").and_then(Space::with_kubectl) else { return };
    let _operator = space.operator();
    let application = space.application("web", &json!({"image": "nginx", "port": 80}));
    space.wait_until_ready("web");
    let held = space.edit("deployments", "web-deployment", &json!({"metadata": {"finalizers": ["example.com/hold"]}}));
    space.kubectl(&["delete", "deployment", "web-deployment", "--cascade=foreground", "--wait=false"]);
    space.wait_for_status("web", "not to be ready", |seen| reason(seen, "Ready").0 == "False");
    wait_for("the pods to be gone", || space.list("pods").is_empty().then_some(()));

    let before = space.writes().len();
    let_time_pass(WHILE);
    let meanwhile = space.writes().split_off(before);
    assert!(meanwhile.len() <= 2, "{meanwhile:#?}");
    assert_eq!(uid(&space.get("deployments", "web-deployment").unwrap()), uid(&held));

    space.edit("deployments", "web-deployment", &json!({"metadata": {"finalizers": null}}));
    let free = Instant::now();
    wait_until_good("a new Deployment", || faults(&application, &space.children("web")));
    record("a new Deployment after the former one is gone in", free.elapsed());
    space.wait_until_ready("web");
}

#[test]
fn nothing_is_made_in_a_namespace_that_is_going() {
    let Some(space) = Space::new("going") else { return };
    let operator = space.operator();
    for index in 0..10 {
        space.application(&format!("app-{index}"), &json!({"image": "nginx", "replicas": 1, "port": 80}));
    }
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/hold"]}, "spec": {"image": "nginx", "port": 80}});
    space.create(
        "applications",
        &json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application",
        "metadata": held["metadata"], "spec": held["spec"]}),
    );
    for index in 0..10 {
        space.wait_until_converged(&format!("app-{index}"));
    }
    space.wait_until_ready("held");
    let_time_pass(WHILE);
    let (before, lines) = (space.writes().len(), operator.log().lines().count());

    assert_eq!(space.world.api.ask("DELETE", "/api/v1/namespaces/going", &Value::Null).0, 200);
    wait_for("all but what is held to be gone", || {
        let left = ["applications", "deployments", "services", "pods"].map(|kind| space.list(kind).len());
        (left == [1, 0, 0, 0]).then_some(())
    });
    let_time_pass(WHILE);
    let writes = space.writes().split_off(before);
    let made: Vec<_> = writes.iter().filter(|write| write.code == 201).collect();
    assert!(made.is_empty(), "{made:#?}");
    let log = operator.log();
    let said: Vec<_> = log.lines().skip(lines).collect();
    record("writes and lines of log over the end of a namespace with 11 Applications", (writes.len(), said.len()));
    // A child may go before its Application does: then there is an attempt to bring it back, which the server refuses. And
    // the status tells of each phase while the pods go, of which more or fewer are seen. A loop would write hundreds.
    assert!(writes.len() <= 11 * 8, "{writes:#?}");
    assert!(said.len() <= 11 * 8, "{said:#?}");
    assert!(!log.contains("ERROR"), "{log}");

    space.edit("applications", "held", &json!({"metadata": {"finalizers": null}}));
    wait_for("the namespace to be gone", || space.world.api.get("/api/v1/namespaces/going").is_none().then_some(()));
}

#[test]
fn an_exceeded_quota_is_named_and_over_once_less_is_wished() {
    if !testbed::has(Feature::Quotas) {
        return;
    }
    let Some(space) = Space::new("quota") else { return };
    let _operator = space.operator();
    space.create("resourcequotas", &json!({"metadata": {"name": "small"}, "spec": {"hard": {"pods": "1"}}}));
    wait_for("the quota to count", || {
        space.get("resourcequotas", "small").filter(|quota| quota["status"]["used"]["pods"] == "0").map(drop)
    });
    space.application("web", &json!({"image": "nginx", "replicas": 2, "port": 80}));
    let seen = space.wait_for_status("web", "to be degraded", |seen| reason(seen, "Degraded").0 == "True");
    let (_, why, message) = condition(&seen, "Degraded");
    assert_eq!(why, "QuotaExceeded");
    assert!(message.contains("exceeded quota: small"), "{message}");
    assert_eq!(reason(&seen, "Ready"), ("False", "QuotaExceeded"));
    space.wait_for_warning("web", "QuotaExceeded");

    space.edit("applications", "web", &json!({"spec": {"replicas": 1}}));
    assert_eq!(reason(&space.wait_until_ready("web"), "Degraded"), ("False", "AsExpected"));
}

#[test]
fn a_missing_permission_is_named_and_used_once_it_is_granted() {
    if !testbed::has(Feature::Authorisation) {
        return;
    }
    let Some(space) = Space::new("forbidden") else { return };
    // The operator's own role, but for the right to change Deployments.
    let role = space.kubectl(&["get", "clusterrole", "application-operator", "-o", "json"]);
    let mut role: Value = serde_json::from_str(&role).unwrap();
    let whole = role["rules"].clone();
    role["metadata"] = json!({"name": "crippled"});
    for rule in role["rules"].as_array_mut().unwrap() {
        if rule["resources"] == json!(["deployments"]) {
            rule["verbs"].as_array_mut().unwrap().retain(|verb| verb != "patch");
        }
    }
    space.world.cluster.apply(&role.to_string());
    let bind = ["create", "clusterrolebinding", "crippled", "--clusterrole=crippled", "--user=limited"];
    space.kubectl(&bind);
    let kubeconfig = space.world.cluster.kubeconfig_for("limited");
    let operator = space.world.operator_as(&kubeconfig, &["--namespace", &space.name]);
    operator.wait_until_ready();
    space.application("web", &json!({"image": "nginx", "port": 80}));

    let seen = space.wait_for_status("web", "to be degraded", |seen| reason(seen, "Degraded").0 == "True");
    let (_, why, message) = condition(&seen, "Degraded");
    assert_eq!(why, "ApplyRejected");
    assert!(message.starts_with("Deployment web-deployment was refused: "), "{message}");
    let expected =
        r#"User "limited" cannot patch resource "deployments" in API group "apps" in the namespace "forbidden""#;
    assert!(message.contains(expected), "{message}");
    space.wait_for_warning("web", "ApplyRejected");
    wait_for("the other child", || space.get("services", "web-service"));
    assert_patient(&space, &operator);

    role["rules"] = whole;
    space.world.cluster.apply(&role.to_string());
    let granted = Instant::now();
    space.wait_until_ready("web");
    record("ready after the permission was granted in", granted.elapsed());
}

#[test]
fn a_policy_that_denies_a_child_is_quoted() {
    if !testbed::has(Feature::Policies) {
        return;
    }
    let Some(space) = Space::new("denied") else { return };
    let _operator = space.operator();
    let policy = "
        {apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: no-latest},
          spec: {matchConstraints: {resourceRules: [
            {apiGroups: [apps], apiVersions: [v1], resources: [deployments], operations: [CREATE, UPDATE]}]},
          validations: [{expression: \"!object.spec.template.spec.containers.exists(c, c.image.endsWith(':latest'))\",
            message: images need a version}]}}";
    let binding = "
        {apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: no-latest},
          spec: {policyName: no-latest, validationActions: [Deny],
            matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: denied}}}}}";
    space.world.cluster.apply(policy);
    space.world.cluster.apply(binding);
    let dry = json!({"metadata": {"name": "probe"}, "spec": {"selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "x", "image": "x:latest"}]}}}});
    wait_for("the policy to be in force", || {
        let path = format!("{}?dryRun=All", path("deployments", &space.name));
        (space.world.api.ask("POST", &path, &dry).0 == 422).then_some(())
    });

    space.application("web", &json!({"image": "nginx:latest", "port": 80}));
    let seen = space.wait_for_status("web", "to be degraded", |seen| reason(seen, "Degraded").0 == "True");
    let (_, why, message) = condition(&seen, "Degraded");
    assert_eq!(why, "ApplyRejected");
    assert!(message.contains("denied request: images need a version"), "{message}");

    // A new wish is tried at once, whatever the backoff has come to.
    let_time_pass(WHILE);
    space.edit("applications", "web", &json!({"spec": {"image": "nginx:1.29"}}));
    let edited = Instant::now();
    space.wait_until_converged("web");
    record("converged after a denied wish was mended in", edited.elapsed());
    space.wait_until_ready("web");
}

#[test]
fn a_policy_that_changes_what_is_written_is_named_and_not_fought() {
    if !testbed::has(Feature::Policies) {
        return;
    }
    let Some(space) = Space::new("changed") else { return };
    let operator = space.operator();
    let policy = "
        {apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicy, metadata: {name: one-pod},
          spec: {failurePolicy: Fail, reinvocationPolicy: Never,
          matchConstraints: {resourceRules: [
            {apiGroups: [apps], apiVersions: [v1], resources: [deployments], operations: [CREATE, UPDATE]}]},
          mutations: [{patchType: ApplyConfiguration,
            applyConfiguration: {expression: 'Object{spec: Object.spec{replicas: 1}}'}}]}}";
    let binding = "
        {apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicyBinding, metadata: {name: one-pod},
          spec: {policyName: one-pod, matchResources: {
            namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: changed}}}}}";
    space.world.cluster.apply(policy);
    space.world.cluster.apply(binding);
    let labels = json!({"a": "b"});
    let dry = json!({"metadata": {"name": "probe"}, "spec": {"replicas": 3, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "x", "image": "x"}]}}}});
    wait_for("the policy to be in force", || {
        let path = format!("{}?dryRun=All", path("deployments", &space.name));
        (space.world.api.ask("POST", &path, &dry).1["spec"]["replicas"] == 1).then_some(())
    });

    space.application("web", &json!({"image": "nginx", "replicas": 2, "port": 80}));
    let seen = space.wait_for_status("web", "to be degraded", |seen| reason(seen, "Degraded").0 == "True");
    let (_, why, message) = condition(&seen, "Degraded");
    assert_eq!(why, "Contested");
    assert!(
        message.starts_with("Deployment web-deployment was written, but spec.replicas is not as wished"),
        "{message}"
    );
    space.wait_for_warning("web", "Contested");
    assert_patient(&space, &operator);

    space.edit("applications", "web", &json!({"spec": {"replicas": 1}}));
    space.wait_until_ready("web");
}

/// What the operator has tried to write to children since it had sent so many writes.
fn writes_since(space: &Space<'_>, before: usize) -> Vec<Request> {
    let mut writes = space.writes().split_off(before);
    writes.retain(|write| write.resource != "applications");
    writes
}

/// Checks that what fails is tried again ever more rarely.
#[track_caller]
fn assert_patient(space: &Space<'_>, operator: &Operator) {
    let_time_pass(WHILE);
    let lines = || operator.log().lines().filter(|line| line.contains(&space.name)).count();
    let before = lines();
    let_time_pass(WHILE);
    assert!(lines() - before <= 3, "{}", operator.log());
}
