//! A world that keeps what is written, as the API server does, and asserts with each write what must never be seen of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::api::Precondition;

use super::*;
use crate::application::Allowed;
use crate::observe::{Found, Remnant};
use crate::plan::{Plan, tests::application};

/// What the API server has, and what must never be seen of it.
#[derive(Default)]
pub(super) struct World {
    spec: Value,
    generation: i64,
    pub(super) status: Value,
    pub(super) revisions: BTreeMap<String, Value>,
    pub(super) jobs: BTreeMap<String, Value>,
    /// Pods that run a migration whose Job was deleted by hand.
    pub(super) pods: BTreeSet<String>,
    pub(super) deployment: Value,
    /// The template that the operator wrote last, and the Deployment as it was before that.
    pub(super) written: Value,
    former: Value,
    /// Whether pods are rendered in another way, as by another version of the operator.
    pub(super) is_restricted: bool,
    /// Whether two versions have made something of one wish: the one may give a number that it does not know the other has given.
    pub(super) was_upgraded: bool,
    /// Writes so far, which is the version of what was written last.
    pub(super) writes: u64,
    /// The template of the first Deployment, if somebody wrote it of a wish that has changed since, and had no migrations.
    unasked: Value,
    /// Successes that were noted, as revision and migration.
    noted: BTreeSet<(String, String)>,
}

/// What an operator acts on.
pub(super) type Seen = (Application, Observed);

impl World {
    pub(super) fn new(spec: &Value) -> Self {
        Self { spec: spec.clone(), generation: 1, ..Self::default() }
    }

    pub(super) fn see(&self) -> Seen {
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

    pub(super) fn plan(&self) -> Plan {
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
    pub(super) fn carry_out(&mut self, (application, observed): &Seen, most: usize) -> bool {
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
            let is_start = matches!(step, Step::Start { .. });
            assert!(
                !is_start || observed.jobs.iter().all(|job| job.is_finished()),
                "it begins beside one that is seen"
            );
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
            let is_back = matches!(rollout.phase, Phase::RolledBack(_));
            let condition = json!({"type": "RolledBack", "status": "True", "reason": "RolledBack", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": self.generation});
            self.status = json!({"currentRevision": rollout.recorded, "observedGeneration": self.generation,
                "conditions": if is_back { vec![condition] } else { Vec::new() },
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
    pub(super) fn delete_jobs(&mut self) {
        let jobs = std::mem::take(&mut self.jobs);
        self.pods
            .extend(jobs.into_iter().filter(|(_, job)| job["status"].is_null()).map(|(name, _)| format!("{name}-x")));
    }

    /// Whoever writes the Deployment.
    pub(super) fn put(&mut self, body: &Value) {
        let mut body = body.clone();
        body["metadata"]["uid"] = json!("deployment");
        self.deployment = self.stamped(&body);
    }

    pub(super) fn delete_deployment(&mut self) {
        (self.deployment, self.written) = (Value::Null, Value::Null);
    }

    pub(super) fn edit_deployment(&mut self) {
        if !self.deployment.is_null() {
            let mut body = self.deployment.clone();
            body["spec"]["template"]["spec"]["containers"][0]["image"] = json!("edited");
            self.put(&body);
        }
    }

    /// `kubectl rollout undo` brings the annotations back that the Deployment had, too.
    pub(super) fn undo(&mut self) {
        if !self.deployment.is_null() && !self.former.is_null() {
            self.put(&self.former.clone());
        }
    }

    pub(super) fn numbers(&self) -> Vec<i64> {
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

    pub(super) fn end_jobs(&mut self, condition: &str) {
        for job in self.jobs.values_mut().filter(|job| job["status"].is_null()) {
            job["status"] =
                json!({"conditions": [{"type": condition, "status": "True", "reason": "R", "message": "m"}]});
        }
    }

    pub(super) fn set_pods(&mut self, is_well: bool) {
        if !self.deployment.is_null() {
            let count = self.deployment["spec"]["replicas"].clone();
            let stalled = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded",
                "message": "timed out", "lastTransitionTime": self.writes.to_string()}]);
            let well = json!({"replicas": count, "updatedReplicas": count, "availableReplicas": count});
            self.deployment["status"] = if is_well { well } else { json!({"conditions": stalled}) };
        }
    }

    /// Lets all go well until there is nothing to do.
    pub(super) fn settle(&mut self) {
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
    pub(super) fn is_at_rest(&self) -> bool {
        let plan = self.plan();
        plan.before.is_empty() && plan.beside.is_empty() && !plan.children.contains_key(&Kind::Deployment)
    }

    pub(super) fn set(&mut self, field: &str, value: Value) {
        if self.spec[field] != value {
            self.spec[field] = value;
            self.generation += 1;
        }
    }

    /// The image of the Deployment's pods.
    pub(super) fn image(&self) -> &str {
        self.deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default()
    }

    pub(super) fn phase(&self) -> Phase {
        let (application, observed) = self.see();
        decide(&application, &observed).phase
    }

    /// As after an upgrade from an operator that kept none.
    pub(super) fn forget_revisions(&mut self) {
        self.revisions.clear();
        let mut body = self.deployment.clone();
        body["metadata"]["annotations"].as_object_mut().unwrap().remove(REVISION_ANNOTATION);
        self.put(&body);
        if let Some(write) = self.plan().children.remove(&Kind::Deployment) {
            self.put(&write.body.unwrap());
        }
    }

    pub(super) fn settle_failed(&mut self) {
        for _ in 0..3 {
            self.carry_out(&self.see(), usize::MAX);
        }
        assert!(matches!(self.phase(), Phase::MigrationFailed(_)), "{:?}", self.phase());
        assert!(self.is_at_rest());
    }
}

pub(super) fn decoded<T: serde::de::DeserializeOwned>(object: &Value) -> Arc<T> {
    Arc::new(serde_json::from_str(&object.to_string()).unwrap())
}

/// The revision that is kept on `keeper`.
pub(super) fn kept(keeper: &Value) -> Option<Value> {
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

pub(super) fn migrations(args: &str) -> Value {
    listed(&["schema", "seed"], args)
}

pub(super) fn listed(names: &[&str], args: &str) -> Value {
    names.iter().map(|name| json!({"name": name, "args": [args]})).collect()
}
