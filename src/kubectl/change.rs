//! What a rollback, a pause or a resumption writes. Pure: an Application and its revisions in, a patch and the words for it
//! out.

use std::sync::Arc;

use serde_json::{Value, json};

use super::error::Error;
use super::object::Seen;
use super::snapshot::Snapshot;
use super::text::printable;
use crate::observe::{Observed, Revision};
use crate::plan::rollout::decide;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// A revision is to run: this one, or the last good one before that which runs.
    RollBack(Option<i64>),
    /// What the spec says is to run again.
    Unpin,
    /// Changes of the pods are to wait.
    Pause,
    /// They are to wait no more.
    Resume,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The spec is merged with this.
    Patch {
        /// What is merged into it.
        spec: Value,
        /// What was done, once it is.
        done: String,
        /// What follows from it.
        hint: Option<String>,
    },
    /// It is so already.
    Nothing(String),
}

/// The words of the command that takes a wish back.
pub type Command<'c> = &'c dyn Fn(&str) -> String;

/// What fulfils `wish`.
///
/// # Errors
///
/// If it can't be fulfilled as things are.
pub fn change(
    snapshot: &Snapshot,
    enforces_restricted: bool,
    wish: Wish,
    command: Command<'_>,
) -> Result<Change, Error> {
    let application = &snapshot.application.it;
    let is_paused = application.spec.paused == Some(true);
    let patch = |spec, done: &str, hint| Change::Patch { spec, done: done.to_owned(), hint };
    Ok(match wish {
        Wish::Pause if is_paused => Change::Nothing("is paused already".to_owned()),
        Wish::Pause => {
            let hint = format!("changes of its pods wait until: {}", command("resume"));
            patch(json!({"paused": true}), "paused", Some(hint))
        }
        Wish::Resume if !is_paused => Change::Nothing("is not paused".to_owned()),
        Wish::Resume => patch(json!({"paused": null}), "resumed", None),
        Wish::Unpin => unpin(snapshot),
        Wish::RollBack(number) => roll_back(snapshot, enforces_restricted, number, command)?,
    })
}

fn unpin(snapshot: &Snapshot) -> Change {
    let rollback = snapshot.application.it.spec.rollback.as_ref();
    let Some(number) = rollback.and_then(|rollback| rollback.to_revision) else {
        return Change::Nothing("is not rolled back, and runs what its spec says".to_owned());
    };
    // A rollback without any field is none that the schema takes.
    let is_all = rollback.is_some_and(|rollback| rollback.on_failure.is_none());
    let spec = if is_all { json!({"rollback": null}) } else { json!({"rollback": {"toRevision": null}}) };
    let done = format!("runs what its spec says again (it was rolled back to revision {number})");
    Change::Patch { spec, done, hint: None }
}

fn roll_back(
    snapshot: &Snapshot,
    enforces_restricted: bool,
    number: Option<i64>,
    command: Command<'_>,
) -> Result<Change, Error> {
    let number = match number {
        Some(number) => number,
        None => before(snapshot)?,
    };
    let application = &snapshot.application.it;
    let pinned = application.spec.rollback.as_ref().and_then(|rollback| rollback.to_revision);
    if pinned == Some(number) {
        return Ok(Change::Nothing(format!("is rolled back to revision {number} already")));
    }
    let mut wished = application.clone();
    wished.spec.rollback.get_or_insert_default().to_revision = Some(number);
    let revisions = snapshot.revisions.iter().filter_map(revision).collect();
    let observed = Observed { enforces_restricted, revisions, ..Observed::default() };
    if let Some(refusal) = decide(&wished, &observed).refusal.filter(|refusal| refusal.is_asked_for) {
        return Err(Error::Impossible(refusal.message.replace("spec.rollback.toRevision is", "asked for revision")));
    }
    let found = snapshot.revisions.iter().find(|revision| revision.it.revision == number);
    let template = found.and_then(|found| found.it.template()).unwrap_or_default();
    let image = printable(template["spec"]["containers"][0]["image"].as_str().unwrap_or_default());
    Ok(Change::Patch {
        spec: json!({"rollback": {"toRevision": number}}),
        done: format!("rolled back to revision {number} ({image})"),
        hint: Some(format!(
            "it stays there, whatever else its spec says, until: {}",
            command("rollback --to-revision=0")
        )),
    })
}

/// A revision as the rollout looks at it. It is shared there, and here by what surrounds it.
fn revision(seen: &Arc<Seen<Revision>>) -> Option<Arc<Revision>> {
    let data = json!({"spec": {"template": seen.it.template()?}});
    let revision = json!({"revision": seen.it.revision, "data": data}).to_string();
    let mut revision: Revision = serde_json::from_str(&format!("{{\"metadata\": {{}}, {}", &revision[1..])).ok()?;
    revision.metadata = seen.metadata.clone();
    Some(revision.into())
}

/// The revision to go back to where none is named: the last good one, if that is older than what runs; else the one before.
fn before(snapshot: &Snapshot) -> Result<i64, Error> {
    let status = &snapshot.application.it.status;
    let Some(current) = status.current_revision else {
        return Err(Error::Impossible("the operator has not recorded a revision of it yet".to_owned()));
    };
    let has_run = |revision: &&Arc<Seen<Revision>>| revision.it.revision < current && revision.it.is_admitted();
    let earlier: Vec<i64> = snapshot.revisions.iter().filter(has_run).map(|revision| revision.it.revision).collect();
    let good = status.last_good_revision.filter(|good| earlier.contains(good));
    good.or(earlier.last().copied()).ok_or_else(|| {
        let numbers: Vec<_> = snapshot.revisions.iter().map(|revision| revision.it.revision.to_string()).collect();
        let there = if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") };
        Error::Impossible(format!("there is no revision before {current}, which runs; there are: {there}"))
    })
}

/// Who else has set this field of the spec, as the server files it: a tool that applies what is in Git may set it again.
pub fn other_owners(application: &Value, path: &[&str], own: &str) -> Vec<String> {
    let entries = application["metadata"]["managedFields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has = |entry: &&Value| {
        let mut fields = &entry["fieldsV1"]["f:spec"];
        path.iter().all(|step| {
            fields = &fields[format!("f:{step}")];
            !fields.is_null()
        })
    };
    let names = entries.iter().filter(has).filter_map(|entry| entry["manager"].as_str());
    let mut names: Vec<String> = names.filter(|name| *name != own).map(printable).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests;
