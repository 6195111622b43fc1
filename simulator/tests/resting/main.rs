//! The same deeds to a real control plane and to the simulator, both with the controllers behind the API: where everything
//! comes to rest has to be the same.
//!
//! The simulator comes to rest in virtual time, and so at once. The real one is looked at until it is where the simulator is,
//! and has to stay there.

mod jobs;
mod normal;
mod ownership;
mod rollouts;
mod scenario;
mod services;
mod side;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cluster::Options;
use serde_json::Value;

use crate::scenario::Scenario;
use crate::side::{Real, Simulated, carry_out, look};

/// Scenarios that are played at the same time: most of the time the real controllers wait for each other.
const THREADS: usize = 8;

/// How long the real controllers may take to come to rest after a step. On two busy cores the slowest has taken a fifth.
const PATIENCE: Duration = Duration::from_secs(50);

/// Between two looks at the real control plane.
const PAUSE: Duration = Duration::from_millis(250);

/// How often in a row the real one has to be found at rest: what only passes through that state goes on in less.
const LOOKS: usize = 3;

/// Plays a scenario on both, and says where they come to rest in different states.
fn differ(real: &Real, scenario: &Scenario) -> Option<String> {
    let space = format!("resting-{}", scenario.name);
    let mut simulated = Simulated::new();
    let mut real = real.clone();
    scenario::open(&mut simulated, &space);
    scenario::open(&mut real, &space);
    real.wait_for_account(&space);
    for (number, step) in scenario.steps.iter().enumerate() {
        for deed in step {
            let done = [carry_out(&mut real, &space, deed), carry_out(&mut simulated, &space, deed)];
            if done != [true, true] {
                let name = scenario.name;
                return Some(format!(
                    "{name}, step {number}: {deed:?} is done by the real one, the simulator: {done:?}"
                ));
            }
        }
        let expected = simulated.rest(&space);
        let begin = Instant::now();
        let (mut found, mut hits) = (Value::Null, 0);
        while hits < LOOKS {
            if begin.elapsed() > PATIENCE {
                return Some(format!("{}, step {number}: {}", scenario.name, explain(&found, &expected)));
            }
            thread::sleep(PAUSE);
            found = look(&mut real, &space);
            hits = if found == expected { hits + 1 } else { 0 };
        }
    }
    None
}

/// The lines that one of them has alone.
fn explain(real: &Value, simulated: &Value) -> String {
    let lines = |value: &Value| -> Vec<String> {
        serde_json::to_string_pretty(value).expect("JSON").lines().map(str::to_owned).collect()
    };
    let (a, b) = (lines(real), lines(simulated));
    let only = |of: &[String], other: &[String], sign: &str| -> Vec<String> {
        of.iter().filter(|line| !other.contains(line)).map(|line| format!("{sign} {line}")).collect()
    };
    let lines = [only(&a, &b, "real     "), only(&b, &a, "simulated")].concat().join("\n");
    format!("they rest in different states:\n{lines}\nreal:      {real}\nsimulated: {simulated}")
}

#[test]
fn the_controllers_of_both_bring_the_same_deeds_to_rest_in_the_same_state() {
    let Some(cluster) = cluster::start_or_say(Options { audit: false, ..Options::default() }) else { return };
    let real = Real::new(cluster.kubeconfig());
    let scenarios = [rollouts::all(), jobs::all(), services::all(), ownership::all()].concat();
    let next = AtomicUsize::new(0);
    let play = || {
        let mut complaints = Vec::new();
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            complaints.extend(differ(&real, scenario));
        }
        complaints
    };
    let complaints: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(play)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let steps: usize = scenarios.iter().map(|scenario| scenario.steps.len()).sum();
    println!("{} scenarios with {steps} resting states", scenarios.len());
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}
