//! Several operators, of which one acts: it hands over, is killed, sleeps through its lease, or loses the API server.
//!
//! Each operator is a user of its own, so that the audit log tells them apart. The lease is short, as nobody wants to wait.

mod support;

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use testbed::{Component, Feature, Options};

use crate::support::{Operator, Request, Space, World, let_time_pass, path, record, wait_for};

/// How long a leader that says nothing more is waited for.
const LEASE: Duration = Duration::from_secs(3);

/// How long a leader acts without a renewal.
const RENEW: Duration = Duration::from_secs(2);

/// [`LEASE`] and [`RENEW`].
const TERMS: [&str; 4] = [
    "--leader-elect",
    "--leader-elect-lease-duration=3s",
    "--leader-elect-renew-deadline=2s",
    "--leader-elect-retry-period=500ms",
];

/// What an operator says when its term begins, and when it has ended before its time.
const BEGAN: &str = " leading lease=";
const ENDED: &str = "not leading any more";

/// What a busy machine may take longer.
const SLACK: Duration = Duration::from_secs(5);

/// The tests, each of which has two users.
const TESTS: [&str; 5] = ["release", "kill", "sleep", "deleted", "forbidden"];

/// A namespace with a Lease of its own, and two users that may be operators of it.
struct Arena<'w> {
    space: Space<'w>,
    users: [String; 2],
}

fn users(test: &str) -> [String; 2] {
    [format!("{test}-first"), format!("{test}-second")]
}

fn world(tests: &[&str]) -> Option<World> {
    let users = tests.iter().flat_map(|test| users(test)).collect();
    World::start(Options { users, ..Options::api_only() })
}

fn shared() -> Option<&'static World> {
    static SHARED: OnceLock<Option<World>> = OnceLock::new();
    SHARED.get_or_init(|| world(&TESTS)).as_ref()
}

impl<'w> Arena<'w> {
    fn new(world: &'w World, test: &str) -> Self {
        let (space, users) = (world.space(test), users(test));
        if testbed::is_simulated() {
            return Self { space, users };
        }
        let verbs = "--verb=create,get,patch,watch";
        space.kubectl(&["create", "role", "election", verbs, "--resource=leases.coordination.k8s.io"]);
        for user in &users {
            for role in ["--clusterrole=application-operator", "--role=election"] {
                let name = format!("{user}-{}", role.split_once('=').expect("a role").1);
                space.kubectl(&["create", "rolebinding", &name, role, &format!("--user={user}")]);
            }
        }
        Self { space, users }
    }

    /// The operator of a user, ready: its caches are filled, whether it leads or stands by.
    fn start(&self, user: usize) -> Operator {
        let name = &self.space.name;
        let own = [format!("--namespace={name}"), format!("--leader-elect-resource-namespace={name}")];
        let args: Vec<&str> = TERMS.into_iter().chain(own.iter().map(String::as_str)).collect();
        let kubeconfig = self.space.world.cluster.kubeconfig_for(&self.users[user]);
        let operator = self.space.world.operator_as(&kubeconfig, &args);
        operator.wait_until_ready();
        operator
    }

    /// Two operators, of which the first leads.
    fn pair(&self) -> (Operator, Operator) {
        let first = self.start(0);
        self.wait_until_leader(&first);
        (first, self.start(1))
    }

    fn leads(&self, operator: &Operator) -> bool {
        let lease = self.space.get("leases", "application-operator");
        lease.is_some_and(|lease| lease["spec"]["holderIdentity"] == json!(identity(operator)))
    }

    fn wait_until_leader(&self, operator: &Operator) -> Duration {
        let started = Instant::now();
        wait_for("an operator to lead", || self.leads(operator).then_some(()));
        started.elapsed()
    }

    /// Makes Applications of these numbers.
    fn fill(&self, numbers: Range<usize>) {
        for index in numbers {
            self.space.application(&format!("app-{index}"), &json!({"image": "nginx", "replicas": 1, "port": 80}));
        }
    }

    fn wait_until_converged(&self, count: usize) {
        for index in 0..count {
            self.space.wait_until_converged(&format!("app-{index}"));
        }
    }

    /// What a user has written into the Lease.
    fn elections(&self, user: usize) -> Vec<Request> {
        self.accepted(user).into_iter().filter(|request| request.resource == "leases").collect()
    }

    /// What a user has written but for the Lease, and events.
    fn writes(&self, user: usize) -> Vec<Request> {
        self.accepted(user).into_iter().filter(|request| request.resource != "leases").collect()
    }

