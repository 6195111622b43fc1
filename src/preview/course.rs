//! What the operator does from now on until nothing is left to wait for: which migrations run, and what keeps the wished pods
//! back. The operator's own decisions are carried out one after the other, on paper, as if every migration succeeded. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::object::{Map, Object, Uid};
use serde_json::{Value, json};

use crate::application::Application;
use crate::observe::job::{MIGRATION_LABEL, Progress};
use crate::observe::{Found, Job, Kind, Observed, Revision};
use crate::plan::rollout::{Phase, Rollout, Step, decide};

/// The most decisions that are followed. Each of the at most 16 migrations takes two, and what is before and after them few.
const MOST: usize = 100;

/// What is to come.
#[derive(Debug, Default)]
pub struct Course {
    /// What there will be, but for the children.
    pub end: Observed,
    /// The Jobs that are begun, in this order.
    pub migrations: Vec<Value>,
    /// The migrations that run already.
    pub under_way: Vec<String>,
    /// The Jobs of migrations that are stopped, since the spec does not ask for them any more.
    pub stopped: Vec<String>,
    /// What keeps the wished pods back, in the operator's words.
    pub held: Option<String>,
    /// Why what `rollback` asks for can't be done.
    pub problem: Option<String>,
}

impl Course {
    /// What is to come of `application`, where there is what was `observed`.
    pub fn of(application: &Application, observed: Observed) -> Self {
        let mut course = Self { end: observed, ..Self::default() };
        // Nothing can be rolled out, so that nothing is recorded or migrated: see `plan`.
        let is_open = !matches!(course.end.of(Kind::Deployment), Found::Foreign(_));
        let mut rollout = decide(application, &course.end);
        for _ in 0..MOST {
            if !is_open {
                break;
            }
            let steps = rollout.before.iter().chain(&rollout.beside);
            let done = steps.filter(|step| course.carry_out(step)).count();
            let is_awaited = matches!(rollout.phase, Phase::Migrating(_)) && application.spec.paused != Some(true);
            if done == 0 && !(is_awaited && course.wait()) {
                break;
            }
            rollout = decide(application, &course.end);
        }
        course.judge(rollout);
        course
    }

    fn judge(&mut self, rollout: Rollout) {
        match rollout.refusal {
            Some(refusal) if refusal.is_asked_for => self.problem = Some(refusal.message),
            Some(refusal) => self.held = Some(refusal.message),
            None => {}
        }
        match rollout.phase {
            Phase::Direct => {}
            Phase::Migrating(message) | Phase::MigrationFailed(message) | Phase::RolledBack(message) => {
                self.held = Some(message);
            }
            Phase::Pinned(number) => {
                let told =
                    format!("spec.rollback.toRevision is {number}: its pods run, whatever else the spec says of them");
                self.held = Some(told);
            }
        }
    }

    /// Does a step on paper. Returns false if nothing comes of it.
    fn carry_out(&mut self, step: &Step) -> bool {
        match step {
            Step::Record { body } => {
                let revision = serde_json::from_str::<Revision>(&body.to_string());
                let recorded = revision.map(|mut revision| {
                    // What has none is kept on another object.
                    revision.metadata.uid = Uid("to come".into());
                    revision
                });
                recorded.map(|revision| self.end.revisions.push(Arc::new(revision))).is_ok()
            }
            Step::Amend { key, body, .. } => {
                let mut revisions = self.end.revisions.iter_mut();
                let revision = revisions.find(|revision| revision.metadata.name == key.name);
                revision.and_then(Arc::get_mut).is_some_and(|revision| amend(revision, body))
            }
            Step::Forget { key, .. } => {
                let before = self.end.revisions.len();
                self.end.revisions.retain(|revision| revision.metadata.name != key.name);
                self.end.revisions.len() < before
            }
            Step::Start { body, .. } => {
                self.migrations.push(body.clone());
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                complete(&json!({"name": name})).map(|job| self.end.jobs.push(job)).is_some()
            }
            Step::Stop { key, .. } => {
                let before = self.end.jobs.len();
                let stopped = self.end.jobs.iter().filter(|job| job.metadata.name == key.name && !job.is_finished());
                self.stopped.extend(stopped.map(|job| job.metadata.name.to_string()));
                self.end.jobs.retain(|job| job.metadata.name != key.name);
                self.end.jobs.len() < before
            }
        }
    }

    /// Waits on paper: what is being deleted goes, and what runs succeeds. Returns false if there is nothing to wait for.
    fn wait(&mut self) -> bool {
        let before = self.end.jobs.len();
        self.end.jobs.retain(|job| !job.metadata.is_terminating());
        let mut is_further = self.end.jobs.len() < before;
        for job in &mut self.end.jobs {
            if let Progress::Running { .. } = job.progress() {
                let name = job.metadata().labels.get(MIGRATION_LABEL).unwrap_or(&job.metadata.name).to_owned();
                if let Some(done) = complete(&json!({"name": job.metadata.name})) {
                    self.under_way.push(name);
                    (*job, is_further) = (done, true);
                }
            }
        }
        is_further
    }
}

/// A Job that has succeeded.
fn complete(metadata: &Value) -> Option<Arc<Job>> {
    let job = json!({"metadata": metadata, "status": {"conditions": [{"type": "Complete", "status": "True"}]}});
    serde_json::from_value(job).ok().map(Arc::new)
}

