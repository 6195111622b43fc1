//! Five hundred Applications at once: what they cost the API server, when they come, when nothing changes, and when the
//! operator comes back.
//!
//! Beside the operator there is the API server alone, so that nobody else makes work for it.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::Options;

use crate::support::{Children, OPERATOR, Request, Space, World, faults, for_each, let_time_pass, record, wait_for};

const APPLICATIONS: usize = 500;

/// Clients that create them; more than one, so that the operator is the one who is late.
const CLIENTS: usize = 4;

/// Deployment, Service and status.
const WRITES: usize = 3;

/// In which an operator that has something to do would have done it: it takes milliseconds.
const QUIET: Duration = Duration::from_secs(5);

/// Between two looks at the whole fleet, which cost the API server more than the operator does.
const REST: Duration = Duration::from_millis(500);

#[test]
fn a_fleet_costs_three_writes_each_and_no_reads_and_standing_still_costs_nothing() {
    let Some(world) = World::start(Options::api_only()) else { return };
    let mut operator = world.operator(&[]);
    let space = world.space("fleet");
    for_each(APPLICATIONS as u64, CLIENTS, |name| {
        space.application(name, &json!({"image": "nginx:1.29", "replicas": 2, "port": 8080}));
    });
    wait_for("the fleet to converge", || {
        let_time_pass(REST);
        amiss(&space).is_empty().then_some(())
    });
    // Nothing changes, and nothing is asked or told any more.
    let requests = world.wait_for_silence(QUIET, OPERATOR, &[]);

    let created = world.requests().into_iter().filter(|request| request.user == "admin" && request.verb == "create");
    let created: Vec<_> =
        created.filter(|request| request.resource == "applications").map(|request| request.at).collect();
    let writes = writes_by_application(&requests);
    let last = writes.values().flatten().map(|write| write.at).max().expect("there are writes");
    let seconds = |from: jiff::Timestamp, to: jiff::Timestamp| to.duration_since(from).as_secs_f64();
    record("seconds in which the fleet was created", seconds(created[0], created[created.len() - 1]));
    record("seconds until the operator's last write", seconds(created[0], last));
    let mut histogram: BTreeMap<usize, usize> = BTreeMap::new();
    for writes in writes.values() {
        *histogram.entry(writes.len()).or_default() += 1;
    }
    record("Applications by number of writes", &histogram);
    assert_eq!(writes.len(), APPLICATIONS);
    let most = writes.iter().max_by_key(|(_, writes)| writes.len()).expect("there are some");
    assert!(most.1.len() <= WRITES, "{most:#?}");
    // A watch may be: of a resource that was just defined, until the server's cache has been filled.
    let refused: Vec<_> = requests.iter().filter(|request| request.code >= 400 && !request.is_read()).collect();
    assert!(refused.is_empty(), "a write met another state than it expected: {refused:#?}");
    assert_eq!(reads_of_objects(&requests), Vec::<&Request>::new());
    let lists = requests.iter().filter(|request| request.verb == "list").count();
    assert!(lists <= 3, "{lists} lists");

    operator.kill();
    let before = world.requests_of_operator().len();
    let restarted = Instant::now();
    operator.start_again();
    operator.wait_until_ready();
    record("ready again over a fleet after", restarted.elapsed());
    let_time_pass(QUIET);
    let after = world.requests_of_operator().split_off(before);
    let others: Vec<_> = after.iter().filter(|request| !matches!(request.verb.as_str(), "list" | "watch")).collect();
    assert_eq!(others, Vec::<&Request>::new(), "a restart over a converged fleet changes nothing and tells nothing");
    assert_eq!(world.requests_during(QUIET, OPERATOR, &[]), Vec::<Request>::new());
    assert_eq!(amiss(&space), Vec::<String>::new());
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
    for request in requests.iter().filter(|request| request.is_write_of(OPERATOR)) {
        let mut name = request.name.trim_end_matches("-deployment").trim_end_matches("-service");
        if request.resource == "controllerrevisions" {
            name = name.rsplit_once('-').map_or(name, |(application, _)| application);
        }
        writes.entry(name.to_owned()).or_default().push(request);
    }
    writes
}

fn reads_of_objects(requests: &[Request]) -> Vec<&Request> {
    requests.iter().filter(|request| request.verb == "get").collect()
}
