//! Five hundred Applications at once: what they cost the API server, when they come and when the operator comes back.
//!
//! Beside the operator there are the API server and etcd alone, so that every request in the audit log is its own.

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use cluster::Options;
use serde_json::{Value, json};

use crate::support::{Children, Request, Space, World, faults, let_time_pass, record, wait_until_good};

const APPLICATIONS: usize = 500;

/// Clients that create them; more than one, so that the operator is the one who is late.
const CLIENTS: usize = 4;

/// Deployment, Service and two versions of the status.
const MOST_WRITES: usize = 4;

/// In which an operator that has something to write would have written it: it takes milliseconds.
const QUIET: std::time::Duration = std::time::Duration::from_secs(5);

#[test]
fn a_fleet_costs_four_writes_each_and_no_reads_and_a_restart_costs_nothing() {
    let Some(world) = World::start(Options::api_only()) else { return };
    let mut operator = world.operator(&[]);
    let space = world.space("fleet");

    let started = Instant::now();
    create(&space);
    record("created after", started.elapsed());
    wait_until_good("the fleet to converge", || amiss(&space));
    record("converged after", started.elapsed());

    let_time_pass(QUIET);
    let requests = world.requests_of_operator();
    let writes = writes_by_application(&requests);
    assert_eq!(writes.len(), APPLICATIONS);
    let most = writes.iter().max_by_key(|(_, writes)| writes.len()).expect("there are some");
    record("writes of all", writes.values().map(Vec::len).sum::<usize>());
    record("most writes of one", most.1.len());
    assert!(most.1.len() <= MOST_WRITES, "{most:#?}");
    assert_eq!(reads_of_objects(&requests), Vec::<&Request>::new());
    let lists = requests.iter().filter(|request| request.verb == "list").count();
    assert!(lists <= 6, "{lists} lists of three kinds");

    operator.kill();
    let before = world.requests_of_operator().len();
    operator.start_again();
    operator.wait_until_ready();
    let_time_pass(QUIET);
    let after = world.requests_of_operator().split_off(before);
    let others: Vec<_> = after.iter().filter(|request| !matches!(request.verb.as_str(), "list" | "watch")).collect();
    assert_eq!(others, Vec::<&Request>::new(), "a restart over a converged fleet changes nothing and tells nothing");
}

fn create(space: &Space<'_>) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= APPLICATIONS {
                        break;
                    }
                    space.application(&name(index), &json!({"image": "nginx:1.29", "replicas": 2, "port": 8080}));
                }
            });
        }
    });
}

fn name(index: usize) -> String {
    format!("app-{index}")
}

/// What is not yet as it should be; of many faults the first few.
fn amiss(space: &Space<'_>) -> Vec<String> {
    let by_name = |resource: &str| -> BTreeMap<String, Value> {
        let objects = space.list(resource).into_iter();
        objects.map(|object| (object["metadata"]["name"].as_str().unwrap_or_default().to_owned(), object)).collect()
    };
    let (applications, mut deployments, mut services) =
        (by_name("applications"), by_name("deployments"), by_name("services"));
    let faults = applications.iter().flat_map(|(name, application)| {
        let children = Children {
            deployment: deployments.remove(&format!("{name}-deployment")),
            service: services.remove(&format!("{name}-service")),
        };
        let mut found = faults(application, &children);
        if application["status"]["observedGeneration"] != application["metadata"]["generation"] {
            found.push(format!("{name} has no status"));
        }
        found
    });
    faults.take(3).collect()
}

/// The writes for each Application, whose name all its objects' names begin with.
fn writes_by_application(requests: &[Request]) -> BTreeMap<String, Vec<&Request>> {
    let mut writes: BTreeMap<String, Vec<&Request>> = BTreeMap::new();
    for request in requests.iter().filter(|request| request.is_write_of(support::OPERATOR)) {
        let name = request.name.trim_end_matches("-deployment").trim_end_matches("-service");
        writes.entry(name.to_owned()).or_default().push(request);
    }
    writes
}

fn reads_of_objects(requests: &[Request]) -> Vec<&Request> {
    requests.iter().filter(|request| request.verb == "get").collect()
}
