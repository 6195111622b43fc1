//! An Application that is applied becomes a running, reachable app, and follows every change of its spec.

mod support;

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Space, World, condition, faults, reason, record, uid, wait_for, wait_until_good};

#[test]
fn the_sample_becomes_a_running_and_reachable_application() {
    let Some(world) = World::operated().filter(|_| testbed::has_kubectl()) else { return };
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/application.yaml");
    world.cluster.kubectl_ok(&["apply", "-f", sample]);
    let applied = Instant::now();
    let space = Space { world, name: "application-sample".into() };
    space.kubectl(&["wait", "--for=condition=Ready", "application/application-sample", "--timeout=60s"]);
    record("the sample is ready after", applied.elapsed());

    let application = space.get("applications", "application-sample").unwrap();
    let children = space.children("application-sample");
    assert_eq!(faults(&application, &children), Vec::<String>::new());

    // What is not in every Application's wish, as the seed has it.
    let (deployment, service) = (children.deployment.unwrap(), children.service.unwrap());
    assert_eq!(deployment["spec"]["selector"], json!({"matchLabels": {"label": "application-sample"}}));
    assert_eq!(deployment["metadata"]["annotations"]["imageregistry"], "https://hub.docker.com/");
    assert_eq!(deployment["status"]["readyReplicas"], 2);
    assert!(service["spec"]["ports"][0]["nodePort"].as_u64().unwrap() >= 30000);
    for child in [&deployment, &service] {
        let owner = &child["metadata"]["ownerReferences"][0];
        assert_eq!((&owner["kind"], &owner["name"]), (&json!("Application"), &json!("application-sample")));
        assert_eq!(owner["apiVersion"], "minetto.dev/v1alpha1");
    }

    // The Service leads to both pods.
    wait_until_good("two addresses behind the Service", || {
        let slices = space.list("endpointslices");
        let ready: Vec<_> = slices
            .iter()
            .filter(|slice| slice["ports"][0]["port"] == 80)
            .flat_map(|slice| slice["endpoints"].as_array().cloned().unwrap_or_default())
            .filter(|endpoint| endpoint["conditions"]["ready"] == true)
            .collect();
        if ready.len() == 2 { vec![] } else { vec![format!("{slices:?}")] }
    });

    // What the user is told.
    let status = &application["status"];
    assert_eq!(condition(&application, "Ready"), ("True", "Available", "2 of 2 pods are ready"));
    assert_eq!(reason(&application, "Progressing"), ("False", "RolloutComplete"));
    assert_eq!(reason(&application, "Degraded"), ("False", "AsExpected"));
    assert_eq!(status["observedGeneration"], application["metadata"]["generation"]);
    for count in ["replicas", "readyReplicas", "updatedReplicas"] {
        assert_eq!(status[count], 2, "{count}");
    }
    let selector = status["selector"].as_str().unwrap();
    assert_eq!(space.kubectl(&["get", "pods", "-l", selector, "-o", "name"]).lines().count(), 2);
}

#[test]
fn kubectl_shows_what_there_is_to_know_of_an_application() {
    let Some(space) = Space::operated("shown").and_then(Space::with_kubectl) else { return };
    let http = json!({"hosts": ["web.example.com"]});
    space.application("web", &json!({"image": "nginx:1.29", "replicas": 3, "port": 8080, "http": http}));
    space.wait_until_ready("web");

    let row = |output: &str, column: &str| {
        let mut lines = output.lines();
        let columns: Vec<_> = lines.next().unwrap().split_whitespace().collect();
        let index = columns.iter().position(|title| *title == column).unwrap_or_else(|| panic!("{output}"));
        lines.next().unwrap().split_whitespace().nth(index).unwrap().to_owned()
    };
    for name in ["applications", "mapp"] {
        let narrow = space.kubectl(&["get", name]);
        let shown = ["NAME", "READY", "REASON", "REPLICAS", "IMAGE"].map(|column| row(&narrow, column));
        assert_eq!(shown, ["web", "True", "Available", "3", "nginx:1.29"]);
    }
    let wide = space.kubectl(&["get", "applications", "-o", "wide"]);
    let shown = ["URL", "PORT", "READY-REPLICAS"].map(|column| row(&wide, column));
    assert_eq!(shown, ["http://web.example.com", "8080", "3"]);
    assert!(wide.contains("3 of 3 pods are ready"), "{wide}");
    assert!(space.kubectl(&["get", "all"]).contains("application.minetto.dev/web"));
    assert!(space.kubectl(&["explain", "application.spec.port"]).contains("TCP port on which the container listens"));

    wait_until_good("events about what was done", || {
        let events = space.kubectl(&["events", "--for", "application/web"]);
        let expected = ["Created Deployment web-deployment", "Created Service web-service", "3 of 3 pods are ready"];
        expected.iter().filter(|expected| !events.contains(**expected)).map(|expected| (*expected).to_owned()).collect()
    });
}

