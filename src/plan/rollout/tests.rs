//! Rollouts without a cluster: a world that keeps what is written, in which the operator may die after any write, act on what
//! it saw long ago, and come back.

mod first;
mod migration;
mod pin;
mod pods;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::api::Precondition;
use proptest::prelude::*;

use super::*;
use crate::application::Allowed;
use crate::observe::revision::REVISION_ANNOTATION;
use crate::observe::{Found, Kind, Remnant};
use crate::plan::{self, Plan, tests::application};

/// What the API server has, and what must never be seen of it.
#[derive(Default)]
struct World {
    spec: Value,
    generation: i64,
    status: Value,
    revisions: BTreeMap<String, Value>,
    jobs: BTreeMap<String, Value>,
    /// Pods that run a migration whose Job was deleted by hand.
    pods: BTreeSet<String>,
    deployment: Value,
    /// The template that the operator wrote last, and the Deployment as it was before that.
    written: Value,
    former: Value,
    /// Whether pods are rendered in another way, as by another version of the operator.
    is_restricted: bool,
    /// Whether two versions have made something of one wish: the one may give a number that it does not know the other has given.
    was_upgraded: bool,
    /// Writes so far, which is the version of what was written last.
    writes: u64,
    /// The template of the first Deployment, if somebody wrote it of a wish that has changed since, and had no migrations.
    unasked: Value,
    /// Successes that were noted, as revision and migration.
    noted: BTreeSet<(String, String)>,
}

/// What an operator acts on.
type Seen = (Application, Observed);

impl World {
    fn new(spec: &Value) -> Self {
        Self { spec: spec.clone(), generation: 1, ..Self::default() }
    }

    fn see(&self) -> Seen {
        let mut seen = application(&self.spec);
        seen.metadata.generation = self.generation;
        if !self.status.is_null() {
            seen.status = serde_json::from_value(self.status.clone()).unwrap();
        }
        let mut observed = Observed {
            enforces_restricted: self.is_restricted,
            revisions: self.revisions.values().map(decoded).collect(),
            jobs: self.jobs.values().map(decoded).collect(),
            remnants: self.pods.iter().map(|pod| Remnant::Pod(pod.as_str().into())).collect(),
            ..Observed::default()
        };
        if !self.deployment.is_null() {
            observed.children.insert(Kind::Deployment, Found::Own(decoded(&self.deployment)));
        }
        (seen, observed)
    }

    fn plan(&self) -> Plan {
        let (application, observed) = self.see();
        plan::plan(&application, &observed, &Allowed::default())
    }

    fn stamped(&mut self, body: &Value) -> Value {
        self.writes += 1;
        let mut body = body.clone();
        if body["metadata"]["uid"].is_null() {
            body["metadata"]["uid"] = json!(format!("uid-{}", self.writes));
        }
        body["metadata"]["resourceVersion"] = json!(self.writes.to_string());
        body
    }

    /// Carries out a plan that was made of what was `seen`, and dies after `most` writes. Returns whether all was written.
    fn carry_out(&mut self, (application, observed): &Seen, most: usize) -> bool {
        let plan = plan::plan(application, observed, &Allowed::default());
        let mut left = most;
        for step in plan.before {
            if left == 0 || !self.step(application, step) {
                return false;
            }
            left -= 1;
        }
        for step in plan.beside {
            if left == 0 {
                return false;
            }
            self.step(application, step);
            left -= 1;
        }
        if let Some(write) =
            plan.children.into_iter().find_map(|(kind, write)| (kind == Kind::Deployment).then_some(write))
        {
            let is_as_planned = match &write.precondition {
                Precondition::Absent => self.deployment.is_null(),
                Precondition::Unchanged { version, .. } => self.deployment["metadata"]["resourceVersion"] == *version.0,
                Precondition::SameLife { .. } => false,
            };
            if left == 0 || !is_as_planned {
                return false;
            }
            let body = write.body.expect("the Deployment is never deleted");
            let written = std::mem::replace(&mut self.written, body["spec"]["template"].clone());
            assert!(written == self.written || written.is_null() || self.tells_of(&written), "history has a gap");
            if self.deployment.is_null() && application.metadata.generation != self.generation {
                self.unasked = body["spec"]["template"].clone();
            }
            self.former = self.deployment.clone();
            self.put(&body);
            self.check();
            left -= 1;
        }
        if left > 0 && application.metadata.generation == self.generation {
            let (application, observed) = self.see();
            let rollout = decide(&application, &observed);
            let good = self.deployment["status"]["availableReplicas"] == self.deployment["spec"]["replicas"];
            self.status = json!({"currentRevision": rollout.recorded, "observedGeneration": self.generation,
                "lastGoodRevision": rollout.recorded.filter(|_| good).or(rollout.good)});
        }
        left > 0
    }

