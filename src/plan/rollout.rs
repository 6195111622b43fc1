//! Which revision runs, and what has to happen before another one may. Pure.
//!
//! Everything is decided from what is there: the revisions with what was noted on them, the Jobs, the Deployment. Each step
//! leaves a state from which the next decision follows, so that a process that dies between two of them loses nothing. What
//! is to be remembered is noted before it is acted on:
//!
//! - A revision is recorded before the Deployment has its template, with its migrations as pending if it has any. The first
//!   one, without any, is kept on the Deployment itself, and comes with it. (So a process that was cut off, and writes the first
//!   Deployment of a wish which had no migrations, is not held up by those that came since.)
//! - What the Deployment keeps is handed on to the second revision, which is created with it: one write records both, before the
//!   Deployment loses it. There it stays until it is beyond the limit; or until it is wished for anew, or that revision goes
//!   before it does: then it becomes an object of its own.
//! - A migration's success is noted before the next one begins, and that of the last before the Deployment changes.
//! - A rollback is noted on the revision that failed before the Deployment goes back.

mod back;
mod history;
mod migrate;

use engine::object::{Key, ResourceVersion, Uid};
use serde_json::{Map, Value, json};

use self::back::is_automatic;
use self::history::History;
use super::{compare, is_applied, pod, revision};
use crate::application::{Application, Failure};
use crate::config::Pods;
use crate::observe::revision::{
    FAILURE, LAST_GOOD, MIGRATIONS, PENDING, REVISION_ANNOTATION, ROLLED_BACK_TO, Revision, STALLED_BEFORE, SUCCEEDED,
};
use crate::observe::{Kind, Observed};

/// What is to run, and what is to be done for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// What the Deployment's pods are made from.
    pub runs: Runs,
    /// The port that those listen on which run.
    pub port: Option<i32>,
    /// The number of the revision that is to run.
    pub current: Option<i64>,
    /// The same, once there is such a revision.
    pub recorded: Option<i64>,
    /// The number of the revision that was last rolled out to its end, as far as that was told before.
    pub good: Option<i64>,
    /// The text of the revision that runs, where the Deployment keeps it.
    pub kept: Option<String>,
    /// What has to be done before a child is written, in this order.
    pub before: Vec<Step>,
    /// What may be done beside that.
    pub beside: Vec<Step>,
    /// What there is to be told.
    pub phase: Phase,
    /// Why the pod of a migration does not run, or has failed.
    pub failure: Option<Failure>,
    /// Why a rollback that is called for is not made.
    pub refusal: Option<Refusal>,
}

/// A pod template.
#[derive(Debug, Clone, PartialEq)]
pub enum Runs {
    /// The one that the spec asks for.
    Wished(Value),
    /// That of another revision.
    Former(Value),
    /// None may be written yet, and the Deployment stays as it is.
    Nothing,
}

/// How far a change of the pods is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// The wished pods run, or are on their way.
    Direct,
    /// A migration runs, or waits to; this is said of it.
    Migrating(String),
    /// A migration has failed; this is said of it.
    MigrationFailed(String),
    /// The rollout of a revision has failed, and another one runs in its place; this is said of it.
    RolledBack(String),
    /// The spec names the revision that runs.
    Pinned(i64),
}

/// Why a rollback is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whether the spec names the revision; else its rollout has failed.
    pub is_asked_for: bool,
    /// Whether a migration is in the way; else there is no such revision.
    pub is_for_migration: bool,
    /// Why, and what to do.
    pub message: String,
}

/// A write that is no child's.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A revision is created.
    Record {
        /// The revision.
        body: Value,
    },
    /// Something is noted on a revision, which must be as it was seen.
    Amend {
        /// Its key.
        key: Key,
        /// Which life.
        uid: Uid,
        /// Which state.
        version: ResourceVersion,
        /// What is merged into it.
        body: Value,
        /// What is told once that is done.
        told: Vec<Told>,
    },
    /// A revision is deleted that is too old, and must be as it was seen.
    Forget {
        /// Its key.
        key: Key,
        /// Which life.
        uid: Uid,
        /// Which state.
        version: ResourceVersion,
    },
    /// A migration begins.
    Start {
        /// Its name.
        migration: String,
        /// The Job.
        body: Value,
        /// The revision that it is for, which must be as it was seen, and is looked at: a cache that lags behind might know
        /// neither of the Job, nor that it has succeeded and was deleted.
        revision: Key,
        /// Which state of that.
        version: ResourceVersion,
    },
    /// A Job is deleted that belongs to no migration that is wished for, its pods before it.
    Stop {
        /// Its key.
        key: Key,
        /// Which life.
        uid: Uid,
    },
}