#[test]
fn a_row_fits_into_80_columns_beside_the_longest_reason() {
    let Some(space) = Space::operated("columns").and_then(Space::with_kubectl) else { return };
    // The sample's name and image, and a reason of which none is longer.
    let parents = json!([{"name": "gateway"}]);
    let spec = json!({"image": "nginx:latest", "replicas": 2, "port": 80, "http": {"parentRefs": parents}});
    space.application("application-sample", &spec);
    space.application("web", &json!({"image": "docker.io/library/nginx:1.29", "replicas": 0, "port": 80}));
    space.wait_for_status("application-sample", "to be refused", |seen| {
        condition(seen, "Ready").1 == "GatewayAPIAbsent"
    });
    for name in ["application-sample", "web"] {
        let table = space.kubectl(&["get", "application", name]);
        assert_eq!(table.lines().count(), 2, "{table}");
        assert!(table.lines().all(|line| line.trim_end().chars().count() <= 80), "{table}");
    }
}

#[test]
fn an_application_need_not_be_named_as_its_namespace_and_replicas_default_to_one() {
    let Some(space) = Space::operated("named-otherwise") else { return };
    for name in ["shop", "blog-2"] {
        let created = space.application(name, &json!({"image": "nginx", "port": 80}));
        assert_eq!(created["spec"]["replicas"], 1);
    }
    for name in ["shop", "blog-2"] {
        assert_eq!(space.wait_until_ready(name)["status"]["readyReplicas"], 1);
    }
    assert_eq!(space.list("pods").len(), 2);
}

#[test]
fn changes_of_image_replicas_and_port_reach_both_children() {
    let Some(space) = Space::operated("changes") else { return };
    space.application("web", &json!({"image": "nginx:1.28", "replicas": 1, "port": 80}));
    space.wait_until_ready("web");
    let before = space.children("web");
    for change in [
        json!({"image": "nginx:1.29"}),
        json!({"replicas": 3}),
        json!({"port": 8080}),
        json!({"image": "httpd", "replicas": 2, "port": 443}),
    ] {
        let changed = space.edit("applications", "web", &json!({"spec": change}));
        let edited = Instant::now();
        wait_until_good("the children to follow", || faults(&changed, &space.children("web")));
        record("both children follow a change after", edited.elapsed());
        let ready = space.wait_until_ready("web");
        assert_eq!(ready["status"]["observedGeneration"], changed["metadata"]["generation"]);
    }
    let after = space.children("web");
    assert_eq!(uid(&before.deployment.unwrap()), uid(&after.deployment.unwrap()), "it was changed, not replaced");
    let (before, after) = (before.service.unwrap(), after.service.unwrap());
    assert_eq!(uid(&before), uid(&after));
    assert_eq!(before["spec"]["clusterIP"], after["spec"]["clusterIP"]);
}

#[test]
fn scaling_restarts_no_pod_and_zero_is_a_state_like_any_other() {
    let Some(space) = Space::operated("scaling").and_then(Space::with_kubectl) else { return };
    space.application("web", &json!({"image": "nginx", "replicas": 2, "port": 80}));
    space.wait_until_ready("web");
    let replica_sets = || space.list("replicasets").iter().map(uid).collect::<Vec<_>>();
    let pods = || space.list("pods").iter().map(uid).collect::<Vec<_>>();
    let (sets, first) = (replica_sets(), pods());
    assert_eq!((sets.len(), first.len()), (1, 2));

    // The /scale subresource, which autoscalers use too.
    space.kubectl(&["scale", "application/web", "--replicas=4"]);
    space.wait_until_ready("web");
    let more = pods();
    assert!(first.iter().all(|pod| more.contains(pod)), "{more:?} lack one of {first:?}");

    space.kubectl(&["scale", "application/web", "--replicas=0"]);
    let stopped = space.wait_until_ready("web");
    assert_eq!(reason(&stopped, "Ready"), ("True", "ScaledToZero"));
    assert_eq!(stopped["status"]["replicas"], 0);
    wait_for("the pods to be gone", || pods().is_empty().then_some(()));

    space.kubectl(&["scale", "application/web", "--replicas=2"]);
    assert_eq!(space.wait_until_ready("web")["status"]["readyReplicas"], 2);
    assert_eq!(replica_sets(), sets, "the pod template never changed");
}