    fn step(&mut self, application: &Application, step: Step) -> bool {
        let is_at = |object: Option<&Value>, version: &ResourceVersion| {
            object.is_some_and(|object| object["metadata"]["resourceVersion"] == *version.0)
        };
        let done = match step {
            step if step.gives_number() && application.metadata.generation != self.generation => false,
            Step::Record { body } => {
                let name = body["metadata"]["name"].as_str().unwrap().to_owned();
                let body = self.stamped(&body);
                !self.revisions.contains_key(&name) && self.revisions.insert(name, body).is_none()
            }
            Step::Amend { key, version, body, .. } => {
                let is_at = is_at(self.revisions.get(&*key.name), &version);
                if is_at {
                    let mut revision = self.revisions[&*key.name].clone();
                    merge(&mut revision, &body);
                    let names =
                        revision["metadata"]["annotations"]["minetto.dev/migrated"].as_str().unwrap_or_default();
                    self.noted.extend(names.split(',').map(|name| (key.name.to_string(), name.to_owned())));
                    let revision = self.stamped(&revision);
                    self.revisions.insert(key.name.to_string(), revision);
                }
                is_at
            }
            Step::Forget { key, version, .. } => {
                let is_at = is_at(self.revisions.get(&*key.name), &version);
                if is_at {
                    self.revisions.remove(&*key.name);
                    // What was noted on it is forgotten with it.
                    self.noted.retain(|(revision, _)| *revision != *key.name);
                }
                is_at
            }
            Step::Start { migration, body, revision, version } => {
                let name = body["metadata"]["name"].as_str().unwrap().to_owned();
                let may = is_at(self.revisions.get(&*revision.name), &version)
                    && application.metadata.generation == self.generation
                    && !self.jobs.contains_key(&name)
                    && self.jobs.values().all(|job| !job["status"].is_null())
                    && self.pods.is_empty();
                if may {
                    assert!(!self.noted.contains(&(revision.name.to_string(), migration)), "it has succeeded before");
                    let body = self.stamped(&body);
                    self.jobs.insert(name, body);
                }
                may
            }
            Step::Stop { key, uid } => {
                let is_same = self.jobs.get(&*key.name).is_some_and(|job| job["metadata"]["uid"] == *uid.0);
                is_same && self.jobs.remove(&*key.name).is_some()
            }
        };
        self.check();
        done
    }

    fn check(&self) {
        let running = self.jobs.values().filter(|job| job["status"].is_null()).count() + self.pods.len();
        assert!(running <= 1, "{running} migrations run at a time");
        let numbers: BTreeSet<_> = self.revisions.values().map(|revision| revision["revision"].as_i64()).collect();
        assert!(self.was_upgraded || numbers.len() == self.revisions.len(), "two revisions have one number");
        let bears = |revision: &&Value| revision["data"]["spec"]["template"] == self.written;
        if let Some(revision) = self.revisions.values().find(bears) {
            let state = &revision["metadata"]["annotations"][MIGRATIONS];
            let is_unasked = self.written == self.unasked;
            assert!(state != PENDING || is_unasked, "pods run whose migrations have not succeeded");
        } else {
            assert!(self.written.is_null() || self.tells_of(&self.written), "pods run of which no revision tells");
        }
    }

