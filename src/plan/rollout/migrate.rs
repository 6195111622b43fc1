//! The migrations of a revision: one Job after the other, and then its pods. Pure.
//!
//! A migration runs at least once until its success is noted, and never after. A Job that is deleted before that is made
//! anew, and one that has failed stays, for its logs, until it is deleted by hand or the spec asks for another one.

use engine::object::{Key, Object};
use serde_json::{Value, json};

use super::history::History;
use super::{Phase, Rollout, Runs, Step, Told, amend};
use crate::application::rollout::Migration;
use crate::application::{Application, Failure};
use crate::observe::job::{Job, Progress};
use crate::observe::revision::{MIGRATED, MIGRATIONS, Revision, SUCCEEDED};
use crate::plan::migration;

/// The migrations that the spec asks for.
pub(super) fn migrations(application: &Application) -> &[Migration] {
    application.spec.migrations.as_deref().unwrap_or_default()
}

/// The Jobs of the spec's migrations for pods of `template`.
pub(super) fn jobs(application: &Application, template: &Value) -> Vec<Value> {
    migrations(application).iter().map(|one| migration::render(application, one, template)).collect()
}

/// What brings the wished revision, whose migrations are not done, further.
pub(super) fn migrate(application: &Application, history: &History<'_>, wished: &Revision, template: Value) -> Rollout {
    let jobs = jobs(application, &template);
    let mut beside = stops(history, &jobs);
    let running: Vec<_> = history.observed.jobs.iter().filter(|job| !job.is_finished()).collect();
    let former = running.iter().find(|job| !is_of(job, &jobs));
    let mut done: Vec<&str> = Vec::new();
    let mut told = Vec::new();
    let (mut phase, mut failure) = (None, None);
    for (migration, body) in migrations(application).iter().zip(&jobs) {
        let name = &*migration.name;
        let job = history.observed.jobs.iter().find(|job| body["metadata"]["name"] == *job.metadata.name);
        match job.map(|job| (job, job.progress())) {
            _ if wished.has_migrated(name) => {}
            // What has succeeded is noted, even if nothing more is begun.
            Some((job, Progress::Succeeded)) => {
                let note = format!("Migration {name} succeeded (Job {})", job.metadata.name);
                told.push(Told { is_warning: false, reason: "MigrationSucceeded", action: "Migrate", note });
            }
            _ if application.spec.paused == Some(true) => {
                phase = Some(Phase::Migrating(format!("Migration {name} waits until spec.paused is no longer set")));
            }
            _ if former.is_some() => {
                let former = former.map(|job| &*job.metadata.name).unwrap_or_default();
                phase = Some(Phase::Migrating(format!(
                    "Migration {name} waits until Job {former} of a former spec is gone"
                )));
            }
            Some((job, _)) if job.metadata.is_terminating() => {
                phase = Some(Phase::Migrating(format!(
                    "Migration {name} waits until Job {} is deleted",
                    job.metadata.name
                )));
            }
            Some((job, progress)) => {
                failure = history.observed.migration_failures.get(&job.metadata.name).cloned();
                phase = Some(told_of(name, job, progress, failure.as_ref()));
            }
            // It was put before one that runs.
            None if !running.is_empty() => {
                let other = &running[0].metadata.name;
                phase = Some(Phase::Migrating(format!("Migration {name} waits until Job {other} has ended")));
            }
            None if history.observed.remnants.is_empty() => {
                phase = Some(Phase::Migrating(format!("Migration {name} begins")));
                let metadata = wished.metadata();
                let (revision, version) = (metadata.key(), metadata.resource_version.clone());
                // What was just noted changes the revision: the next decision begins it.
                if told.is_empty() {
                    beside.push(Step::Start { migration: name.to_owned(), body: body.clone(), revision, version });
                }
            }
            None => {
                let remnant = history.observed.remnants.first().map(ToString::to_string).unwrap_or_default();
                phase = Some(Phase::Migrating(format!(
                    "Migration {name} waits until {remnant} has ended, which may run one as well"
                )));
            }
        }
        if phase.is_some() {
            break;
        }
        done.push(name);
    }
    let mut notes = json!({});
    if !told.is_empty() {
        // None that was noted is forgotten, wherever the spec has it by now.
        let before = wished.note(MIGRATED).into_iter().flat_map(|names| names.split(','));
        let before = before.filter(|name| !done.contains(name));
        notes[MIGRATED] = json!(before.chain(done.iter().copied()).collect::<Vec<_>>().join(","));
    }
    if phase.is_none() {
        notes[MIGRATIONS] = json!(SUCCEEDED);
    }
    let is_news = notes.as_object().is_some_and(|notes| !notes.is_empty());
    let before =
        is_news.then(|| amend(wished, json!({"metadata": {"annotations": notes}}), told)).into_iter().collect();
    let Some(phase) = phase else {
        let rollout = Rollout::of(Runs::Wished(template), Phase::Direct);
        return Rollout { before, beside, current: Some(wished.revision), ..rollout };
    };
    Rollout { before, beside, failure, ..history.held(phase) }
}

/// What is said of a Job that has not succeeded.
fn told_of(name: &str, job: &Job, progress: Progress<'_>, failure: Option<&Failure>) -> Phase {
    let job = &job.metadata.name;
    match progress {
        Progress::Failed(condition) => {
            let why =
                failure.map_or_else(|| format!("{}: {}", condition.reason, condition.message), ToString::to_string);
            let hint = format!("mend the spec, or delete Job {job} to try again");
            Phase::MigrationFailed(format!("Migration {name} failed, and the pods stay as they are; {hint}. {why}"))
        }
        Progress::Running { has_pod: false } => Phase::Migrating(format!(
            "Migration {name} runs, but its Job has no pod yet; if that stays so, kubectl describe job {job} says why"
        )),
        _ => Phase::Migrating(format!("Migration {name} runs (Job {job})")),
    }
}

/// Deletes the Jobs that are none of `wished`.
pub(super) fn stops(history: &History<'_>, wished: &[Value]) -> Vec<Step> {
    let strays = history.observed.jobs.iter().filter(|job| !is_of(job, wished) && !job.metadata.is_terminating());
    let stop = |job: &std::sync::Arc<Job>| {
        let key: Key = job.metadata.key();
        Step::Stop { key, uid: job.metadata.uid.clone() }
    };
    strays.map(stop).collect()
}

fn is_of(job: &Job, wished: &[Value]) -> bool {
    wished.iter().any(|body| body["metadata"]["name"] == *job.metadata.name)
}
