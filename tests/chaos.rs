//! Everything that can be killed is, in the middle of everything; once it is back, all converges and falls silent.

mod support;

use std::time::{Duration, SystemTime};

use cluster::{Component, Options};
use serde_json::{Value, json};

use crate::support::{
    Children, Operator, Request, Space, World, faults, let_time_pass, path, record, wait_for, wait_until_good,
};

const APPLICATIONS: u64 = 60;

/// Rounds of edits with one kill each.
const ROUNDS: u64 = 6;

/// How long a killed component stays away: long enough for every connection to be seen as lost.
const AWAY: Duration = Duration::from_secs(2);

/// In which an operator that has something to write would have written it.
const QUIET: Duration = Duration::from_secs(5);

/// A generator of numbers, so that a failure can be had again (SplitMix64).
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

#[test]
fn whatever_is_killed_in_whatever_order_all_converges_and_falls_silent() {
    let Some(world) = World::start(Options::api_only()) else { return };
    let mut operator = world.operator(&[]);
    let space = world.space("chaos");
    let mut chance = Chance::new();
    for index in 0..APPLICATIONS {
        space.application(&format!("app-{index}"), &wish(&mut chance));
    }
    // Each thing twice, in an order of chance.
    let mut victims = [Victim::Operator, Victim::ApiServer, Victim::Etcd].repeat(2);
    for _ in 0..ROUNDS {
        stir(&space, &mut chance);
        let victim = victims.swap_remove(usize::try_from(chance.below(victims.len() as u64)).unwrap());
        record("killed", &victim);
        victim.fall(&world, &mut operator);
    }
    stir(&space, &mut chance);
    wait_until_good("all to converge", || amiss(&space));

    // No two children of one Application, and nobody else's.
    assert_eq!(space.list("deployments").len(), space.list("applications").len());
    assert_eq!(space.list("services").len(), space.list("applications").len());

    let_time_pass(QUIET);
    let before = world.requests_of_operator().len();
    let_time_pass(QUIET);
    let after = world.requests_of_operator().split_off(before);
    let writes: Vec<&Request> = after.iter().filter(|request| !request.is_read()).collect();
    assert_eq!(writes, Vec::<&Request>::new());
    // Its end would look for refused requests, and an API server that has just started refuses what its roles, which it has
    // not read yet, allow (seen on 1.37).
    std::mem::forget(space);
}

#[derive(Debug, Clone, Copy)]
enum Victim {
    Operator,
    ApiServer,
    Etcd,
}

impl Victim {
    /// Kills it, and brings it back.
    fn fall(self, world: &World, operator: &mut Operator) {
        let component = match self {
            Self::Operator => {
                operator.kill();
                operator.start_again();
                return;
            }
            Self::ApiServer => Component::ApiServer,
            Self::Etcd => Component::Etcd,
        };
        world.cluster.kill(component).expect("it can be killed");
        let_time_pass(AWAY);
        world.cluster.restart(component).expect("it comes back");
    }
}

fn wish(chance: &mut Chance) -> Value {
    json!({
        "image": format!("nginx:1.{}", chance.below(5)),
        "replicas": chance.below(4),
        "port": 8000 + chance.below(3),
    })
}

/// Changes wishes, edits children, deletes children.
fn stir(space: &Space<'_>, chance: &mut Chance) {
    for _ in 0..APPLICATIONS / 2 {
        let app = format!("app-{}", chance.below(APPLICATIONS));
        let (resource, name, change) = match chance.below(4) {
            0 => ("applications", app, Some(json!({"spec": wish(chance)}))),
            1 => ("deployments", format!("{app}-deployment"), Some(json!({"spec": {"replicas": 9}}))),
            2 => {
                let ports = json!([{"name": "http", "port": 9999, "protocol": "TCP", "targetPort": 1}]);
                ("services", format!("{app}-service"), Some(json!({"spec": {"ports": ports}})))
            }
            _ => ("deployments", format!("{app}-deployment"), None),
        };
        let path = format!("{}/{name}", path(resource, &space.name));
        let api = &space.world.api;
        // 404: it is about to be created again; 409: the operator was quicker.
        wait_for("the API server to take a change", || {
            let (code, _) = match &change {
                Some(change) => api.ask("PATCH", &path, change),
                None => api.ask("DELETE", &path, &Value::Null),
            };
            matches!(code, 200 | 202 | 404 | 409).then_some(())
        });
    }
}

fn amiss(space: &Space<'_>) -> Vec<String> {
    let applications = space.list("applications");
    let faults = applications.iter().flat_map(|application| {
        let name = application["metadata"]["name"].as_str().unwrap_or_default();
        let children: Children = space.children(name);
        faults(application, &children)
    });
    faults.take(3).collect()
}