impl Step {
    /// Whether a revision is given a number by it. A number is not unique by itself, as a name is: by a wish of long ago, it may
    /// be one that another revision has by now.
    pub fn gives_number(&self) -> bool {
        match self {
            Self::Record { .. } => true,
            Self::Amend { body, .. } => body.get("revision").is_some(),
            Self::Forget { .. } | Self::Start { .. } | Self::Stop { .. } => false,
        }
    }
}

/// What is told of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Whether it is bad news.
    pub is_warning: bool,
    /// Why, in a word.
    pub reason: &'static str,
    /// What was done, in a word.
    pub action: &'static str,
    /// What happened, in a sentence.
    pub note: String,
}

/// Decides what of `application` runs.
pub fn decide(application: &Application, observed: &Observed) -> Rollout {
    let template = pod::template(application, observed.enforces_restricted);
    let name = revision::name(application, &template);
    let history = History::new(application, observed, name);
    let mut rollout = choose(application, &history, template);
    if let Some(kept) = history.left_behind() {
        let recorded = record(application, kept, kept.revision, &Map::new());
        rollout.before.splice(0..0, recorded);
    }
    rollout.port = pod::port(application, &rollout.runs, history.live());
    // What the Deployment keeps stays there as long as it runs.
    let runs = rollout.current.and_then(|number| history.numbered(number));
    rollout.kept = rollout.kept.or_else(|| history.kept(runs?));
    rollout.recorded = rollout.current.filter(|number| history.numbered(*number).is_some());
    rollout.good = history.last_good().map(|good| good.revision);
    rollout
}

fn choose(application: &Application, history: &History<'_>, template: Value) -> Rollout {
    let refusal = match back::pinned(application, history) {
        Some(Ok(rollout)) => return rollout,
        Some(Err(refusal)) => Some(refusal),
        None => None,
    };
    let mut rollout = match history.wished() {
        None => first(application, history, template),
        Some(wished) if !history.is_newest(wished) && !is_named(application, wished) => {
            again(application, history, wished, template)
        }
        Some(wished) if !wished.is_admitted() => migrate::migrate(application, history, wished, template),
        Some(wished) => admitted(application, history, wished, template),
    };
    rollout.refusal = refusal.or(rollout.refusal);
    if let Some(wished) = history.wished().filter(|_| rollout.before.is_empty()) {
        let going = history.trimmed(wished, rollout.current);
        // Until the Deployment has what is to run, it may have what nothing else tells of.
        if !going.is_empty() && rollout.runs.template().is_some_and(|template| history.is_live(template)) {
            rollout.beside.extend(going);
        }
    }
    rollout
}

/// Whether the spec names that revision.
fn is_named(application: &Application, revision: &Revision) -> bool {
    application.spec.rollback.as_ref().is_some_and(|rollback| rollback.to_revision == Some(revision.revision))
}

/// The wished template is new.
fn first(application: &Application, history: &History<'_>, template: Value) -> Rollout {
    let has_migrations = !migrate::migrations(application).is_empty();
    // One that runs was rolled out by an operator that kept no revisions, or its record is lost. One that is part of a revision
    // which runs is none: it is that without something.
    let is_running = has_migrations && history.is_live(&template) && !history.is_any_live();
    let mut notes = Map::new();
    if has_migrations {
        notes.insert(MIGRATIONS.into(), json!(if is_running { SUCCEEDED } else { PENDING }));
    }
    let number = history.next();
    let direct = |template| Rollout { current: Some(number), ..Rollout::of(Runs::Wished(template), Phase::Direct) };
    if history.is_blank() && !has_migrations {
        let text = revision::text(&history.name, &template, number);
        if text.len() <= revision::LONGEST {
            return Rollout { kept: Some(text), ..direct(template) };
        }
    }
    notes.extend(history.notes());
    let (inherited, back) = back::rendered_anew(application, history, number).filter(|_| !has_migrations).unzip();
    notes.extend(inherited.into_iter().flatten());
    notes.extend(history.handed_on().map(|text| (REVISION_ANNOTATION.to_owned(), json!(text))));
    let body = revision::render(application, &history.name, &template, number, &notes);
    let before = vec![Step::Record { body }];
    if let Some(back) = back {
        return Rollout { before, ..back };
    }
    if has_migrations && !is_running {
        let phase = Phase::Migrating(format!("Revision {number} waits for its migrations"));
        return Rollout { before, ..history.held(phase) };
    }
    Rollout { before, ..direct(template) }
}

/// Records a revision that another object keeps.
fn record(application: &Application, kept: &Revision, number: i64, notes: &Map<String, Value>) -> Option<Step> {
    let name = &kept.metadata.name;
    Some(Step::Record { body: revision::render(application, name, &kept.template()?, number, notes) })
}