    /// Whether a revision has that template, be it kept on the Deployment or on another one.
    fn tells_of(&self, template: &Value) -> bool {
        let keepers = self.revisions.values().chain([&self.deployment]);
        let kept: Vec<Value> = keepers.filter_map(kept).collect();
        self.revisions.values().chain(&kept).any(|revision| revision["data"]["spec"]["template"] == *template)
    }

    /// As by `kubectl delete jobs --all`, after which the pods have their grace period.
    fn delete_jobs(&mut self) {
        let jobs = std::mem::take(&mut self.jobs);
        self.pods
            .extend(jobs.into_iter().filter(|(_, job)| job["status"].is_null()).map(|(name, _)| format!("{name}-x")));
    }

    /// Whoever writes the Deployment.
    fn put(&mut self, body: &Value) {
        let mut body = body.clone();
        body["metadata"]["uid"] = json!("deployment");
        self.deployment = self.stamped(&body);
    }

    fn delete_deployment(&mut self) {
        (self.deployment, self.written) = (Value::Null, Value::Null);
    }

    fn edit_deployment(&mut self) {
        if !self.deployment.is_null() {
            let mut body = self.deployment.clone();
            body["spec"]["template"]["spec"]["containers"][0]["image"] = json!("edited");
            self.put(&body);
        }
    }

    /// `kubectl rollout undo` brings the annotations back that the Deployment had, too.
    fn undo(&mut self) {
        if !self.deployment.is_null() && !self.former.is_null() {
            self.put(&self.former.clone());
        }
    }

    fn numbers(&self) -> Vec<i64> {
        let (application, observed) = self.see();
        let rollout = decide(&application, &observed);
        let recorded = self.revisions.values().filter_map(|revision| revision["revision"].as_i64());
        let kept = self.revisions.values().filter_map(kept);
        let kept = kept.filter(|kept| !self.revisions.contains_key(kept["metadata"]["name"].as_str().unwrap()));
        let kept: Vec<_> = kept.filter_map(|kept| kept["revision"].as_i64()).collect();
        let only = rollout.kept.and(rollout.recorded).filter(|_| self.revisions.is_empty());
        let mut numbers: Vec<_> = recorded.chain(kept).chain(only).collect();
        numbers.sort_unstable();
        numbers
    }

    fn end_jobs(&mut self, condition: &str) {
        for job in self.jobs.values_mut().filter(|job| job["status"].is_null()) {
            job["status"] =
                json!({"conditions": [{"type": condition, "status": "True", "reason": "R", "message": "m"}]});
        }
    }

    fn set_pods(&mut self, is_well: bool) {
        if !self.deployment.is_null() {
            let count = self.deployment["spec"]["replicas"].clone();
            let stalled = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
                "message": "timed out", "lastTransitionTime": self.writes.to_string()}]);
            let well = json!({"replicas": count, "updatedReplicas": count, "availableReplicas": count});
            self.deployment["status"] = if is_well { well } else { json!({"conditions": stalled}) };
        }
    }

    /// Lets all go well until there is nothing to do.
    fn settle(&mut self) {
        for _ in 0..40 {
            let seen = self.see();
            let before = self.writes;
            self.carry_out(&seen, usize::MAX);
            self.end_jobs("Complete");
            self.pods.clear();
            if self.writes == before && self.is_at_rest() {
                return;
            }
        }
        panic!("it never comes to rest: {:#?}", self.plan());
    }

    /// The Service is no part of this world.
    fn is_at_rest(&self) -> bool {
        let plan = self.plan();
        plan.before.is_empty() && plan.beside.is_empty() && !plan.children.contains_key(&Kind::Deployment)
    }

    fn set(&mut self, field: &str, value: Value) {
        if self.spec[field] != value {
            self.spec[field] = value;
            self.generation += 1;
        }
    }

    /// The image of the Deployment's pods.
    fn image(&self) -> &str {
        self.deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default()
    }

    fn phase(&self) -> Phase {
        let (application, observed) = self.see();
        decide(&application, &observed).phase
    }
}

