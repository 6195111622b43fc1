//! What each kind of change costs the API server in requests, held against the page that says so; and that nothing costs
//! none but watches and the Lease.
//!
//! Beside the operator there are the API server and etcd alone. What the Deployment controller writes of pods that are ready
//! at once, the test writes, in one request; what the garbage collector deletes, too. `PEER=<program>` counts
//! `benches/peers/controller-runtime` in the operator's place.

mod support;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use testbed::Options;

use crate::support::{
    OPERATOR, Operator, Request, Space, World, for_each, let_time_pass, reason, record, report_ready, wait_for,
};

/// The page with the table.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/requests.md");

/// The user that another operator is, which may do everything.
const OTHER: &str = "limited";

/// In which an operator that has something to do would have done it: it takes milliseconds, and a second to tell by events.
const QUIET: Duration = Duration::from_millis(1_500);

/// Clients that create and report on a fleet.
const CLIENTS: usize = 8;

/// Between two renewals of the Lease: the default of `--leader-elect-retry-period`.
const RENEWAL: Duration = Duration::from_secs(2);

/// A kind of change.
struct Change {
    /// Its name in the table.
    name: &'static str,
    /// The Application before it, if there is one.
    before: Option<Value>,
    /// Whether it is made of what any operator for this resource knows: image, replicas and port.
    is_common: bool,
    /// Makes it.
    make: fn(&Space<'_>, &str),
}

fn changes() -> Vec<Change> {
    let plain = || json!({"image": "nginx:1", "replicas": 2, "port": 80});
    let follower = json!({"image": "nginx:1", "replicas": 2, "port": 80, "configRollout": {"minInterval": "1s"},
        "envFrom": [{"configMapRef": {"name": "settings"}}]});
    let change =
        |name: &'static str, make: fn(&Space<'_>, &str)| Change { name, before: Some(plain()), is_common: true, make };
    vec![
        Change {
            name: "an Application is created",
            before: None,
            is_common: true,
            make: |space, name| {
                space.application(name, &json!({"image": "nginx:1", "replicas": 2, "port": 80}));
            },
        },
        change("its image changes", |space, name| edit(space, name, &json!({"image": "nginx:2"}))),
        change("it is scaled", |space, name| edit(space, name, &json!({"replicas": 3}))),
        change("its port changes", |space, name| edit(space, name, &json!({"port": 8080}))),
        change("its Deployment is deleted", |space, name| space.delete("deployments", &format!("{name}-deployment"))),
        change("its Deployment's image is edited", |space, name| {
            let containers = json!([{"name": format!("{name}-container"), "image": "nginx:edited",
                "ports": [{"containerPort": 80, "protocol": "TCP"}]}]);
            let change = json!({"spec": {"template": {"spec": {"containers": containers}}}});
            space.edit("deployments", &format!("{name}-deployment"), &change);
        }),
        Change {
            name: "a ConfigMap that it follows changes",
            before: Some(follower),
            is_common: false,
            make: |space, _| {
                space.edit("configmaps", "settings", &json!({"data": {"level": "debug"}}));
            },
        },
        Change {
            is_common: false,
            ..change("it is paused", |space, name| edit(space, name, &json!({"paused": true})))
        },
        change("it is deleted", |space, name| {
            space.delete("applications", name);
            space.delete("deployments", &format!("{name}-deployment"));
            space.delete("services", &format!("{name}-service"));
        }),
    ]
}

fn edit(space: &Space<'_>, name: &str, spec: &Value) {
    space.edit("applications", name, &json!({"spec": spec}));
}

/// Whose requests are counted.
struct Counted<'w> {
    world: &'w World,
    operator: Operator,
    user: &'static str,
}

impl<'w> Counted<'w> {
    /// The operator, or that of `PEER`.
    fn start(world: &'w World) -> Self {
        let Some(program) = peer() else { return Self { world, operator: world.operator(&[]), user: OPERATOR } };
        let bind = ["create", "clusterrolebinding", "other", "--clusterrole=cluster-admin", "--user", OTHER];
        world.cluster.kubectl_ok(&bind);
        let kubeconfig = world.cluster.kubeconfig_for(OTHER);
        let operator = Operator::start_other(world.cluster.folder(), &kubeconfig, &program);
        Self { world, operator, user: OTHER }
    }

