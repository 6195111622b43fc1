//! Another writer that never gives up is named in the status, and answered ever more rarely.

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Space, condition, let_time_pass, reason, record};

/// A while in which an operator that is in a loop would do something hundreds of times.
const WHILE: Duration = Duration::from_secs(3);

#[test]
fn a_writer_that_never_gives_up_is_yielded_to_and_named() {
    fight("contested", &json!({"spec": {"externalTrafficPolicy": "Cluster"}}));
}

#[test]
fn a_second_operator_that_renders_otherwise_is_yielded_to_and_named() {
    let other = json!({"metadata": {"annotations": {"minetto.dev/applied-hash": "another's"}},
        "spec": {"externalTrafficPolicy": "Cluster"}});
    fight("rivals", &other);
}

/// Seen: two operators, of which one allows what the other does not, wrote the status in turn, 74 times a second.
#[test]
fn two_operators_that_judge_otherwise_write_the_status_ever_more_rarely() {
    let Some(space) = Space::new("judges") else { return };
    let _strict = space.operator();
    let _lax = space.world.operator(&["--namespace", &space.name, "--allow-volumes", "emptyDir"]);
    let volumes = json!([{"name": "scratch", "emptyDir": {}}]);
    space.application("web", &json!({"image": "nginx", "replicas": 0, "port": 80, "volumes": volumes}));
    space.wait_for_warning("web", "Contested");

    let told = || space.writes().iter().filter(|write| write.subresource == "status").count();
    let_time_pass(3 * WHILE);
    let before = told();
    let_time_pass(WHILE);
    record("writes of the status until each has yielded", before);
    assert!(before < 100 && told() - before <= 4, "{before}, {}", told());
    assert!(space.get("deployments", "web-deployment").is_some(), "what may be done is done");
}

/// Has another writer change the Service of an Application again and again, until the operator yields, and a while longer.
#[track_caller]
fn fight(name: &str, change: &Value) {
    let Some(space) = Space::new(name) else { return };
    let _operator = space.operator();
    space.application("web", &json!({"image": "nginx", "replicas": 0, "port": 80}));
    space.wait_until_ready("web");
    let before = space.writes_of("web-service");
    let mut edits = 0;
    let seen = loop {
        space.edit("services", "web-service", change);
        edits += 1;
        let_time_pass(Duration::from_millis(50));
        let seen = space.get("applications", "web").expect("it is there");
        if reason(&seen, "Degraded").0 == "True" {
            break seen;
        }
        assert!(edits < 1000, "a fight that never ends");
    };
    let (_, why, message) = condition(&seen, "Degraded");
    assert_eq!(why, "Contested", "{message}");
    record("edits until the operator yields", edits);
    assert!(edits > 10, "a few edits by hand are no fight");
    space.wait_for_warning("web", "Contested");

    // It would be hundreds of writes.
    for _ in 0..60 {
        space.edit("services", "web-service", change);
        let_time_pass(Duration::from_millis(50));
    }
    let writes = space.writes_of("web-service") - before;
    record("writes in that fight, and 60 edits more", writes);
    assert!(writes < 40, "{writes}");

    let over = Instant::now();
    space.wait_until_ready("web");
    record("ready after the other writer has given up in", over.elapsed());
}
