//! Everything that can be killed is, in the middle of everything; once it is back, all converges and falls silent.

mod support;

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use testbed::{Component, Feature, Options};

use crate::support::{
    OPERATOR, Operator, Space, World, faults, let_time_pass, path, reason, record, wait_for, wait_until_good,
};

const APPLICATIONS: u64 = 60;

/// What happens to Applications and children in one round.
const EDITS: u64 = 40;

/// The longest from the beginning of a round to its kill: edits are still being made, and being answered.
const LEAD_MILLIS: u64 = 300;

/// How long a killed component stays away: long enough for every connection to be seen as lost.
const AWAY: Duration = Duration::from_secs(2);

/// In which an operator that has something to write would have written it.
const QUIET: Duration = Duration::from_secs(5);

/// A generator of numbers (`SplitMix64`), so that a failure can be had again.
struct Chance(u64);

impl Chance {
    /// From the environment variable `SEED`, or the clock. Says which.
    fn new() -> Self {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            u64::from(now.subsec_nanos())
        });
        record("SEED", seed);
        Self(seed)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[derive(Debug, Clone, Copy)]
enum Victim {
    Operator,
    ApiServer,
    Etcd,
}

#[test]
fn whatever_is_killed_in_whatever_order_all_converges_and_falls_silent() {
    let Some(world) = World::start(Options::default()) else { return };
    let mut operator = world.operator(&[]);
    let space = world.space("chaos");
    let mut chance = Chance::new();
    for index in 0..APPLICATIONS {
        space.application(&format!("app-{index}"), &wish(&mut chance));
    }
    // Each thing twice, in an order of chance.
    let mut victims = [Victim::Operator, Victim::ApiServer].repeat(2);
    if testbed::has(Feature::Etcd) {
        victims.extend([Victim::Etcd; 2]);
    }
    while !victims.is_empty() {
        let index = usize::try_from(chance.below(victims.len() as u64)).expect("an index");
        let victim = victims.swap_remove(index);
        record("killed", victim);
        let lead = Duration::from_millis(chance.below(LEAD_MILLIS));
        let mut edits = Chance(chance.below(u64::MAX));
        thread::scope(|scope| {
            scope.spawn(|| stir(&space, &mut edits));
            let_time_pass(lead);
            fall(victim, &world, &mut operator);
        });
    }
    let back = Instant::now();
    wait_until_good("all to converge", || amiss(&space));
    record("all converged after the last kill in", back.elapsed());
    assert!(operator.is_running());

    // No two children of one Application, and none of a former one.
    wait_until_good("one child of each kind for each Application", || {
        let counts = ["applications", "deployments", "services"].map(|kind| space.list(kind).len() as u64);
        if counts == [APPLICATIONS; 3] { vec![] } else { vec![format!("{counts:?}")] }
    });

    world.wait_for_silence(QUIET, OPERATOR, &[]);
    // Its end would look for refused requests, and an API server that has just started refuses what its roles, which it has
    // not read yet, allow (seen on 1.37).
    std::mem::forget(space);
}

/// Kills it, and brings it back after a while.
fn fall(victim: Victim, world: &World, operator: &mut Operator) {
    let component = match victim {
        Victim::Operator => {
            operator.kill();
            let_time_pass(AWAY);
            operator.start_again();
            return;
        }
        Victim::ApiServer => Component::ApiServer,
        Victim::Etcd => Component::Etcd,
    };
    world.cluster.kill(component).expect("it can be killed");
    let_time_pass(AWAY);
    world.cluster.restart(component).expect("it comes back");
}

fn wish(chance: &mut Chance) -> Value {
    json!({
        "image": format!("nginx:1.{}", chance.below(5)),
        "replicas": chance.below(3),
        "port": 8000 + chance.below(3),
    })
}

/// Changes wishes, edits and deletes children.
fn stir(space: &Space<'_>, chance: &mut Chance) {
    for _ in 0..EDITS {
        let app = format!("app-{}", chance.below(APPLICATIONS));
        let (deployment, service) = (format!("{app}-deployment"), format!("{app}-service"));
        match chance.below(5) {
            0 | 1 => persist(space, "PATCH", "applications", &app, &json!({"spec": wish(chance)})),
            2 => persist(space, "PATCH", "deployments", &deployment, &json!({"spec": {"replicas": 5}})),
            3 => {
                let ports = json!([{"name": "http", "port": 9999, "protocol": "TCP", "targetPort": 1}]);
                persist(space, "PATCH", "services", &service, &json!({"spec": {"ports": ports}}));
            }
            _ => persist(space, "DELETE", "deployments", &deployment, &json!({"propagationPolicy": "Background"})),
        }
    }
}

/// Sends a request until the API server has taken it, or what it is about is not there.
fn persist(space: &Space<'_>, method: &str, resource: &str, name: &str, body: &Value) {
    let path = format!("{}/{name}", path(resource, &space.name));
    wait_for("the API server to take a change", || {
        let (code, _) = space.world.api.try_ask(method, &path, body)?;
        matches!(code, 200 | 202 | 404 | 409).then_some(())
    });
}

/// What is not as it should be; of many faults the first few.
fn amiss(space: &Space<'_>) -> Vec<String> {
    let faults = space.list("applications").into_iter().flat_map(|application| {
        let name = application["metadata"]["name"].as_str().unwrap_or_default();
        let mut found = faults(&application, &space.children(name));
        let is_told = application["status"]["observedGeneration"] == application["metadata"]["generation"];
        if !is_told || reason(&application, "Ready").0 != "True" {
            found.push(format!("not ready: {}", application["status"]));
        }
        found.into_iter().map(|fault| format!("{name}: {fault}")).collect::<Vec<_>>()
    });
    faults.take(3).collect()
}