    /// Its requests once there are no more of them.
    fn until_quiet(&self) -> Vec<Request> {
        self.world.wait_for_silence(QUIET, self.user, &[])
    }

    /// The requests that `change` costs one that is silent, but for watches, which are open all the time.
    fn cost(&self, change: impl FnOnce()) -> Cost {
        let before = self.world.requests_of(self.user).len();
        change();
        let requests = self.until_quiet().split_off(before);
        Cost::of(requests.iter().filter(|request| request.verb != "watch"))
    }

    /// The requests of another start, of which the watches are known once it has ended.
    fn cost_of_restart(&mut self) -> Cost {
        self.operator.kill();
        let started = Timestamp::now();
        self.operator.start_again();
        self.until_quiet();
        self.operator.terminate();
        self.operator.wait();
        Cost::of(self.until_quiet().iter().filter(|request| request.at >= started))
    }
}

/// The program in the operator's place, if there is one.
fn peer() -> Option<PathBuf> {
    env::var_os("PEER").map(PathBuf::from)
}

/// Requests by verb and resource.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cost {
    requests: BTreeMap<String, usize>,
    /// Those that tell of it by events.
    events: usize,
}

impl Cost {
    fn of<'a>(requests: impl Iterator<Item = &'a Request>) -> Self {
        let mut cost = Self::default();
        for request in requests {
            if request.resource == "events" {
                cost.events += 1;
                continue;
            }
            // What is asked of no resource is discovery.
            let what = match (&*request.resource, &*request.subresource) {
                ("", _) => request.uri.split('?').next().unwrap_or_default().to_owned(),
                (resource, "") => resource.to_owned(),
                (resource, subresource) => format!("{resource}/{subresource}"),
            };
            *cost.requests.entry(format!("{} {what}", request.verb)).or_default() += 1;
        }
        cost
    }

    /// As a cell of the table.
    fn cell(&self) -> String {
        let all: usize = self.requests.values().sum::<usize>() + self.events;
        if all == 0 {
            return "none".to_owned();
        }
        let mut parts: Vec<String> = self.requests.iter().map(|(what, number)| format!("{number} `{what}`")).collect();
        if self.events > 0 {
            parts.push(format!("{} of events", self.events));
        }
        format!("**{all}**: {}", parts.join(", "))
    }
}

/// Reports the pods of an Application as ready, if it has any.
fn report(space: &Space<'_>, application: &str) {
    if let Some(deployment) = space.get("deployments", &format!("{application}-deployment")) {
        report_ready(&space.world.api, &deployment);
    }
}

#[test]
fn each_kind_of_change_costs_the_requests_that_the_page_says() {
    let Some(world) = World::start(Options::api_only()) else { return };
    let mut counted = Counted::start(&world);
    let space = world.space("requests");
    space.create("configmaps", &json!({"metadata": {"name": "settings"}, "data": {"level": "info"}}));
    let changes: Vec<Change> = changes().into_iter().filter(|change| change.is_common || peer().is_none()).collect();
    // Each has an Application of its own, so that none depends on what was told of another.
    let named: Vec<(String, &Change)> =
        changes.iter().enumerate().map(|(index, change)| (format!("app-{index}"), change)).collect();
    for (name, spec) in named.iter().filter_map(|(name, change)| Some((name, change.before.as_ref()?))) {
        space.application(name, spec);
    }
    for (name, _) in named.iter().filter(|(_, change)| change.before.is_some()) {
        wait_for("the Deployment", || space.get("deployments", &format!("{name}-deployment")));
        report(&space, name);
        space.wait_for_status(name, "to be ready", |seen| reason(seen, "Ready").0 == "True");
    }
    counted.until_quiet();

    let mut rows: Vec<(&str, String)> = Vec::new();
    for (name, change) in &named {
        let cost = counted.cost(|| {
            (change.make)(&space, name);
            counted.until_quiet();
            report(&space, name);
        });
        if space.get("applications", name).is_some() {
            space.wait_for_status(name, "to be ready", |seen| reason(seen, "Ready").0 == "True");
        }
        rows.push((change.name, cost.cell()));
    }
    let idle = counted.cost(|| let_time_pass(QUIET * 2));
    rows.push(("the operator starts again", counted.cost_of_restart().cell()));
    rows.push(("nothing", idle.cell()));

    record("requests by kind of change", &rows);
    let counted: Vec<String> = rows.iter().map(|(name, cell)| format!("| {name} | {cell} |")).collect();
    let all = counted.join("\n");
    if peer().is_some() {
        // It differs from run to run.
        eprintln!("{all}");
        return;
    }
    let page = fs::read_to_string(PAGE).expect("the page");
    let said: Vec<(&str, String)> = lines(&page).filter_map(row).collect();
    assert_eq!(said, rows, "{PAGE} is to say:\n{all}");
}