fn decoded<T: serde::de::DeserializeOwned>(object: &Value) -> Arc<T> {
    Arc::new(serde_json::from_str(&object.to_string()).unwrap())
}

/// The revision that is kept on `keeper`.
fn kept(keeper: &Value) -> Option<Value> {
    serde_json::from_str(keeper["metadata"]["annotations"][REVISION_ANNOTATION].as_str()?).ok()
}

/// RFC 7396.
fn merge(into: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else { return into.clone_from(patch) };
    for (field, value) in patch {
        if value.is_null() {
            if let Some(into) = into.as_object_mut() {
                into.remove(field);
            }
        } else {
            merge(&mut into[field], value);
        }
    }
}

fn migrations(args: &str) -> Value {
    json!([{"name": "schema", "args": [args]}, {"name": "seed", "args": [args]}])
}

#[test]
fn the_first_revision_is_kept_on_the_deployment_until_there_is_a_second_one_which_keeps_it_then() {
    let mut world = World::new(&json!({"image": "one"}));
    world.settle();
    assert_eq!((world.writes, world.revisions.len(), world.numbers()), (1, 0, vec![1]));
    assert_eq!(world.status["currentRevision"], 1);
    world.set("replicas", json!(3));
    world.settle();
    assert_eq!((world.revisions.len(), world.numbers()), (0, vec![1]), "a scale is none");
    // The process dies after each write, and what it left is enough for the next one.
    world.set("image", json!("two"));
    let recorded: Vec<usize> = (0..3)
        .map(|_| {
            world.carry_out(&world.see(), 1);
            world.revisions.len()
        })
        .collect();
    assert_eq!((recorded, world.image()), (vec![1, 1, 1], "two"));
    world.settle();
    let kept = &world.deployment["metadata"]["annotations"][REVISION_ANNOTATION];
    assert_eq!((kept, world.numbers()), (&Value::Null, vec![1, 2]));
    world.set("rollback", json!({"toRevision": 1}));
    world.settle();
    assert_eq!(world.image(), "one");
}

#[test]
fn what_is_recorded_is_what_was_rendered_even_if_the_deployment_was_edited_meanwhile() {
    let mut world = World::new(&json!({"image": "one", "migrations": null}));
    world.settle();
    world.edit_deployment();
    world.set("image", json!("two"));
    world.settle();
    world.set("rollback", json!({"toRevision": 1}));
    world.settle();
    assert_eq!((world.image(), world.numbers()), ("one", vec![1, 2]));

    // Whoever writes another text there makes no revision by that.
    let mut world = World::new(&json!({"image": "one"}));
    world.settle();
    let mut forged = world.deployment.clone();
    let text = forged["metadata"]["annotations"][REVISION_ANNOTATION].as_str().unwrap().replace("one", "evil");
    forged["metadata"]["annotations"][REVISION_ANNOTATION] = json!(text);
    world.put(&forged);
    world.written = Value::Null;
    world.set("image", json!("two"));
    world.settle();
    assert_eq!((world.image(), world.numbers()), ("two", vec![2]));
}

#[test]
fn a_deployment_that_is_made_anew_keeps_its_number_unless_the_spec_has_changed_meanwhile() {
    let mut world = World::new(&json!({"image": "one"}));
    world.settle();
    world.delete_deployment();
    world.settle();
    assert_eq!(world.numbers(), [1]);
    world.set_pods(true);
    world.settle();
    world.delete_deployment();
    world.set("image", json!("two"));
    world.settle();
    assert_eq!(world.numbers(), [2], "what it was is gone with the Deployment, and nothing else has its number");
    assert_eq!((&world.status["currentRevision"], &world.status["lastGoodRevision"]), (&json!(2), &Value::Null));
}

