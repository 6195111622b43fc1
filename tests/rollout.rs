//! Revisions, migrations and rollbacks on a control plane, as a user drives them with kubectl and sees them.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use testbed::Feature;

use crate::support::{Space, condition, let_time_pass, path, reason, record, wait_for, wait_until_good};

/// No node is like that, so that nobody plays the kubelet for a pod that wants it but the test.
const NOWHERE: &str = "example.com/none";

fn nowhere() -> Value {
    json!({NOWHERE: "here"})
}

/// The revisions, as `kubectl get controllerrevisions` knows them.
fn objects(space: &Space<'_>, application: &str) -> Vec<Value> {
    let selector = format!("minetto.dev/application={application}");
    let said = space.kubectl(&["get", "controllerrevisions", "-l", &selector, "-o", "json"]);
    let list: Value = serde_json::from_str(&said).expect("JSON");
    list["items"].as_array().expect("a list").clone()
}

/// Numbers and images of the revisions, oldest first: of the objects, and of what they keep that is none.
fn history(space: &Space<'_>, application: &str) -> Vec<(i64, String)> {
    let objects = objects(space, application);
    let kept = objects.iter().filter_map(|object| object["metadata"]["annotations"]["minetto.dev/revision"].as_str());
    let kept: Vec<Value> = kept.map(|text| serde_json::from_str(text).expect("JSON")).collect();
    let is_object = |kept: &Value| objects.iter().any(|one| one["metadata"]["name"] == kept["metadata"]["name"]);
    let revision = |revision: &Value| {
        let image = &revision["data"]["spec"]["template"]["spec"]["containers"][0]["image"];
        (revision["revision"].as_i64().expect("a number"), image.as_str().unwrap_or_default().to_owned())
    };
    let all = objects.iter().chain(kept.iter().filter(|kept| !is_object(kept)));
    let mut history: Vec<_> = all.map(revision).collect();
    history.sort();
    history
}

fn image(space: &Space<'_>, application: &str) -> Value {
    let deployment = space.get("deployments", &format!("{application}-deployment")).unwrap_or_default();
    deployment["spec"]["template"]["spec"]["containers"][0]["image"].clone()
}

fn revisions(seen: &Value) -> (&Value, &Value) {
    (&seen["status"]["currentRevision"], &seen["status"]["lastGoodRevision"])
}

/// The only pod of a Job whose name begins so, once there is one.
fn pod_of_job(space: &Space<'_>, job: &str) -> String {
    wait_for("the pod of a Job", || {
        let jobs: Vec<Value> = space.list("jobs").iter().map(|job| job["metadata"]["uid"].clone()).collect();
        // Not one that a Job has left which was deleted.
        let is_of_job = |pod: &Value| jobs.contains(&pod["metadata"]["ownerReferences"][0]["uid"]);
        let pods = space.list("pods").into_iter().filter(is_of_job);
        let mut names = pods.map(|pod| pod["metadata"]["name"].as_str().unwrap_or_default().to_owned());
        names.find(|name| name.starts_with(job))
    })
}

