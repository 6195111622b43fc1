//! Going back: to the revision that the spec names, or from one whose rollout has failed. Pure.

use serde_json::{Value, json};

use super::history::History;
use super::{Phase, Refusal, Rollout, Runs};
use crate::application::rollout::OnFailure;
use crate::application::{Application, ConditionType, Reason};
use crate::observe::revision::{FAILURE, ROLLED_BACK_TO, Revision};

/// Where what is noted of a failure goes on, if it was that of another revision with the same wish.
const AS_REVISION: &str = " (as revision ";

/// Whether a rollout that fails goes back by itself.
pub(super) fn is_automatic(application: &Application) -> bool {
    application.spec.rollback.as_ref().is_some_and(|rollback| rollback.on_failure == Some(OnFailure::Automatic))
}

/// What runs if the spec names a revision; `None` if it doesn't, or if that is the wished one and takes its course.
pub(super) fn pinned(application: &Application, history: &History<'_>) -> Option<Result<Rollout, Refusal>> {
    let number = application.spec.rollback.as_ref()?.to_revision?;
    let refusal = |is_for_migration, message| Some(Err(Refusal { is_asked_for: true, is_for_migration, message }));
    let found = history.numbered(number);
    let Some((found, template)) = found.and_then(|found| Some((found, found.template()?))) else {
        let message = format!(
            "spec.rollback.toRevision is {number}, and there is no such revision; there are: {}",
            history.numbers()
        );
        return refusal(false, message);
    };
    if history.wished().is_some_and(|wished| wished.metadata.name == found.metadata.name) {
        // As long as it is named, it keeps its number: under another one, it would not be there.
        let is_older = found.is_admitted() && !history.is_newest(found);
        let runs = Rollout::of(Runs::Wished(template), Phase::Direct);
        return is_older.then_some(Ok(Rollout { current: Some(number), ..runs }));
    }
    if !found.is_admitted() {
        let message = format!("The migrations of revision {number} have not succeeded, so that its pods can't run");
        return refusal(true, message);
    }
    if let Some(crossed) = history.crossed(found) {
        return refusal(true, across(crossed, number));
    }
    let runs = Runs::Former(template);
    Some(Ok(Rollout { current: Some(number), ..Rollout::of(runs, Phase::Pinned(number)) }))
}

/// What is noted on the next revision, and what runs in its place, if it is the last one rendered anew, and that was rolled
/// back: it would fail as that did. Of this very wish it was told that it is rolled back; a new one was never.
pub(super) fn rendered_anew(
    application: &Application,
    history: &History<'_>,
    number: i64,
) -> Option<([(String, Value); 2], Rollout)> {
    let told = application.status.condition(ConditionType::RolledBack).filter(|told| told.status == "True")?;
    let is_of_now = told.observed_generation == Some(application.metadata.generation);
    let is_rolled_back = is_of_now && told.reason == Reason::RolledBack.as_str();
    let last = history.newest().filter(|_| is_rolled_back && is_automatic(application))?;
    let why = last.note(FAILURE).unwrap_or_default();
    let is_older = why.contains(AS_REVISION);
    let why = if is_older { why.to_owned() } else { format!("{why}{AS_REVISION}{})", last.revision) };
    let rollout = in_its_place(history, last, number, &why)?;
    let notes = [(ROLLED_BACK_TO, last.note(ROLLED_BACK_TO)?), (FAILURE, &why)];
    Some((notes.map(|(note, value)| (note.to_owned(), json!(value))), rollout))
}

/// What runs in place of the revision with this number, whose rollout has failed, as is noted on `noted`.
pub(super) fn in_its_place(history: &History<'_>, noted: &Revision, number: i64, why: &str) -> Option<Rollout> {
    let back = history.named(noted.note(ROLLED_BACK_TO)?)?;
    let phase = Phase::RolledBack(told(number, back.revision, why));
    Some(Rollout { current: Some(back.revision), ..Rollout::of(Runs::Former(back.template()?), phase) })
}

/// What is told of a revision whose rollout has failed, and of the one that runs in its place.
pub(super) fn told(from: i64, to: i64, why: &str) -> String {
    format!(
        "Revision {from} made no progress within its deadline, so that revision {to} runs until the spec asks for other \
         pods: {why}"
    )
}

/// Why there is no way back to a revision.
pub(super) fn across(crossed: &Revision, to: i64) -> String {
    format!(
        "Migrations of revision {} have run, or may have, and revision {to} is older; give the spec what is to run \
         instead, if that can run on what they did",
        crossed.revision
    )
}
