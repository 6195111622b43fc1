//! Who ran the Go operator until now goes on with this one: its children are adopted as they stand, and its finalizer goes.

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::Options;

use crate::support::{
    FORMER_FINALIZER, Space, World, faults, let_time_pass, reason, record, wait_for, wait_until_good,
};

/// The name under which the Go operator wrote: that of its binary.
const FORMER: &str = "manager";

/// What the Go operator's CRD asked for: types, and nothing else.
const FORMER_CRD: &str = "
    {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: applications.minetto.dev},
      spec: {group: minetto.dev, scope: Namespaced,
        names: {kind: Application, listKind: ApplicationList, plural: applications, singular: application},
        versions: [{name: v1alpha1, served: true, storage: true, subresources: {status: {}},
          schema: {openAPIV3Schema: {type: object, properties: {
            apiVersion: {type: string}, kind: {type: string}, metadata: {type: object}, status: {type: object},
            spec: {type: object, properties: {
              image: {type: string}, port: {type: integer, format: int32}, replicas: {type: integer, format: int32}}}}}}}]}}";

#[test]
fn children_of_the_go_operator_are_adopted_as_they_stand_and_without_a_gap() {
    let Some(space) = Space::new("adopted").and_then(Space::with_kubectl) else { return };
    // It made children only for Applications that were named as their namespace.
    let app = "adopted";
    let application = former(&space, app, 80);
    let served = || space.children(app).deployment.unwrap()["status"]["availableReplicas"].as_u64().unwrap_or_default();
    wait_for("the former children to be ready", || (served() == 2).then_some(()));
    let before = space.children(app);
    assert_eq!(faults(&application, &before).len(), 2, "all that is amiss is that no owner is a controller");

    let _operator = space.operator();
    let started = Instant::now();
    let mut fewest = 2;
    wait_until_good("the children to be adopted", || {
        fewest = fewest.min(served());
        faults(&application, &space.children(app))
    });
    record("adopted after the operator was ready in", started.elapsed());
    let ready = loop {
        fewest = fewest.min(served());
        let seen = space.get("applications", app).unwrap();
        if reason(&seen, "Ready").0 == "True" {
            break seen;
        }
        assert!(started.elapsed() < support::PATIENCE, "{seen}");
    };
    assert_eq!(fewest, 2, "no request found fewer pods than before");
    assert_eq!(ready["metadata"].get("finalizers"), None);

    let after = space.children(app);
    assert_same(&before.deployment.unwrap(), &after.deployment.unwrap(), &["/metadata/uid", "/spec/selector"]);
    let kept = ["/metadata/uid", "/spec/clusterIP", "/spec/ports"];
    assert_same(&before.service.unwrap(), &after.service.unwrap(), &kept);
    assert!(space.writes().iter().all(|write| write.verb == "patch"), "{:#?}", space.writes());
    wait_until_good("the event that says so", || {
        let events = space.kubectl(&["events", "--for", "application/adopted"]);
        if events.contains("Adopted Service adopted-service from the former operator") { vec![] } else { vec![events] }
    });

    // The Go operator's ports, which nobody else would ever take away, go with a new wish.
    for port in [8080, 9999, 80] {
        space.edit("applications", app, &json!({"spec": {"port": port, "image": format!("nginx:{port}")}}));
        space.wait_until_ready(app);
    }

    // Nor does anything else stay that it wrote, or that the server filled in for it.
    space.edit("applications", app, &json!({"spec": {"strategy": {"type": "Recreate"}}}));
    space.wait_until_ready(app);
    let strategy = &space.children(app).deployment.unwrap()["spec"]["strategy"];
    assert_eq!(*strategy, json!({"type": "Recreate"}));
}