fn jobs(space: &Space<'_>) -> Vec<String> {
    let name = |job: &Value| job["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let mut names: Vec<_> = space.list("jobs").iter().map(name).collect();
    names.sort();
    names
}

fn patch(space: &Space<'_>, application: &str, spec: &Value) {
    let patch = json!({"spec": spec}).to_string();
    space.kubectl(&["patch", "application", application, "--type=merge", "-p", &patch]);
}

/// What the events of an Application say, by their reasons.
fn reasons_of_events(space: &Space<'_>, application: &str) -> Vec<String> {
    let of = |event: &Value| event["regarding"]["name"] == application;
    let reason = |event: &Value| event["reason"].as_str().unwrap_or_default().to_owned();
    space.list("events").iter().filter(|event| of(event)).map(reason).collect()
}

fn wait_for_events(space: &Space<'_>, application: &str, wished: &[&str]) {
    wait_until_good("events", || {
        let told = reasons_of_events(space, application);
        let missing = wished.iter().filter(|reason| !told.iter().any(|told| told == *reason));
        missing.map(|reason| format!("no event {reason} among {told:?}")).collect()
    });
}

#[test]
fn each_template_is_a_revision_and_a_restart_is_none_and_is_respected() {
    let Some(space) = Space::new("history").and_then(Space::with_kubectl) else { return };
    let mut operator = space.operator();
    space.application("web", &json!({"image": "nginx:1", "replicas": 1, "port": 80, "revisionHistoryLimit": 1}));
    let seen = space.wait_until_ready("web");
    assert_eq!(revisions(&seen), (&json!(1), &json!(1)));

    space.kubectl(&["scale", "application", "web", "--replicas=2"]);
    space.kubectl(&["rollout", "restart", "deployment", "web-deployment"]);
    space.kubectl(&["rollout", "status", "deployment", "web-deployment", "--timeout=60s"]);
    space.wait_until_ready("web");
    assert_eq!(history(&space, "web"), [], "the Deployment keeps the only one");
    let restarted = || {
        let deployment = space.get("deployments", "web-deployment").unwrap_or_default();
        deployment["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"].clone()
    };
    let at = restarted();
    assert!(at.is_string());

    for image in ["nginx:2", "nginx:3", "nginx:4"] {
        patch(&space, "web", &json!({"image": image}));
        space.wait_until_ready("web");
    }
    assert_eq!(restarted(), at, "an apply leaves it");
    wait_until_good("the history to be trimmed", || {
        let history = history(&space, "web");
        let wished = [(3, "nginx:3".to_owned()), (4, "nginx:4".to_owned())];
        if history == wished { Vec::new() } else { vec![format!("{history:?}")] }
    });
    patch(&space, "web", &json!({"image": "nginx:3"}));
    let seen = space.wait_until_ready("web");
    wait_until_good("the revision to be wished for anew", || {
        let history = history(&space, "web");
        let wished = [(4, "nginx:4".to_owned()), (5, "nginx:3".to_owned())];
        if history == wished { Vec::new() } else { vec![format!("{history:?}")] }
    });
    assert_eq!(revisions(&seen), (&json!(5), &json!(5)));

    // What runs without a record, as after an upgrade from an operator that kept none.
    operator.kill();
    space.kubectl(&["delete", "controllerrevisions", "--all"]);
    let before = space.writes().len();
    let generation = space.get("deployments", "web-deployment").expect("it")["metadata"]["generation"].clone();
    operator.start_again();
    operator.wait_until_ready();
    wait_until_good("its revision", || {
        let history = history(&space, "web");
        if history == [(5, "nginx:3".to_owned())] { Vec::new() } else { vec![format!("{history:?}")] }
    });
    let seen = space.wait_until_ready("web");
    assert_eq!(revisions(&seen), (&json!(5), &json!(5)), "the number that was told of it");
    let writes: Vec<_> = space.writes().split_off(before);
    assert_eq!(writes.len(), 1, "the revision: {writes:#?}");
    assert_eq!(space.get("deployments", "web-deployment").expect("it")["metadata"]["generation"], generation);
}

#[test]
fn migrations_run_before_the_pods_and_a_failed_one_keeps_the_old_ones() {
    let Some(space) = Space::new("migrations").and_then(Space::with_kubectl) else { return };
    let mut operator = space.operator();
    let migrations = json!([{"name": "schema", "args": ["migrate"]}, {"name": "seed", "args": ["seed"]}]);
    space.application("web", &json!({"image": "nginx:1", "replicas": 1, "port": 80, "migrations": migrations}));
    let seen = space.wait_until_ready("web");
    assert_eq!(reason(&seen, "Migrated"), ("True", "AsExpected"));
    let first = jobs(&space);
    assert_eq!(first.len(), 2, "{first:?}");
    let job = space.get("jobs", &first[0]).expect("a Job");
    assert_eq!(job["spec"]["template"]["spec"]["containers"][0]["image"], "nginx:1");
    let end = job["status"]["completionTime"].as_str().expect("a time").to_owned();
    let deployment = space.get("deployments", "web-deployment").expect("a Deployment");
    assert!(deployment["metadata"]["creationTimestamp"].as_str().expect("a time") >= &*end, "pods come after it");
    wait_for_events(&space, "web", &["MigrationStarted", "MigrationSucceeded"]);

    // A Job that has succeeded is not made again, whoever deletes it.
    space.kubectl(&["delete", "jobs", "--all"]);
    patch(&space, "web", &json!({"replicas": 2}));
    space.wait_until_ready("web");
    assert_eq!(jobs(&space), Vec::<String>::new());

    // This one's pod runs nowhere, until the test says how it ends.
    patch(&space, "web", &json!({"image": "nginx:2", "port": 81, "nodeSelector": nowhere()}));
    let seen = space.wait_for_status("web", "to tell of the pod", |seen| reason(seen, "Ready").1 == "PodFailing");
    assert_eq!(reason(&seen, "Migrated"), ("Unknown", "Migrating"));
    assert_eq!(seen["status"]["failure"]["reason"], "Unschedulable");
    patch(&space, "web", &json!({"replicas": 3}));
    wait_for("the old pods to be scaled", || {
        let deployment = space.get("deployments", "web-deployment")?;
        (deployment["status"]["readyReplicas"] == 3).then_some(())
    });
    let service = space.get("services", "web-service").expect("a Service");
    assert_eq!((image(&space, "web"), &service["spec"]["ports"][0]["port"]), (json!("nginx:1"), &json!(80)));

    // A Job that is deleted while it runs is made anew, by whichever operator comes.
    operator.kill();
    let running = jobs(&space);
    assert_eq!(running.len(), 1, "{running:?}");
    space.kubectl(&["delete", "job", &running[0]]);
    operator.start_again();
    let pod = pod_of_job(&space, "web-mig-schema");
    assert_eq!(jobs(&space), running, "the same name for the same wish");

    let ended = json!({"exitCode": 3, "reason": "Error", "message": "no such table",
        "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:00Z"});
    let container = json!({"name": "schema", "image": "nginx:2", "imageID": "", "ready": false, "restartCount": 0,
        "state": {"terminated": ended}});
    let status = json!({"status": {"phase": "Failed", "containerStatuses": [container]}});
    let (code, said) = space.world.api.ask("PATCH", &format!("{}/{pod}/status", path("pods", &space.name)), &status);
    assert_eq!(code, 200, "{said}");
    let seen = space.wait_for_status("web", "to tell of the failure", |seen| {
        reason(seen, "Migrated") == ("False", "MigrationFailed")
    });
    let (status, why, message) = condition(&seen, "Ready");
    assert_eq!((status, why), ("False", "MigrationFailed"));
    assert!(message.contains("container schema: Error (exit code 3): no such table"), "{message}");
    assert_eq!(seen["status"]["failure"]["exitCode"], 3);
    assert_eq!((image(&space, "web"), jobs(&space)), (json!("nginx:1"), running));
    wait_for_events(&space, "web", &["MigrationFailed"]);

    // Mended, it is another wish, and tried anew.
    patch(&space, "web", &json!({"nodeSelector": null}));
    let seen = space.wait_until_ready("web");
    assert_eq!(reason(&seen, "Migrated"), ("True", "AsExpected"));
    assert_eq!(image(&space, "web"), "nginx:2");
    wait_until_good("Jobs of former wishes to be deleted", || {
        let jobs = jobs(&space);
        if jobs.len() == 2 { Vec::new() } else { jobs }
    });
}

#[test]
fn a_migration_that_may_not_be_made_is_told_and_all_else_goes_on() {
    if !testbed::has(Feature::Quotas) {
        return;
    }
    let Some(space) = Space::new("quota") else { return };
    let _operator = space.operator();
    space.application("web", &json!({"image": "nginx:1", "replicas": 1, "port": 80}));
    space.wait_until_ready("web");
    let quota = json!({"metadata": {"name": "no-jobs"}, "spec": {"hard": {"count/jobs.batch": "0"}}});
    space.create("resourcequotas", &quota);
    wait_for("the quota to be counted", || {
        space.get("resourcequotas", "no-jobs").filter(|quota| quota["status"]["hard"].is_object()).map(drop)
    });
    let migrations = json!([{"name": "schema", "args": ["migrate"]}]);
    patch(&space, "web", &json!({"image": "nginx:2", "replicas": 2, "migrations": migrations}));
    let seen =
        space.wait_for_status("web", "to be refused", |seen| reason(seen, "Degraded") == ("True", "ApplyRejected"));
    assert!(condition(&seen, "Ready").2.contains("exceeded quota: no-jobs"), "{seen}");
    wait_for("the old pods to be scaled", || {
        let deployment = space.get("deployments", "web-deployment")?;
        (deployment["status"]["readyReplicas"] == 2).then_some(())
    });
    assert_eq!(image(&space, "web"), "nginx:1");
    space.kubectl(&["delete", "resourcequota", "no-jobs"]);
    space.wait_until_ready("web");
    assert_eq!(image(&space, "web"), "nginx:2");
}

#[test]
fn somebody_elses_revision_or_job_under_a_name_that_is_needed_is_told_and_waited_out() {
    let Some(space) = Space::new("occupied").and_then(Space::with_kubectl) else { return };
    let mut operator = space.operator();
    let migrations = json!([{"name": "schema", "args": ["migrate"]}]);
    let spec =
        json!({"image": "nginx:1", "replicas": 1, "port": 80, "migrations": migrations, "nodeSelector": nowhere()});
    space.application("web", &spec);
    let job = wait_for("the migration to begin", || jobs(&space).pop());
    operator.kill();
    let revision = space.list("controllerrevisions").pop().expect("a revision");
    let revision = revision["metadata"]["name"].as_str().expect("a name").to_owned();
    space.kubectl(&["delete", "job", &job]);
    space.kubectl(&["delete", "controllerrevision", &revision]);

    space.create("controllerrevisions", &json!({"metadata": {"name": revision}, "revision": 1, "data": {"a": 1}}));
    let pod = json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]});
    let foreign = json!({"metadata": {"name": job}, "spec": {"suspend": true, "template": {"spec": pod}}});
    space.create("jobs", &foreign);
    operator.start_again();
    for (kind, resource, name) in [("ControllerRevision", "controllerrevisions", &revision), ("Job", "jobs", &job)] {
        let told = format!("{kind} {name} is there already, and is not this Application's; delete it");
        space.wait_for_status("web", &told, |seen| {
            condition(seen, "Ready") == ("False", "ChildConflict", told.as_str())
        });
        assert_eq!(space.get("deployments", "web-deployment"), None);
        space.delete(resource, name);
    }
    space.wait_for_status("web", "to migrate", |seen| {
        reason(seen, "Migrated").1 == "Migrating" && jobs(&space) == [job.as_str()]
    });
}