#[test]
fn a_template_that_is_long_is_recorded_at_once() {
    let mut world = World::new(&json!({"args": ["a".repeat(20_000)]}));
    world.settle();
    assert_eq!((world.revisions.len(), world.numbers()), (1, vec![1]));
}

#[test]
fn pods_that_wait_for_migrations_leave_the_first_revision_running_and_scaled() {
    let mut world = World::new(&json!({"image": "one"}));
    world.settle();
    world.set("migrations", migrations("a"));
    world.set("image", json!("two"));
    world.set("replicas", json!(9));
    world.carry_out(&world.see(), usize::MAX);
    assert_eq!((world.image(), &world.deployment["spec"]["replicas"]), ("one", &json!(9)), "with the first plan");
    assert_eq!(world.numbers(), [1, 2]);
    world.settle();
    assert_eq!(world.image(), "two");
}

#[test]
fn the_revision_that_was_good_last_is_known_without_a_status() {
    let mut world = World::new(&json!({"image": "one", "rollback": {"onFailure": "Automatic"}}));
    world.settle();
    // It was good, and nobody was there to tell it.
    world.set_pods(true);
    world.status = Value::Null;
    world.set("image", json!("two"));
    world.settle();
    world.status = Value::Null;
    world.set_pods(false);
    world.settle();
    assert!(matches!(world.phase(), Phase::RolledBack(_)), "{:?}", world.phase());
    assert_eq!((world.image(), &world.status["lastGoodRevision"]), ("one", &json!(1)));
}

#[test]
fn an_application_that_runs_gets_its_revision_with_one_write_and_no_other() {
    let mut world = World::new(&json!({"replicas": 2}));
    world.settle();
    world.forget_revisions();
    world.writes = 0;
    assert!(world.plan().children.iter().all(|(kind, _)| *kind != Kind::Deployment));
    world.settle();
    assert_eq!((world.writes, world.revisions.len()), (1, 1));
}

#[test]
fn what_runs_already_is_not_migrated() {
    let mut world = World::new(&json!({}));
    world.settle();
    world.forget_revisions();
    world.set("migrations", migrations("a"));
    world.settle();
    assert!(world.jobs.is_empty());
}

#[test]
fn the_old_pods_stay_until_each_migration_has_succeeded_and_scaling_goes_on() {
    let mut world = World::new(&json!({"image": "one", "port": 80}));
    world.settle();
    world.set("migrations", migrations("a"));
    world.set("image", json!("two"));
    world.set("port", json!(81));
    world.carry_out(&world.see(), usize::MAX);
    world.set("replicas", json!(5));
    for _ in 0..3 {
        world.carry_out(&world.see(), usize::MAX);
    }
    assert_eq!((world.jobs.len(), world.image(), &world.deployment["spec"]["replicas"]), (1, "one", &json!(5)));
    let (application, observed) = world.see();
    let service = plan::render(&application, &observed, Kind::Service).unwrap();
    assert_eq!(service["spec"]["ports"][0]["port"], 80, "the old pods listen there");
    world.end_jobs("Failed");
    world.settle_failed();
    assert_eq!((world.jobs.len(), world.image()), (1, "one"));
    world.set("migrations", migrations("b"));
    world.settle();
    assert_eq!((world.jobs.len(), world.image()), (2, "two"));
    world.jobs.clear();
    world.settle();
    assert!(world.jobs.is_empty(), "what has succeeded does not run again");
}

impl World {
    /// As after an upgrade from an operator that kept none.
    fn forget_revisions(&mut self) {
        self.revisions.clear();
        let mut body = self.deployment.clone();
        body["metadata"]["annotations"].as_object_mut().unwrap().remove(REVISION_ANNOTATION);
        self.put(&body);
        if let Some(write) = self.plan().children.remove(&Kind::Deployment) {
            self.put(&write.body.unwrap());
        }
    }