#[test]
fn whatever_became_of_the_former_children_they_are_adopted_and_follow() {
    type Became = (&'static str, fn(&Space<'_>, &str));
    let became: [Became; 8] = [
        ("untouched", |_, _| {}),
        // What the Go operator itself did with a change of the port: the Service never heard of it.
        ("half-changed", |space, app| {
            space.edit("applications", app, &json!({"spec": {"port": 8080}}));
            let containers = json!([container(app, &json!([{"containerPort": 8080}]))]);
            let change = json!({"spec": {"template": {"spec": {"containers": containers}}}});
            let update = space.world.api.ask(
                "PATCH",
                &format!("{}/{app}-deployment?fieldManager={FORMER}", support::path("deployments", &space.name)),
                &change,
            );
            assert_eq!(update.0, 200, "{}", update.1);
        }),
        ("port-edited", |space, app| {
            let port = json!({"name": "http", "port": 9999, "targetPort": 80});
            space.edit("services", &format!("{app}-service"), &json!({"spec": {"ports": [port]}}));
        }),
        ("port-added", |space, app| {
            let ports = json!([{"name": "http", "port": 80}, {"name": "extra", "port": 8080}]);
            space.edit("services", &format!("{app}-service"), &json!({"spec": {"ports": ports}}));
        }),
        ("pod-port-added", |space, app| {
            let ports = json!([{"containerPort": 80}, {"containerPort": 9999}]);
            let containers = json!([container(app, &ports)]);
            let change = json!({"spec": {"template": {"spec": {"containers": containers}}}});
            space.edit("deployments", &format!("{app}-deployment"), &change);
        }),
        ("applied", |space, app| {
            let ports = json!([{"name": "extra", "port": 8080, "protocol": "TCP", "targetPort": 1}]);
            let wish = json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": ports}});
            space.apply_as("somebody", "services", &format!("{app}-service"), &wish);
        }),
        ("image-edited", |space, app| {
            let mut edited = container(app, &json!([{"containerPort": 80}]));
            edited["image"] = json!("evil");
            let change = json!({"spec": {"replicas": 7, "template": {"spec": {"containers": [edited]}}}});
            space.edit("deployments", &format!("{app}-deployment"), &change);
        }),
        ("deployment-deleted", |space, app| space.delete("deployments", &format!("{app}-deployment"))),
    ];
    let Some(space) = Space::new("became") else { return };
    for (app, become_so) in became {
        former(&space, app, 80);
        become_so(&space, app);
    }
    let _operator = space.operator();
    for (app, _) in became {
        space.wait_until_converged(app);
    }
    for port in [8080, 9999, 443, 80] {
        for (app, _) in became {
            space.edit("applications", app, &json!({"spec": {"port": port}}));
        }
        for (app, _) in became {
            space.wait_until_converged(app);
        }
    }
    assert!(space.writes().iter().all(|write| write.verb == "patch"), "nothing was deleted");
}

#[test]
fn the_former_finalizer_is_removed_and_no_other() {
    let Some(space) = Space::new("finalizers") else { return };
    former(&space, "gone-before", 80);
    former(&space, "stays", 80);
    former(&space, "shared", 80);
    let both = json!(["example.com/other", FORMER_FINALIZER]);
    space.edit("applications", "shared", &json!({"metadata": {"finalizers": both}}));
    // While no operator runs, it holds its Application.
    space.delete("applications", "gone-before");
    let_time_pass(Duration::from_millis(500));
    assert!(space.get("applications", "gone-before").is_some());

    let _operator = space.operator();
    let started = Instant::now();
    wait_for("the deletion to complete", || space.get("applications", "gone-before").is_none().then_some(()));
    record("a deletion that had waited is complete after", started.elapsed());
    let finalizers = |app: &str| space.get("applications", app).unwrap()["metadata"]["finalizers"].clone();
    wait_for("the finalizer to go", || (finalizers("stays") == Value::Null).then_some(()));
    wait_for("the finalizer to go", || (finalizers("shared") == json!(["example.com/other"])).then_some(()));

    // One that somebody puts there later goes too, so that both operators may run for a while.
    space.edit("applications", "stays", &json!({"metadata": {"finalizers": [FORMER_FINALIZER]}}));
    let added = Instant::now();
    wait_for("the finalizer to go", || (finalizers("stays") == Value::Null).then_some(()));
    record("the finalizer is gone after", added.elapsed());
    space.world.api.delete(&format!("{}/stays", support::path("applications", &space.name)));
    wait_until_good("the children of both to be collected", || {
        let children = ["gone-before", "stays"].map(|app| space.children(app));
        let left = children.iter().filter(|children| children.deployment.is_some() || children.service.is_some());
        left.map(|children| format!("{children:?}")).collect()
    });
    space.edit("applications", "shared", &json!({"metadata": {"finalizers": null}}));
}