    fn accepted(&self, user: usize) -> Vec<Request> {
        let requests = self.space.world.requests().into_iter();
        requests.filter(|request| request.is_write_of(&self.users[user]) && request.code < 300).collect()
    }

    /// Asserts that the first has written nothing from when the second began.
    #[track_caller]
    fn assert_handed_over(&self) {
        let takeover = self.writes(1).first().expect("the second has written something").at;
        let late: Vec<_> = self.writes(0).into_iter().filter(|request| request.at >= takeover).collect();
        assert!(late.is_empty(), "two acted at a time: {late:#?}");
    }
}

/// How an operator names itself in the Lease.
fn identity(operator: &Operator) -> String {
    let log = operator.log();
    let (_, rest) = log.split_once("identity=\"").expect("it has said so");
    rest.split('"').next().expect("an end").to_owned()
}

/// Takes children away for as long as `during` goes on, so that whoever leads has something to do.
fn churn<T>(space: &Space<'_>, applications: usize, during: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in (0..applications).cycle() {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                // The API server may be frozen, and the child may not be back.
                let path = format!("{}/app-{round}-deployment", path("deployments", &space.name));
                space.world.api.try_ask("DELETE", &path, &json!({}));
                let_time_pass(Duration::from_millis(5));
            }
        });
        // Also where it panics, or the scope would wait for ever.
        let _done = Done(&done);
        during()
    })
}

struct Done<'d>(&'d AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_leader_that_is_told_to_end_hands_over_in_under_a_second() {
    let Some(world) = shared() else { return };
    let arena = Arena::new(world, "release");
    let (mut first, second) = arena.pair();
    arena.fill(0..20);
    arena.wait_until_converged(20);
    assert_eq!(arena.accepted(1), [], "a standby only looks");
    assert_eq!(second.probe("/readyz").expect("an answer").0, 200, "it is ready to take over");

    first.terminate();
    assert_eq!(first.wait().code(), Some(0));
    arena.wait_until_leader(&second);
    let released = arena.elections(0).last().expect("a release").at;
    let acquired = arena.elections(1).first().expect("a takeover").at;
    let took = Duration::try_from(acquired.duration_since(released)).expect("the release came first");
    record("taken over after a clean release in", took);
    assert!(took < Duration::from_secs(1), "{took:?}");
    let lease = arena.space.get("leases", "application-operator").expect("the Lease");
    assert_eq!(lease["spec"]["leaseTransitions"], json!(1), "counted as client-go counts");

    let deleted = Instant::now();
    arena.space.delete("deployments", "app-7-deployment");
    arena.space.wait_until_converged("app-7");
    record("healed by the new leader in", deleted.elapsed());
    arena.assert_handed_over();
}

#[test]
fn a_leader_that_is_killed_is_replaced_once_its_lease_is_over_and_what_it_left_undone_is_done() {
    let Some(world) = shared() else { return };
    let arena = Arena::new(world, "kill");
    let (mut first, second) = arena.pair();
    arena.fill(0..10);
    first.kill();
    // However fast it was, it leaves something undone.
    arena.fill(10..20);
    let took = arena.wait_until_leader(&second);
    record("taken over after a kill in", took);
    assert!(took < LEASE + SLACK, "{took:?}");
    arena.wait_until_converged(20);
    assert!(arena.writes(1).len() >= 20, "two children of each that was made since");
    arena.assert_handed_over();
}

/// Two leaders: a process that was paused, by its hypervisor say, goes on where it was, and does not know how late it is.
#[test]
fn a_leader_that_slept_through_its_lease_writes_nothing_after_its_successor_has_begun() {
    let Some(world) = shared() else { return };
    let arena = Arena::new(world, "sleep");
    let (first, second) = arena.pair();
    arena.fill(0..50);
    churn(&arena.space, 50, || {
        wait_for("the first to be at work", || (arena.writes(0).len() > 60).then_some(()));
        first.pause();
        record("taken over from a leader that sleeps in", arena.wait_until_leader(&second));
        wait_for("the second to be at work", || (arena.writes(1).len() > 20).then_some(()));
        first.resume();
        wait_for("the first to stand down", || first.log().contains(ENDED).then_some(()));
        let seen = arena.writes(1).len();
        wait_for("the second to go on", || (arena.writes(1).len() > seen + 20).then_some(()));
    });
    arena.assert_handed_over();
    assert!(arena.leads(&second) && second.log().contains(BEGAN));
    assert_eq!(first.probe("/readyz").expect("an answer").0, 200, "it stands by again, warm");
}