    fn settle_failed(&mut self) {
        for _ in 0..3 {
            self.carry_out(&self.see(), usize::MAX);
        }
        assert!(matches!(self.phase(), Phase::MigrationFailed(_)), "{:?}", self.phase());
        assert!(self.is_at_rest());
    }
}

#[test]
fn a_first_rollout_has_no_pods_before_its_migrations() {
    let mut world = World::new(&json!({"migrations": migrations("a")}));
    for _ in 0..3 {
        world.carry_out(&world.see(), usize::MAX);
    }
    assert!(world.deployment.is_null() && world.jobs.len() == 1);
    world.settle();
    assert!(!world.deployment.is_null());
}

#[test]
fn a_stalled_rollout_goes_back_once_and_waits_for_another_template() {
    let mut world = World::new(&json!({"image": "one", "rollback": {"onFailure": "Automatic"}}));
    world.settle();
    world.set_pods(true);
    world.settle();
    world.set("image", json!("two"));
    world.settle();
    world.set_pods(false);
    world.settle();
    assert_eq!(world.image(), "one");
    assert!(matches!(world.phase(), Phase::RolledBack(_)));
    world.status = Value::Null;
    world.set("replicas", json!(7));
    world.settle();
    assert_eq!((world.image(), &world.deployment["spec"]["replicas"]), ("one", &json!(7)), "it still scales");
    world.set("image", json!("three"));
    world.settle();
    assert_eq!(world.image(), "three");
    world.set("image", json!("two"));
    world.settle();
    assert_eq!(world.image(), "two", "what is wished for anew is tried anew");
}

#[test]
fn no_rollback_crosses_a_migration_and_it_is_said_why() {
    let mut world = World::new(&json!({"image": "one", "rollback": {"onFailure": "Automatic"}}));
    world.settle();
    world.set_pods(true);
    world.settle();
    world.set("migrations", migrations("a"));
    world.set("image", json!("two"));
    world.settle();
    world.set_pods(false);
    world.settle();
    assert_eq!(world.image(), "two");
    let (application, observed) = world.see();
    let refusal = decide(&application, &observed).refusal.unwrap();
    assert!(refusal.is_for_migration && !refusal.is_asked_for);
    assert!(refusal.message.contains("Migrations of revision 2"), "{}", refusal.message);
    world.set("rollback", json!({"toRevision": 1}));
    world.settle();
    let (application, observed) = world.see();
    assert!(decide(&application, &observed).refusal.unwrap().is_asked_for);
    assert_eq!(world.image(), "two");
}

#[test]
fn a_revision_that_the_spec_names_runs_until_it_no_longer_does() {
    let mut world = World::new(&json!({"image": "one"}));
    world.settle();
    world.set("image", json!("two"));
    world.settle();
    world.set("rollback", json!({"toRevision": 1}));
    world.settle();
    assert_eq!((world.image(), world.phase()), ("one", Phase::Pinned(1)));
    world.set("rollback", json!({"toRevision": 9}));
    world.settle();
    let (application, observed) = world.see();
    let refusal = decide(&application, &observed).refusal.unwrap();
    assert!(refusal.message.ends_with("there are: 1, 2"), "{}", refusal.message);
    world.set("rollback", Value::Null);
    world.settle();
    assert_eq!(world.image(), "two");
}

#[test]
fn old_revisions_go_and_those_that_are_needed_stay() {
    let mut world = World::new(&json!({"image": "0", "revisionHistoryLimit": 2}));
    world.settle();
    world.set_pods(true);
    world.settle();
    for image in 1..9 {
        world.set("image", json!(image.to_string()));
        world.settle();
    }
    let mut numbers: Vec<_> = world.revisions.values().map(|revision| revision["revision"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 7, 8, 9], "the last good one, the present one, and two");
    world.set("rollback", json!({"toRevision": 1}));
    world.settle();
    assert_eq!(world.image(), "0");
}