#[test]
fn what_the_former_crd_let_in_is_told_of_its_fault_and_can_be_deleted() {
    let Some(world) = former_world() else { return };
    let space = world.space("let-in");
    let long = "a".repeat(60);
    let good = json!({"image": "nginx", "replicas": 1, "port": 80});
    let cases = [
        ("good", Some(good.clone()), "Pending"),
        // Refused by the present CRD, but a server of today can run it.
        ("2048", Some(good.clone()), "Pending"),
        (&*long, Some(good), "ApplyRejected"),
        ("portless", Some(json!({"image": "nginx", "replicas": 1})), "Pending"),
        ("blank", Some(json!({"image": "nginx latest", "replicas": 1, "port": 80})), "InvalidSpec"),
        ("specless", None, "InvalidSpec"),
    ];
    for (name, spec, _) in &cases {
        let_in(&space, name, spec.as_ref());
    }

    world.install();
    let operator = world.operator(&[]);
    for (name, _, expected) in &cases {
        let seen = space.wait_for_status(name, "to be told", |seen| reason(seen, "Ready").1 == *expected);
        assert_eq!(reason(&seen, "Degraded").0 == "True", *expected != "Pending", "{name}: {}", seen["status"]);
    }
    space.wait_until_converged("good");
    let names = || space.list("applications").into_iter().map(|object| object["metadata"].clone()).collect::<Vec<_>>();
    wait_until_good("every finalizer to go", || {
        let held = names().into_iter().filter(|metadata| metadata.get("finalizers").is_some());
        held.map(|metadata| metadata["name"].to_string()).collect()
    });
    for (name, ..) in &cases {
        space.delete("applications", name);
    }
    assert_eq!(names(), Vec::<Value>::new());
    assert!(!operator.log().contains("ERROR"), "{}", operator.log());
}

/// The API server refuses every write of an object with a /scale subresource and fewer than no replicas, whatever the write
/// is about (seen on 1.37): the finalizer can't go alone.
#[test]
fn an_application_that_was_let_in_with_fewer_than_no_replicas_can_be_deleted() {
    let Some(world) = former_world() else { return };
    let space = world.space("negative");
    let_in(&space, "web", Some(&json!({"image": "nginx", "replicas": -1, "port": 80})));
    world.install();
    space.delete("applications", "web");
    let _operator = world.operator(&[]);
    wait_for("the deletion to complete", || space.get("applications", "web").is_none().then_some(()));
}

/// A cluster with the Go operator's CRD, without controllers.
fn former_world() -> Option<World> {
    let world = World::bare(Options::api_only())?;
    world.cluster.apply(FORMER_CRD);
    world.api.wait_until_established("applications.minetto.dev");
    Some(world)
}

/// Creates an Application as the Go operator leaves it.
fn let_in(space: &Space<'_>, name: &str, spec: Option<&Value>) {
    let mut application = json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application",
        "metadata": {"name": name, "finalizers": [FORMER_FINALIZER]}});
    if let Some(spec) = spec {
        application["spec"] = spec.clone();
    }
    space.create_as(FORMER, "applications", &application);
}

/// An Application on two pods with its children, as the Go operator leaves them.
fn former(space: &Space<'_>, app: &str, port: u16) -> Value {
    let application = space.create_as(
        "kubectl-client-side-apply",
        "applications",
        &json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application",
            "metadata": {"name": app, "finalizers": [FORMER_FINALIZER]},
            "spec": {"image": "nginx:latest", "replicas": 2, "port": port}}),
    );
    let owner = json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application", "name": app,
        "uid": application["metadata"]["uid"]});
    let labels = json!({"label": app, "app": app});
    let deployment = json!({
        "metadata": {"name": format!("{app}-deployment"), "labels": labels, "ownerReferences": [owner],
            "annotations": {"imageregistry": "https://hub.docker.com/"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"label": app}}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [container(app, &json!([{"containerPort": port, "protocol": "TCP"}]))]}}},
    });
    space.create_as(FORMER, "deployments", &deployment);
    let service = json!({
        "metadata": {"name": format!("{app}-service"), "labels": {"app": app}, "ownerReferences": [owner]},
        "spec": {"type": "NodePort", "externalTrafficPolicy": "Local", "selector": {"app": app},
            "ports": [{"name": "http", "port": port, "targetPort": port, "protocol": "TCP"}]},
    });
    space.create_as(FORMER, "services", &service);
    application
}

fn container(app: &str, ports: &Value) -> Value {
    json!({"name": format!("{app}-container"), "image": "nginx:latest", "ports": ports})
}

#[track_caller]
fn assert_same(before: &Value, after: &Value, paths: &[&str]) {
    for path in paths {
        assert_eq!(before.pointer(path), after.pointer(path), "{path}");
    }
}