#[test]
fn a_revision_that_lost_its_label_or_can_not_go_is_told_and_is_not_asked_for_again_and_again() {
    let Some(space) = Space::new("unlabelled").and_then(Space::with_kubectl) else { return };
    let _operator = space.operator();
    space.application("web", &json!({"image": "nginx:1", "replicas": 1, "port": 80}));
    space.wait_until_ready("web");
    patch(&space, "web", &json!({"image": "nginx:2"}));
    space.wait_until_ready("web");
    let newest = space.list("controllerrevisions").into_iter().find(|revision| revision["revision"] == 2);
    let newest = newest.expect("a second revision")["metadata"]["name"].as_str().expect("a name").to_owned();
    let told = |why: &str| {
        let told = format!("ControllerRevision {newest} {why}");
        space.wait_for_status("web", &told, |seen| {
            condition(seen, "Ready") == ("False", "ChildConflict", told.as_str())
        });
    };

    space.kubectl(&["label", "controllerrevision", &newest, "minetto.dev/application-"]);
    told("is there already, and lacks its label minetto.dev/application=web; give it back");
    let requests = || {
        let all = space.world.requests_of_operator().into_iter();
        all.filter(|request| request.namespace == space.name && request.verb != "watch").count()
    };
    // The first retries come within milliseconds.
    let_time_pass(Duration::from_secs(1));
    let before = requests();
    let_time_pass(Duration::from_secs(3));
    let sent = requests() - before;
    record("requests in 3 s about a revision without its label", sent);
    assert!(sent <= 18, "{sent} requests in 3 s");
    space.kubectl(&["label", "controllerrevision", &newest, "minetto.dev/application=web"]);
    space.wait_until_ready("web");

    space.edit("controllerrevisions", &newest, &json!({"metadata": {"finalizers": ["example.com/keep"]}}));
    space.delete("controllerrevisions", &newest);
    told("is being deleted, and its finalizer example.com/keep keeps it");
    space.edit("controllerrevisions", &newest, &json!({"metadata": {"finalizers": null}}));
    space.wait_until_ready("web");
    assert_eq!(history(&space, "web"), [(1, "nginx:1".to_owned()), (2, "nginx:2".to_owned())]);
}

