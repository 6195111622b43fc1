//! A version that renders pods otherwise than the one before it, over a fleet whose pods need half a minute each to be available.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::life::{APPLICATIONS, Life, PATIENCE, condition, live, names};

const AT_A_TIME: usize = 10;
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

/// Makes the fleet, ends the operator, and has every Deployment as somebody else rendered it, with these `metadata` besides.
async fn fleet(life: &Life, count: usize, metadata: fn(&Value) -> Value) -> Vec<String> {
    let names = names(count);
    for name in &names {
        life.create(name, "nginx").await;
        life.merge(&format!("{APPLICATIONS}/{name}"), &json!({"spec": {"minReadySeconds": 30}})).await;
    }
    life.wait_for_ready(&names).await;
    life.kill_operator();
    for name in &names {
        let application = life.get(&format!("{APPLICATIONS}/{name}")).await;
        let former = json!({
            "metadata": metadata(&application),
            "spec": {"template": {"spec": {"automountServiceAccountToken": true}}},
        });
        life.merge(&format!("{DEPLOYMENTS}/{name}-deployment"), &former).await;
    }
    life.wait("the former pods", async || life.list(DEPLOYMENTS).await.iter().all(is_rolled_out)).await;
    names
}

/// As a former version left it.
fn of_a_former_version(_: &Value) -> Value {
    json!({"annotations": {"minetto.dev/applied-hash": "a-former-version", "minetto.dev/revision": null}})
}

/// As the Go operator left it.
fn of_the_go_operator(application: &Value) -> Value {
    let owner = json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application",
        "name": application["metadata"]["name"], "uid": application["metadata"]["uid"]});
    json!({"annotations": {"minetto.dev/applied-hash": null, "minetto.dev/revision": null}, "ownerReferences": [owner]})
}

fn is_rolled_out(deployment: &Value) -> bool {
    let status = &deployment["status"];
    status["observedGeneration"] == deployment["metadata"]["generation"]
        && [&status["updatedReplicas"], &status["replicas"], &status["availableReplicas"]]
            .iter()
            .all(|count| **count == deployment["spec"]["replicas"])
}

fn is_new(deployment: &Value) -> bool {
    deployment["spec"]["template"]["spec"]["automountServiceAccountToken"] == false
}

/// How many Deployments are as this version renders them, and how many of these are not there yet.
async fn count(life: &Life) -> (usize, usize) {
    let all = life.list(DEPLOYMENTS).await;
    let new = all.iter().filter(|deployment| is_new(deployment));
    (new.clone().count(), new.filter(|deployment| !is_rolled_out(deployment)).count())
}

/// Waits until `all` are as this version renders them, but for so many that never get there, and looks at each second that no
/// more than `most` are on their way.
async fn wait_for(life: &Life, all: usize, stuck: usize, most: usize) -> Duration {
    let started = Instant::now();
    loop {
        let (new, under_way) = count(life).await;
        assert!(under_way <= most, "{under_way} at a time");
        if new == all && under_way == stuck {
            return started.elapsed();
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for the whole fleet: {new} of {all}");
        sleep(Duration::from_secs(1)).await;
    }
}

async fn upgrade(life: Arc<Life>) {
    const FLEET: usize = 40;
    let names = fleet(&life, FLEET, of_a_former_version).await;
    life.start_operator();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(count(&life).await, (AT_A_TIME, AT_A_TIME), "as many as may be are under way, and no more");
    let all = life.list(APPLICATIONS).await;
    assert!(all.iter().filter(|one| condition(one, "Ready")[0] == "True").count() >= FLEET - AT_A_TIME);

    // Nobody who wishes for something waits.
    life.create("new", "nginx").await;
    let waiting = life.list(DEPLOYMENTS).await.into_iter().rfind(|one| !is_new(one)).expect("one that waits");
    let changed = waiting["metadata"]["labels"]["app"].as_str().expect("a label").to_owned();
    life.merge(&format!("{APPLICATIONS}/{changed}"), &json!({"spec": {"image": "nginx:1.29"}})).await;
    sleep(Duration::from_secs(1)).await;
    let made = life.get(&format!("{DEPLOYMENTS}/new-deployment")).await;
    assert!(is_new(&made), "{made}");
    let made = life.get(&format!("{DEPLOYMENTS}/{changed}-deployment")).await;
    assert_eq!(made["spec"]["template"]["spec"]["containers"][0]["image"], "nginx:1.29");
    // Those two are beside the count.
    let took = wait_for(&life, FLEET + 1, 0, AT_A_TIME + 2).await;
    assert!(took > Duration::from_secs(90), "four rounds of half a minute each: {took:?}");
    life.wait_for_ready(&names).await;
}

#[test]
fn a_version_that_renders_pods_otherwise_replaces_those_of_ten_applications_at_a_time_and_keeps_no_user_waiting() {
    live(7, &[], upgrade);
}

async fn adoption(life: Arc<Life>) {
    const FLEET: usize = 24;
    let names = fleet(&life, FLEET, of_the_go_operator).await;
    for name in &names {
        life.merge(&format!("{APPLICATIONS}/{name}/status"), &json!({"status": null})).await;
    }
    life.start_operator();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(count(&life).await, (AT_A_TIME, AT_A_TIME), "what was never told of counts as it is");
    let took = wait_for(&life, FLEET, 0, AT_A_TIME).await;
    assert!(took > Duration::from_mins(1), "three rounds of half a minute each: {took:?}");
    life.wait_for_ready(&names).await;
}

#[test]
fn a_fleet_of_the_go_operator_is_adopted_ten_applications_at_a_time() {
    live(8, &[], adoption);
}

/// More of them are paused than may be under way at a time.
async fn paused(life: Arc<Life>) {
    const PAUSED: usize = AT_A_TIME + 2;
    const FLEET: usize = 24;
    let names = fleet(&life, FLEET, of_a_former_version).await;
    for name in &names[..PAUSED] {
        let uri = format!("{APPLICATIONS}/{name}");
        life.merge(&uri, &json!({"spec": {"paused": true}})).await;
        // As if the operator had told of it while it was there.
        let generation = life.get(&uri).await["metadata"]["generation"].clone();
        life.merge(&format!("{uri}/status"), &json!({"status": {"observedGeneration": generation}})).await;
        life.merge(&format!("{DEPLOYMENTS}/{name}-deployment"), &json!({"spec": {"paused": true}})).await;
    }
    life.start_operator();
    wait_for(&life, FLEET, PAUSED, PAUSED + AT_A_TIME).await;
    life.wait_for_ready(&names[PAUSED..]).await;
}

#[test]
fn those_that_are_paused_keep_nobody_waiting_while_a_version_replaces_pods() {
    live(9, &[], paused);
}