#[test]
fn deleting_an_application_deletes_its_children() {
    let Some(space) = Space::operated("deletion").and_then(Space::with_kubectl) else { return };
    for name in ["web", "stays"] {
        space.application(name, &json!({"image": "nginx", "port": 80}));
    }
    space.wait_until_ready("web");
    let stays = space.wait_until_ready("stays");
    space.kubectl(&["delete", "application", "web", "--timeout=30s"]);
    wait_until_good("the garbage collector", || {
        let kinds = ["deployments", "services", "replicasets", "pods"];
        let all = kinds.iter().flat_map(|kind| space.list(kind));
        let names = all.map(|object| object["metadata"]["name"].as_str().unwrap().to_owned());
        names.filter(|name| name.starts_with("web")).collect()
    });
    assert_eq!(faults(&stays, &space.children("stays")), Vec::<String>::new());

    // The same name again is another Application, with children of its own.
    space.application("web", &json!({"image": "nginx", "port": 81}));
    space.wait_until_ready("web");
}

#[test]
fn bad_input_is_refused_with_a_sentence_and_changes_nothing() {
    let Some(space) = Space::operated("refused").and_then(Space::with_kubectl) else { return };
    space.application("web", &json!({"image": "nginx", "replicas": 1, "port": 80}));
    let good = space.wait_until_ready("web");
    let specs = [
        (json!({"port": 0}), "spec.port in body should be greater than or equal to 1"),
        (json!({"port": 70000}), "spec.port in body should be less than or equal to 65535"),
        (json!({"port": "http"}), "spec.port in body must be of type integer"),
        (json!({"image": ""}), "spec.image in body should be at least 1 chars long"),
        (json!({"image": "nginx latest"}), "must be an image reference without spaces, such as nginx:1.29"),
        (json!({"replicas": -1}), "spec.replicas in body should be greater than or equal to 0"),
        (json!({"image": null}), "spec.image: Required value"),
    ];
    for (spec, sentence) in specs {
        let patch = json!({"spec": spec}).to_string();
        let said = space.kubectl_refused(&["patch", "application", "web", "--type=merge", "-p", &patch]);
        assert!(said.contains(sentence), "{spec}: {said}");

        let mut whole = json!({"image": "nginx", "replicas": 1, "port": 80});
        for (field, value) in spec.as_object().unwrap() {
            whole[field] = value.clone();
        }
        let said = refused(&space, "new", &whole);
        assert!(said.contains(sentence), "{spec}: {said}");
    }
    let names = [
        ("a".repeat(53), "name must have at most 52 characters"),
        ("2048".to_owned(), "name must start with a letter"),
        ("shop.example".to_owned(), "name must start with a letter and consist of lower-case letters, digits"),
    ];
    for (name, sentence) in names {
        let said = refused(&space, &name, &json!({"image": "nginx", "port": 80}));
        assert!(said.contains(sentence), "{name}: {said}");
    }

    assert_eq!(space.list("applications").len(), 1);
    let after = space.get("applications", "web").unwrap();
    assert_eq!(after["metadata"]["resourceVersion"], good["metadata"]["resourceVersion"]);
    assert_eq!(faults(&after, &space.children("web")), Vec::<String>::new());

    // The longest name that is let in works.
    let longest = "a".repeat(52);
    space.application(&longest, &json!({"image": "nginx", "port": 80}));
    space.wait_until_ready(&longest);
}

/// What the API server says to an Application that it does not let in.
fn refused(space: &Space<'_>, name: &str, spec: &Value) -> String {
    let application = json!({
        "apiVersion": "minetto.dev/v1alpha1", "kind": "Application", "metadata": {"name": name}, "spec": spec,
    });
    let (code, said) = space.world.api.ask("POST", &support::path("applications", &space.name), &application);
    assert_eq!(code, 422, "{said}");
    said["message"].as_str().expect("a message").to_owned()
}

#[test]
fn where_the_namespace_enforces_restricted_pods_are_secured_so_far_that_they_are_admitted() {
    let Some(space) = Space::operated("restricted") else { return };
    let label = |level: Value| {
        let path = format!("/api/v1/namespaces/{}", space.name);
        let change = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}});
        let (code, said) = space.world.api.ask("PATCH", &path, &change);
        assert_eq!(code, 200, "{said}");
    };
    label(json!("restricted"));
    space.application("web", &json!({"image": "nginx", "port": 80}));
    space.wait_until_ready("web");
    let must_run_as_other_than_root = || {
        let deployment = space.get("deployments", "web-deployment").expect("a Deployment");
        deployment["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] == true
    };
    assert!(must_run_as_other_than_root());
    label(Value::Null);
    wait_for("the pods to be as everywhere else", || (!must_run_as_other_than_root()).then_some(()));
    space.wait_until_ready("web");
}