/// The wished template is an older revision's. It is wished for anew, so that what failed before is tried again; unless nobody
/// has asked for anything.
fn again(application: &Application, history: &History<'_>, wished: &Revision, template: Value) -> Rollout {
    let number = history.next();
    let (inherited, back) = back::rendered_anew(application, history, number).filter(|_| wished.is_admitted()).unzip();
    let inherited = inherited.into_iter().flatten();
    let before = if wished.is_recorded() {
        let mut notes = json!({ROLLED_BACK_TO: null, FAILURE: null, STALLED_BEFORE: history.stalled_since(),
            LAST_GOOD: history.good_so_far()});
        inherited.for_each(|(note, value)| notes[note] = value);
        vec![amend(wished, json!({"revision": number, "metadata": {"annotations": notes}}), Vec::new())]
    } else {
        let notes = history.notes().into_iter().chain(inherited).collect();
        record(application, wished, number, &notes).into_iter().collect()
    };
    if let Some(back) = back {
        return Rollout { before, ..back };
    }
    if wished.is_admitted() {
        return Rollout { before, current: Some(number), ..Rollout::of(Runs::Wished(template), Phase::Direct) };
    }
    let phase = Phase::Migrating(format!("Revision {number} waits for its migrations"));
    Rollout { before, ..history.held(phase) }
}

/// Pods of the wished template may run, unless they have proven not to.
fn admitted(application: &Application, history: &History<'_>, wished: &Revision, template: Value) -> Rollout {
    let beside = migrate::stops(history, &migrate::jobs(application, &template));
    let is_automatic = is_automatic(application);
    if wished.note(ROLLED_BACK_TO).is_some() && !is_automatic {
        let notes = json!({ROLLED_BACK_TO: null, FAILURE: null, STALLED_BEFORE: history.stalled_since()});
        let before = vec![amend(wished, json!({"metadata": {"annotations": notes}}), Vec::new())];
        let rollout = Rollout::of(Runs::Wished(template), Phase::Direct);
        return Rollout { before, beside, current: Some(wished.revision), ..rollout };
    }
    let why = wished.note(FAILURE).unwrap_or("its rollout failed");
    if let Some(rollout) = back::in_its_place(history, wished, wished.revision, why) {
        return Rollout { beside, ..rollout };
    }
    let direct = |runs| {
        let rollout = Rollout::of(runs, Phase::Direct);
        Rollout { beside: beside.clone(), current: Some(wished.revision), kept: history.kept(wished), ..rollout }
    };
    let stall = history.stalled_since().filter(|since| is_automatic && wished.note(STALLED_BEFORE) != Some(*since));
    let direct = direct(Runs::Wished(template));
    // What has stalled may be what the Deployment had before.
    if stall.is_none() || !history.live().is_some_and(|live| is_applied(application, &direct, live)) {
        return direct;
    }
    let (good, former) = match history.good(wished) {
        Ok(good) => good,
        Err(refusal) => return Rollout { refusal: Some(refusal), ..direct },
    };
    let why = history.failure();
    let note = back::told(wished.revision, good.revision, &why);
    let told = Told { is_warning: true, reason: "RolledBack", action: "RollBack", note: note.clone() };
    let notes = json!({ROLLED_BACK_TO: good.metadata.name, FAILURE: why});
    let before = vec![amend(wished, json!({"metadata": {"annotations": notes}}), vec![told])];
    let rollout = Rollout::of(Runs::Former(former), Phase::RolledBack(note));
    Rollout { before, beside, current: Some(good.revision), ..rollout }
}

fn amend(revision: &Revision, body: Value, told: Vec<Told>) -> Step {
    let metadata = &revision.metadata;
    let (uid, version) = (metadata.uid.clone(), metadata.resource_version.clone());
    Step::Amend { key: metadata.key(), uid, version, body, told }
}

impl Rollout {
    fn of(runs: Runs, phase: Phase) -> Self {
        let (before, beside) = (Vec::new(), Vec::new());
        let (port, current, recorded, good, kept, failure, refusal) = (None, None, None, None, None, None, None);
        Self { runs, port, current, recorded, good, kept, before, beside, phase, failure, refusal }
    }

    /// What becomes of the pods, whatever their configuration.
    pub fn pods(&self, application: &Application, observed: &Observed) -> Pods {
        let Runs::Wished(template) = &self.runs else { return Pods::Former };
        let live = observed.of(Kind::Deployment).own();
        let is_live = live.is_some_and(|live| compare::has_template(template, &live.spec));
        // A template that lacks something of the one that runs is found in it: what was told last tells them apart.
        let told = application.status.current_revision;
        if is_live && (told.is_none() || told == self.current) { Pods::Stay } else { Pods::Anew }
    }
}

impl Runs {
    /// The template; `None` if there is none to be written.
    pub fn template(&self) -> Option<&Value> {
        match self {
            Self::Wished(template) | Self::Former(template) => Some(template),
            Self::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests;
