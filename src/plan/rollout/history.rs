//! The revisions of an Application and what runs of them, as questions that a decision asks. Pure.

use std::sync::Arc;

use engine::object::Object;
use serde_json::Value;

use super::{Phase, Refusal, Rollout, Runs, Step, across, is_automatic};
use crate::application::Application;
use crate::observe::child::{Condition, Live};
use crate::observe::revision::{ROLLED_BACK_TO, Revision};
use crate::observe::{Kind, Observed};
use crate::plan::compare;

/// Revisions that are kept beside those that are needed, where the spec doesn't say; the same as a Deployment's `ReplicaSets`.
const KEPT: usize = 10;

pub(super) struct History<'a> {
    application: &'a Application,
    pub(super) observed: &'a Observed,
    /// The name of the wished revision.
    name: String,
    /// By number, the newest last.
    revisions: Vec<&'a Arc<Revision>>,
}

impl<'a> History<'a> {
    pub(super) fn new(application: &'a Application, observed: &'a Observed, name: String) -> Self {
        let mut revisions: Vec<_> = observed.revisions.iter().filter(|one| !one.metadata.is_terminating()).collect();
        revisions.sort_by_key(|revision| revision.revision);
        Self { application, observed, name, revisions }
    }

    pub(super) fn named(&self, name: &str) -> Option<&'a Revision> {
        self.revisions.iter().find(|revision| *revision.metadata.name == *name).map(|revision| &***revision)
    }

    pub(super) fn numbered(&self, number: i64) -> Option<&'a Revision> {
        self.revisions.iter().find(|revision| revision.revision == number).map(|revision| &***revision)
    }

    /// The wished revision, if it is recorded.
    pub(super) fn wished(&self) -> Option<&'a Revision> {
        self.named(&self.name)
    }

    /// Whether `revision` was wished for last.
    pub(super) fn is_newest(&self, revision: &Revision) -> bool {
        let mut others = self.revisions.iter().filter(|other| other.metadata.name != revision.metadata.name);
        others.all(|other| other.revision < revision.revision)
    }

    /// The number of the next revision.
    pub(super) fn next(&self) -> i64 {
        self.revisions.last().map_or(1, |newest| newest.revision.saturating_add(1))
    }

    /// The numbers there are, as people write them.
    pub(super) fn numbers(&self) -> String {
        let numbers: Vec<_> = self.revisions.iter().map(|revision| revision.revision.to_string()).collect();
        if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") }
    }

    /// The newest revision with migrations that is newer than `to`. The newest of all is never trimmed, so that no way back
    /// across a migration is ever taken for free.
    pub(super) fn crossed(&self, to: &Revision) -> Option<&'a Revision> {
        let newest = self.revisions.iter().rev().find(|revision| revision.has_migrations());
        newest.filter(|newest| newest.revision > to.revision).map(|newest| &***newest)
    }

    /// The Deployment, if it is there to stay.
    pub(super) fn live(&self) -> Option<&'a Live> {
        self.observed.of(Kind::Deployment).own().map(AsRef::as_ref)
    }

    /// Whether the Deployment has this template.
    pub(super) fn is_live(&self, template: &Value) -> bool {
        self.live().is_some_and(|live| compare::has_template(template, &live.spec))
    }

    /// What stays while the wished revision waits: what runs. Mostly that is the newest whose migrations are done, or what
    /// runs in that one's place; but where the spec named another one, that.
    pub(super) fn held(&self, phase: Phase) -> Rollout {
        let others = || self.revisions.iter().rev().filter(|one| one.is_admitted() && *one.metadata.name != *self.name);
        let newest = others().next().map(|newest| {
            let back = newest.note(ROLLED_BACK_TO).filter(|_| is_automatic(self.application));
            back.and_then(|back| self.named(back)).unwrap_or(newest)
        });
        let told = self.application.status.current_revision.and_then(|number| self.numbered(number));
        let told =
            told.filter(|told| told.is_admitted() && newest.is_some_and(|newest| newest.revision != told.revision));
        let told = told.filter(|told| told.template().is_some_and(|template| self.is_live(&template)));
        match told.or(newest).and_then(|held| Some((held.revision, held.template()?))) {
            Some((number, template)) => Rollout { current: Some(number), ..Rollout::of(Runs::Former(template), phase) },
            None => Rollout::of(Runs::Nothing, phase),
        }
    }

    /// The last revision whose rollout has completed, to go back to from `failed`.
    pub(super) fn good(&self, failed: &Revision) -> Result<(&'a Revision, Value), Refusal> {
        let refusal = |is_for_migration, message| Err(Refusal { is_asked_for: false, is_for_migration, message });
        let number = self.application.status.last_good_revision;
        let good = number.and_then(|number| self.numbered(number));
        let good = good.filter(|good| good.metadata.name != failed.metadata.name && good.is_admitted());
        let Some((good, template)) = good.and_then(|good| Some((good, good.template()?))) else {
            return refusal(false, "No other revision has ever been rolled out to its end".to_owned());
        };
        match self.crossed(good) {
            Some(crossed) => refusal(true, across(crossed, good.revision)),
            None => Ok((good, template)),
        }
    }

    /// Since when the Deployment makes no progress, if its deadline has passed.
    pub(super) fn stalled_since(&self) -> Option<&'a str> {
        self.stalled().map(|stalled| &*stalled.last_transition_time)
    }

    /// Why it makes none.
    pub(super) fn failure(&self) -> String {
        let of_pod = self.observed.failure.as_ref().map(ToString::to_string);
        of_pod.or_else(|| Some(self.stalled()?.message.to_string())).unwrap_or_default()
    }

    fn stalled(&self) -> Option<&'a Condition> {
        let live = self.live().filter(|live| live.status.observed_generation >= live.metadata.generation)?;
        live.status.conditions.iter().find(|condition| &*condition.reason == "ProgressDeadlineExceeded")
    }

    /// Deletes the oldest revisions beyond the limit, none of which anything depends on.
    pub(super) fn trimmed(&self, wished: &Revision, current: Option<i64>) -> Vec<Step> {
        let (spec, status) = (&self.application.spec, &self.application.status);
        let limit = spec.revision_history_limit.map_or(KEPT, |limit| usize::try_from(limit).unwrap_or_default());
        let pinned = spec.rollback.as_ref().and_then(|rollback| rollback.to_revision);
        let needed = [current, status.current_revision, status.last_good_revision, pinned, Some(wished.revision)];
        let witness = self.revisions.iter().rev().find(|revision| revision.has_migrations());
        let is_needed = |revision: &Revision| {
            needed.contains(&Some(revision.revision))
                || wished.note(ROLLED_BACK_TO) == Some(&*revision.metadata.name)
                || witness.is_some_and(|witness| witness.metadata.name == revision.metadata.name)
        };
        let spare = self.revisions.iter().rev().filter(|revision| !is_needed(revision));
        let forget = |revision: &&Arc<Revision>| {
            let metadata = revision.metadata();
            let (uid, version) = (metadata.uid.clone(), metadata.resource_version.clone());
            Step::Forget { key: metadata.key(), uid, version }
        };
        spare.skip(limit).map(forget).collect()
    }
}