#[test]
fn a_migration_waits_for_what_may_run_another_one_in_a_pod_of_a_deleted_job_or_in_an_earlier_life() {
    let Some(space) = Space::new("remnants").and_then(Space::with_kubectl) else { return };
    let _operator = space.operator();
    let migrations = json!([{"name": "schema", "args": ["migrate"]}]);
    let spec = json!({"image": "nginx:1", "replicas": 1, "migrations": migrations, "nodeSelector": nowhere()});
    space.application("web", &spec);
    let pod = pod_of_job(&space, "web-mig-schema");
    let job = jobs(&space).pop().expect("its Job");
    let mut finalizers = space.get("pods", &pod).expect("it")["metadata"]["finalizers"].clone();
    finalizers.as_array_mut().expect("the Job's own").push(json!("example.com/keep"));
    space.edit("pods", &pod, &json!({"metadata": {"finalizers": finalizers}}));
    let waits = |remnant: &str| {
        let told = format!("Migration schema waits until {remnant} has ended, which may run one as well");
        space.wait_for_status("web", &told, |seen| {
            condition(seen, "Migrated") == ("Unknown", "Migrating", told.as_str())
        });
    };
    space.kubectl(&["delete", "job", &job, "--cascade=background"]);
    waits(&format!("pod {pod}"));
    assert_eq!(jobs(&space), Vec::<String>::new());
    space.edit("pods", &pod, &json!({"metadata": {"finalizers": null}}));
    assert_eq!(wait_for("the Job to be made anew", || jobs(&space).pop()), job);

    space.kubectl(&["delete", "application", "web", "--cascade=orphan"]);
    space.application("web", &spec);
    waits(&format!("Job {job}"));
    assert_eq!(jobs(&space), [job.as_str()]);
    space.kubectl(&["delete", "job", &job]);
    assert_ne!(wait_for("the new life's own Job", || jobs(&space).pop()), job);
}