#[test]
fn a_leader_without_an_api_server_stops_in_time_and_one_leads_when_it_is_back() {
    let Some(world) = world(&["frozen"]) else { return };
    let arena = Arena::new(&world, "frozen");
    let (first, second) = arena.pair();
    arena.fill(0..20);
    arena.wait_until_converged(20);
    world.cluster.pause(Component::ApiServer).expect("it runs");
    let frozen = Instant::now();
    wait_for("the first to stop", || first.log().contains(ENDED).then_some(()));
    let stopped = frozen.elapsed();
    record("stopped after the API server froze in", stopped);
    assert!(stopped < RENEW + SLACK, "{stopped:?}");
    let_time_pass(LEASE + Duration::from_secs(1));
    assert!(!second.log().contains(BEGAN), "nobody leads whom the API server does not know");

    world.cluster.resume(Component::ApiServer).expect("it is paused");
    let back = Instant::now();
    // The Lease still names the one that led: whose term has begun is what counts.
    let begun = || [first.log().matches(BEGAN).count() > 1, second.log().contains(BEGAN)];
    let leader = wait_for("one to lead", || begun().iter().position(|begun| *begun));
    record("led again after the API server went on in", back.elapsed());
    arena.space.delete("deployments", "app-3-deployment");
    arena.space.wait_until_converged("app-3");
    let healed = arena.writes(leader).last().expect("it healed").at;
    assert!(arena.writes(1 - leader).iter().all(|request| request.at < healed), "one acts");
}

#[test]
fn a_lease_that_is_deleted_is_made_again_by_its_leader_and_nobody_else_leads_meanwhile() {
    let Some(world) = shared() else { return };
    let arena = Arena::new(world, "deleted");
    let (first, second) = arena.pair();
    for _ in 0..3 {
        arena.space.delete("leases", "application-operator");
        let lease = wait_for("the Lease to be back", || arena.space.get("leases", "application-operator"));
        assert_eq!(lease["spec"]["holderIdentity"], json!(identity(&first)));
    }
    assert!(!second.log().contains(BEGAN), "{}", second.log());
    assert!(!first.log().contains(ENDED), "{}", first.log());
}

#[test]
fn an_operator_that_may_not_use_leases_says_so_once_and_what_it_needs() {
    if !testbed::has(Feature::Authorisation) {
        return;
    }
    let Some(world) = shared() else { return };
    let arena = Arena::new(world, "forbidden");
    arena.space.kubectl(&["delete", "rolebinding", "forbidden-first-election"]);
    let operator = arena.start(0);
    let needs = "the role needs create, get, patch and watch on leases.coordination.k8s.io in namespace forbidden";
    wait_for("it to say what is missing", || operator.log().contains(needs).then_some(()));
    let_time_pass(Duration::from_secs(3));
    assert_eq!(operator.log().matches(needs).count(), 1, "{}", operator.log());
}

#[test]
fn an_elector_of_client_go_and_this_one_exclude_each_other() {
    if !testbed::has(Feature::ClientGo) {
        return;
    }
    // The scheduler's is one.
    let flags = [
        "--leader-elect=true",
        "--leader-elect-resource-name=application-operator",
        "--leader-elect-resource-namespace=application-operator-system",
        "--leader-elect-lease-duration=4s",
        "--leader-elect-renew-deadline=3s",
        "--leader-elect-retry-period=500ms",
    ];
    let flags = flags.map(|flag| (Component::Scheduler, flag.to_owned())).to_vec();
    let Some(world) = World::start(Options { flags, ..Options::default() }) else { return };
    let path = format!("{}/application-operator", path("leases", "application-operator-system"));
    let holder = || {
        let lease = world.api.get(&path)?;
        lease["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty()).map(str::to_owned)
    };
    let theirs = wait_for("the scheduler to hold the Lease", holder);

    let mut operator = world.operator(&TERMS);
    // Longer than either's lease.
    let_time_pass(Duration::from_secs(6));
    assert_eq!(holder().as_ref(), Some(&theirs));
    world.cluster.kill(Component::Scheduler).expect("it runs");
    let killed = Instant::now();
    wait_for("the operator to lead", || (holder()? == identity(&operator)).then_some(()));
    record("taken over from client-go's elector, killed, in", killed.elapsed());

    world.cluster.restart(Component::Scheduler).expect("it starts");
    let_time_pass(Duration::from_secs(6));
    assert_eq!(holder(), Some(identity(&operator)));
    operator.terminate();
    operator.wait();
    let released = Instant::now();
    wait_for("client-go's to take over", holder);
    record("taken over by client-go's elector after a clean release in", released.elapsed());
}
