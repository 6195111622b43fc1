//! Jobs that complete, fail, or take too long.

use serde_json::{Value, json};

use crate::world::{JOBS, PODS, World, condition};

fn job(image: &str) -> Value {
    json!({
        "metadata": {"name": "one"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]}}},
    })
}

fn one(world: &mut World) -> Value {
    world.get(&format!("{JOBS}/one"))
}

#[test]
fn a_job_completes() {
    let mut world = World::new();
    world.create(JOBS, &job("migrate"));
    world.pass(10);
    let one = one(&mut world);
    assert_eq!(one["status"]["succeeded"], 1, "{one}");
    assert_eq!(
        condition(&one, "Complete"),
        ["True", "CompletionsReached", "Reached expected number of succeeded pods"]
    );
    assert_eq!(condition(&one, "SuccessCriteriaMet")[0], "True");
    assert!(one["status"]["completionTime"].is_string());
    let pods = world.list(PODS);
    assert_eq!(pods.len(), 1);
    assert_eq!(pods[0]["status"]["phase"], "Succeeded");
    assert!(pods[0]["metadata"]["finalizers"].is_null(), "what is counted is let go: {}", pods[0]);
}

#[test]
fn a_job_fails_once_it_has_failed_too_often() {
    let mut world = World::new();
    let mut told = job("migrate:crash-2");
    told["spec"]["backoffLimit"] = 2.into();
    world.create(JOBS, &told);
    world.pass(20);
    assert_eq!(condition(&one(&mut world), "Failed")[0], "", "the second retry waits for twenty seconds");
    world.pass(60);
    let one = one(&mut world);
    assert_eq!(
        condition(&one, "Failed"),
        ["True", "BackoffLimitExceeded", "Job has reached the specified backoff limit"]
    );
    assert_eq!(one["status"]["failed"], 3, "{one}");
    assert_eq!(world.list(PODS).len(), 3);
}

#[test]
fn pods_of_a_deleted_job_go_with_it_wherever_they_are() {
    let mut world = World::new();
    let mut nowhere = job("migrate");
    nowhere["metadata"]["name"] = "two".into();
    nowhere["spec"]["template"]["spec"]["nodeSelector"] = json!({"disk": "ssd"});
    world.create(JOBS, &job("migrate:ready"));
    world.create(JOBS, &nowhere);
    world.pass(5);
    assert_eq!(world.list(PODS).len(), 2);
    for name in ["one", "two"] {
        world.delete(&format!("{JOBS}/{name}"), "Background");
    }
    world.pass(60);
    assert_eq!(world.list(PODS), Vec::<Value>::new());
}

#[test]
fn pods_that_a_job_leaves_behind_are_held_by_nobody() {
    // In some of them the pod has lost its owner before the Job lets go of it.
    for seed in 0..32 {
        let mut world = World::seeded(seed);
        world.create(JOBS, &job("migrate:ready"));
        world.pass(5);
        let held = world.list(PODS).pop().expect("a pod")["metadata"]["finalizers"].clone();
        assert_eq!(held, json!(["batch.kubernetes.io/job-tracking"]));
        world.delete(&format!("{JOBS}/one"), "Orphan");
        world.pass(5);
        let pods = world.list(PODS);
        let [pod] = &pods[..] else { panic!("{pods:?}") };
        let metadata = &pod["metadata"];
        let left = ["ownerReferences", "finalizers", "deletionTimestamp"].map(|field| metadata.get(field));
        assert_eq!(left, [None; 3], "seed {seed}");
    }
}

#[test]
fn a_job_that_takes_too_long_is_ended() {
    let mut world = World::new();
    let mut told = job("migrate:ready");
    told["spec"]["activeDeadlineSeconds"] = 30.into();
    world.create(JOBS, &told);
    world.pass(20);
    assert_eq!(one(&mut world)["status"]["active"], 1);
    world.pass(20);
    let one = one(&mut world);
    assert_eq!(
        condition(&one, "Failed"),
        ["True", "DeadlineExceeded", "Job was active longer than specified deadline"]
    );
    assert!(one["status"]["active"].is_null(), "{one}");
}

#[test]
fn a_suspended_job_has_no_pods() {
    let mut world = World::new();
    let mut told = job("migrate");
    told["spec"]["suspend"] = true.into();
    world.create(JOBS, &told);
    world.pass(10);
    assert_eq!(condition(&one(&mut world), "Suspended")[0], "True");
    assert!(world.list(PODS).is_empty());
    world.merge(&format!("{JOBS}/one"), &json!({"spec": {"suspend": false}}));
    world.pass(10);
    assert_eq!(condition(&one(&mut world), "Complete")[0], "True");
}

#[test]
fn a_job_that_is_told_to_goes_after_its_end() {
    let mut world = World::new();
    let mut told = job("migrate");
    told["spec"]["ttlSecondsAfterFinished"] = 60.into();
    world.create(JOBS, &told);
    world.pass(50);
    assert!(world.is_there(&format!("{JOBS}/one")));
    world.pass(30);
    assert!(!world.is_there(&format!("{JOBS}/one")));
    assert!(world.list(PODS).is_empty());
}

#[test]
fn pods_outlive_a_job_that_is_deleted_without_a_word() {
    let mut world = World::new();
    world.create(JOBS, &job("migrate"));
    world.pass(10);
    let (code, _) = world.ask("DELETE", &format!("{JOBS}/one"), "", &Value::Null);
    assert_eq!(code, 200);
    world.pass(5);
    assert!(!world.is_there(&format!("{JOBS}/one")));
    assert_eq!(world.list(PODS).len(), 1);
}