#[test]
fn a_rollout_that_fails_goes_back_and_waits_for_another_spec() {
    let Some(space) = Space::new("back").and_then(Space::with_kubectl) else { return };
    let mut operator = space.operator();
    let spec = json!({"image": "nginx:1", "replicas": 2, "port": 80,
        "rollback": {"onFailure": "Automatic"}});
    space.application("web", &spec);
    let seen = space.wait_until_ready("web");
    assert_eq!(reason(&seen, "RolledBack"), ("False", "AsExpected"));

    patch(&space, "web", &json!({"image": "nginx:2", "nodeSelector": nowhere(), "progressDeadlineSeconds": 2}));
    wait_for("the revision", || objects(&space, "web").pop());
    assert_eq!(history(&space, "web"), [(1, "nginx:1".to_owned()), (2, "nginx:2".to_owned())]);
    assert_eq!(objects(&space, "web").len(), 1, "the second keeps the first");
    let rolled_back = |seen: &Value| reason(seen, "RolledBack") == ("True", "RolledBack");
    let seen = space.wait_for_status("web", "to be rolled back", rolled_back);
    assert_eq!((reason(&seen, "Ready"), seen["spec"]["image"].as_str()), (("False", "RolledBack"), Some("nginx:2")));
    let message = condition(&seen, "RolledBack").2;
    assert!(message.contains("Revision 2") && message.contains("Unschedulable"), "{message}");
    wait_for_events(&space, "web", &["RolledBack"]);
    let runs = |replicas: i64| {
        wait_for("the good revision to run", || {
            let deployment = space.get("deployments", "web-deployment")?;
            let status = &deployment["status"];
            let is_there = [&status["updatedReplicas"], &status["readyReplicas"], &status["replicas"]];
            (image(&space, "web") == "nginx:1" && is_there == [&json!(replicas); 3]).then_some(())
        });
    };
    runs(2);
    let seen =
        space.wait_for_status("web", "to tell of the good one", |seen| revisions(seen) == (&json!(1), &json!(1)));
    assert!(rolled_back(&seen));

    operator.kill();
    operator.start_again();
    operator.wait_until_ready();
    space.kubectl(&["scale", "application", "web", "--replicas=3"]);
    runs(3);
    assert!(rolled_back(&space.get("applications", "web").expect("it")), "it is not tried again");

    patch(&space, "web", &json!({"image": "nginx:3", "nodeSelector": null, "progressDeadlineSeconds": null}));
    let seen = space.wait_until_ready("web");
    assert_eq!((reason(&seen, "RolledBack"), revisions(&seen)), (("False", "AsExpected"), (&json!(3), &json!(3))));

    // By hand, and there is no such revision.
    patch(&space, "web", &json!({"rollback": {"toRevision": 1}}));
    let pinned = |seen: &Value| reason(seen, "RolledBack") == ("True", "RevisionRequested");
    space.wait_for_status("web", "to run revision 1", |seen| pinned(seen) && reason(seen, "Ready").0 == "True");
    runs(3);
    patch(&space, "web", &json!({"rollback": {"toRevision": 9}}));
    let seen = space.wait_for_status("web", "to be refused", |seen| reason(seen, "Ready").1 == "RevisionNotFound");
    assert!(condition(&seen, "Ready").2.ends_with("there are: 1, 2, 3"), "{seen}");
    patch(&space, "web", &json!({"rollback": null}));
    let seen = space.wait_until_ready("web");
    assert_eq!(reason(&seen, "RolledBack"), ("", ""));
}