/// The lines of the table by kind of change, and not those of others.
fn lines(page: &str) -> impl Iterator<Item = &str> {
    let table = page.split("<!-- changes -->").nth(1).unwrap_or_default();
    let rows = table.split("<!-- end of changes -->").next().unwrap_or_default().lines();
    rows.filter(|line| line.starts_with('|')).skip(2)
}

/// What a row says of the operator, by its name.
fn row(line: &str) -> Option<(&str, String)> {
    let mut cells = line.trim_matches('|').split('|').map(str::trim);
    Some((cells.next()?, cells.next()?.to_owned()))
}

/// A number in the environment.
fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text}")))
}

#[test]
fn a_converged_fleet_costs_watches_and_the_lease_and_nothing_else() {
    let Some(world) = World::start(Options::api_only()) else { return };
    let applications = setting("IDLE_APPLICATIONS", 20);
    let time = Duration::from_secs(setting("IDLE_SECONDS", 20));
    let mut operator = world.operator(&["--leader-elect"]);
    let space = world.space("idle");
    for_each(applications, CLIENTS, |name| {
        space.application(name, &json!({"image": "nginx:1", "replicas": 2, "port": 80}));
    });
    for_each(applications, CLIENTS, |name| {
        wait_for("the Deployment", || space.get("deployments", &format!("{name}-deployment")));
    });
    for_each(applications, CLIENTS, |name| report(&space, name));
    for_each(applications, CLIENTS, |name| {
        space.wait_for_status(name, "to be ready", |seen| reason(seen, "Ready").0 == "True");
    });
    world.wait_for_silence(QUIET, OPERATOR, &["leases"]);

    let (from, used) = (Timestamp::now(), operator.processor_seconds());
    let_time_pass(time);
    let (until, used) = (Timestamp::now(), operator.processor_seconds() - used);
    let others = world.requests_of_operator().into_iter().filter(|request| request.at >= from);
    let others = others.filter(|request| request.resource != "leases" && request.verb != "watch");
    assert_eq!(others.collect::<Vec<_>>(), Vec::<Request>::new(), "nothing has changed");
    // A watch is known once it has ended.
    operator.terminate();
    operator.wait();
    let requests = world.requests_of_operator().into_iter();
    let requests: Vec<Request> = requests.filter(|request| (from..until).contains(&request.at)).collect();
    let cost = Cost::of(requests.iter());
    record("Applications", applications);
    record("requests meanwhile", &cost.requests);
    record("processor seconds meanwhile", used);
    let renewals = requests.iter().filter(|request| request.resource == "leases").count() as u64;
    // A try takes up to a fifth longer, so that several electors don't meet.
    let (least, most) = (time.as_secs() * 5 / 6 / RENEWAL.as_secs(), time.as_secs() / RENEWAL.as_secs() + 1);
    assert!((least.saturating_sub(1)..=most).contains(&renewals), "{renewals} renewals in {time:?}");
}