/// Merges into a revision what is noted on it.
fn amend(revision: &mut Revision, body: &Value) -> bool {
    if let Some(number) = body["revision"].as_i64() {
        revision.revision = number;
    }
    let notes = &revision.metadata.annotations;
    let mut notes: BTreeMap<String, Value> = notes.iter().map(|(name, note)| (name.to_owned(), json!(note))).collect();
    for (name, note) in body["metadata"]["annotations"].as_object().into_iter().flatten() {
        notes.insert(name.clone(), note.clone());
    }
    notes.retain(|_, note| !note.is_null());
    let merged = serde_json::from_value::<Map>(json!(notes));
    merged.map(|merged| revision.metadata.annotations = merged).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::revision::{MIGRATIONS, PENDING, SUCCEEDED};
    use crate::plan;
    use crate::plan::rollout::Runs;
    use crate::plan::tests::application;

    fn names(jobs: &[Value]) -> Vec<&str> {
        jobs.iter().map(|job| job["metadata"]["labels"][MIGRATION_LABEL].as_str().unwrap()).collect()
    }

    fn migrations() -> Value {
        json!([{"name": "schema", "args": ["a"]}, {"name": "seed", "args": ["b"]}])
    }

    /// The pods of `application`, as if they ran: its course is taken to its end, and what is there then is there now.
    fn after(spec: &Value) -> Observed {
        let application = application(spec);
        let mut end = Course::of(&application, Observed::default()).end;
        if let Some(mut deployment) = plan::render(&application, &end, Kind::Deployment) {
            deployment["metadata"]["uid"] = json!("deployment");
            let live = serde_json::from_str(&deployment.to_string()).unwrap();
            end.children.insert(Kind::Deployment, Found::Own(Arc::new(live)));
        }
        end
    }

    #[test]
    fn migrations_run_once_in_order_and_then_the_wished_pods() {
        let wish = application(&json!({"migrations": migrations()}));
        let course = Course::of(&wish, Observed::default());
        assert_eq!((names(&course.migrations), course.held), (vec!["schema", "seed"], None));
        assert!(matches!(decide(&wish, &course.end).runs, Runs::Wished(_)));
        assert_eq!(course.end.revisions[0].note(MIGRATIONS), Some(SUCCEEDED));
        let again = Course::of(&wish, course.end);
        assert!(again.migrations.is_empty() && again.under_way.is_empty(), "{:?}", again.migrations);
    }

    #[test]
    fn what_runs_already_is_not_begun_anew_and_what_is_not_asked_for_is_stopped() {
        let wish = application(&json!({"migrations": migrations()}));
        let under_way = || running(&wish);
        let course = Course::of(&wish, under_way());
        assert_eq!((course.under_way, names(&course.migrations)), (vec!["schema".to_owned()], vec!["seed"]));
        let other = application(&json!({"migrations": [{"name": "other", "args": ["c"]}]}));
        let course = Course::of(&other, under_way());
        assert_eq!((course.stopped.len(), names(&course.migrations)), (1, vec!["other"]));
    }

    /// What there is while the first migration of `wish` runs.
    fn running(wish: &Application) -> Observed {
        let mut observed = Observed::default();
        let Step::Record { body } = &decide(wish, &observed).before[0] else { panic!("a revision") };
        observed.revisions.push(Arc::new(serde_json::from_str(&body.to_string()).unwrap()));
        assert_eq!(observed.revisions[0].note(MIGRATIONS), Some(PENDING));
        let Step::Start { body, .. } = &decide(wish, &observed).beside[0] else { panic!("a Job") };
        let running = json!({"metadata": body["metadata"], "status": {"active": 1}});
        let running: Job = serde_json::from_value(running).unwrap();
        observed.jobs.push(Arc::new(running));
        observed
    }

    #[test]
    fn what_keeps_the_wished_pods_back_is_told() {
        let paused = application(&json!({"migrations": migrations(), "paused": true}));
        let course = Course::of(&paused, Observed::default());
        assert!(course.migrations.is_empty());
        assert_eq!(course.held.as_deref(), Some("Migration schema waits until spec.paused is no longer set"));

        let pinned = application(&json!({"image": "b", "rollback": {"toRevision": 1}}));
        let course = Course::of(&pinned, after(&json!({"image": "a"})));
        assert!(course.held.unwrap().starts_with("spec.rollback.toRevision is 1: "));
        assert!(matches!(decide(&pinned, &course.end).runs, Runs::Former(_)));

        let nowhere = application(&json!({"rollback": {"toRevision": 9}}));
        let course = Course::of(&nowhere, after(&json!({})));
        assert!(course.problem.unwrap().contains("there is no such revision; there are: 1"));
        let across = application(&json!({"image": "b", "migrations": migrations(), "rollback": {"toRevision": 1}}));
        let mut observed = after(&json!({"image": "a"}));
        observed = Course::of(&application(&json!({"image": "b", "migrations": migrations()})), observed).end;
        let newer = application(&json!({"image": "c", "rollback": {"toRevision": 1}}));
        assert!(Course::of(&newer, observed).problem.unwrap().starts_with("Migrations of revision 2 "));
        assert!(Course::of(&across, after(&json!({"image": "a"}))).held.is_some());
    }

    #[test]
    fn a_migration_that_has_failed_keeps_the_pods_as_they_are() {
        let wish = application(&json!({"migrations": migrations()}));
        let mut observed = Observed::default();
        for step in [0, 1] {
            let rollout = decide(&wish, &observed);
            match rollout.before.first().or(rollout.beside.first()) {
                Some(Step::Record { body }) if step == 0 => {
                    observed.revisions.push(Arc::new(serde_json::from_str(&body.to_string()).unwrap()));
                }
                Some(Step::Start { body, .. }) => {
                    let failed = json!([{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]);
                    let job = json!({"metadata": body["metadata"], "status": {"conditions": failed}});
                    observed.jobs.push(Arc::new(serde_json::from_value(job).unwrap()));
                }
                other => panic!("{other:?}"),
            }
        }
        let course = Course::of(&wish, observed);
        assert!(course.held.unwrap().starts_with("Migration schema failed, and the pods stay as they are"));
    }
}