#[test]
fn no_rollback_crosses_a_migration() {
    let Some(space) = Space::new("across").and_then(Space::with_kubectl) else { return };
    let _operator = space.operator();
    let spec = json!({"image": "nginx:1", "replicas": 1, "port": 80,
        "rollback": {"onFailure": "Automatic"}});
    space.application("web", &spec);
    space.wait_until_ready("web");
    // Its pods come nowhere, and the migration's would neither: the test plays their kubelet.
    let migrations = json!([{"name": "schema", "args": ["migrate"]}]);
    let wish =
        json!({"image": "nginx:2", "nodeSelector": nowhere(), "migrations": migrations, "progressDeadlineSeconds": 2});
    patch(&space, "web", &wish);
    let pod = pod_of_job(&space, "web-mig-schema");
    let status = json!({"status": {"phase": "Succeeded"}});
    let (code, said) = space.world.api.ask("PATCH", &format!("{}/{pod}/status", path("pods", &space.name)), &status);
    assert_eq!(code, 200, "{said}");
    let seen = space.wait_for_status("web", "to stay where it is", |seen| {
        reason(seen, "RolledBack") == ("False", "MigrationInTheWay")
    });
    assert!(condition(&seen, "RolledBack").2.contains("Migrations of revision 2"), "{seen}");
    assert_eq!(image(&space, "web"), "nginx:2");
}

#[test]
fn a_failing_pod_of_the_former_template_is_not_told_of_once_a_mended_one_is_rolled_out() {
    let Some(space) = Space::new("mended").and_then(Space::with_kubectl) else { return };
    let _operator = space.operator();
    // Nothing is taken away before the new pod is there, and it comes nowhere: the old ones stay beside it.
    let strategy = json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
    let spec = json!({"image": "nginx:1", "replicas": 1, "port": 80, "nodeSelector": nowhere(), "strategy": strategy});
    space.application("web", &spec);
    let failing = |seen: &Value, image: &str| {
        let failure = &seen["status"]["failure"];
        let pod = failure["pod"].as_str().and_then(|pod| space.get("pods", pod)).unwrap_or_default();
        pod["spec"]["containers"][0]["image"] == image
    };
    space.wait_for_status("web", "to tell of the first pod", |seen| failing(seen, "nginx:1"));
    patch(&space, "web", &json!({"image": "nginx:2"}));
    space.wait_for_status("web", "to tell of the second pod", |seen| failing(seen, "nginx:2"));
    patch(&space, "web", &json!({"image": "nginx:3", "nodeSelector": null, "minReadySeconds": 3}));
    // The new pod is ready, and not yet available, so that an old one may yet be there.
    let seen = space.wait_for_status("web", "to roll out", |seen| {
        seen["status"]["readyReplicas"] == 1 && reason(seen, "Ready").1 == "RollingOut"
    });
    assert_eq!(seen["status"].get("failure"), None);
    space.wait_until_ready("web");
}