/// What happens to a world.
#[derive(Debug, Clone)]
enum Event {
    Reconcile { most: usize },
    Remember,
    ReconcileFromMemory,
    Succeed,
    Fail,
    DeleteJobs,
    EndPods,
    Pods { are_well: bool },
    Image(u8),
    Migrations(Option<u8>),
    Automatic(bool),
    Paused(bool),
    Pin(Option<i64>),
    DeleteDeployment,
    EditDeployment,
    Undo,
    LoseStatus,
    Upgrade,
    Limit(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0_usize..6).prop_map(|most| Event::Reconcile { most }),
        4 => Just(Event::Reconcile { most: usize::MAX }),
        1 => Just(Event::Remember),
        2 => Just(Event::ReconcileFromMemory),
        3 => Just(Event::Succeed),
        1 => Just(Event::Fail),
        1 => Just(Event::DeleteJobs),
        1 => Just(Event::EndPods),
        2 => any::<bool>().prop_map(|are_well| Event::Pods { are_well }),
        3 => (0_u8..3).prop_map(Event::Image),
        1 => proptest::option::of(0_u8..2).prop_map(Event::Migrations),
        1 => any::<bool>().prop_map(Event::Automatic),
        1 => any::<bool>().prop_map(Event::Paused),
        1 => proptest::option::weighted(0.3, 1_i64..4).prop_map(Event::Pin),
        1 => prop_oneof![
            Just(Event::DeleteDeployment),
            Just(Event::EditDeployment),
            Just(Event::Undo),
            Just(Event::LoseStatus),
            Just(Event::Upgrade),
            (0_u8..3).prop_map(Event::Limit),
        ],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_dies_when_and_whatever_is_seen_late_migrations_come_first_and_all_comes_to_rest(
        migrates in any::<bool>(),
        events in proptest::collection::vec(event(), 1..50),
    ) {
        let migrations_at_first = if migrates { migrations("0") } else { Value::Null };
        let mut world = World::new(&json!({"image": "i", "migrations": migrations_at_first}));
        let mut memory = world.see();
        for event in events {
            match event {
                Event::Reconcile { most } => {
                    world.carry_out(&world.see(), most);
                }
                Event::Remember => memory = world.see(),
                Event::ReconcileFromMemory => {
                    world.carry_out(&memory, usize::MAX);
                }
                Event::Succeed => world.end_jobs("Complete"),
                Event::Fail => world.end_jobs("Failed"),
                Event::DeleteJobs => world.delete_jobs(),
                Event::EndPods => world.pods.clear(),
                Event::Pods { are_well } => world.set_pods(are_well),
                Event::Image(image) => world.set("image", json!(image.to_string())),
                Event::Migrations(args) => {
                    world.set("migrations", args.map_or(Value::Null, |args| migrations(&args.to_string())));
                }
                Event::Automatic(is_automatic) => {
                    let on_failure = if is_automatic { "Automatic" } else { "None" };
                    world.set("rollback", json!({"onFailure": on_failure}));
                }
                Event::Paused(is_paused) => world.set("paused", json!(is_paused)),
                Event::Pin(number) => world.set("rollback", json!({"toRevision": number})),
                Event::DeleteDeployment => world.delete_deployment(),
                Event::EditDeployment => world.edit_deployment(),
                Event::Undo => world.undo(),
                Event::LoseStatus => world.status = Value::Null,
                Event::Upgrade => (world.is_restricted, world.was_upgraded) = (!world.is_restricted, true),
                Event::Limit(limit) => world.set("revisionHistoryLimit", json!(limit)),
            }
        }
        world.set("paused", json!(false));
        world.set("rollback", Value::Null);
        world.set("image", json!("last"));
        world.set("migrations", migrations("last"));
        world.settle();
        prop_assert_eq!(world.image(), "last");
    }
}
