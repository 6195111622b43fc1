//! The revisions of an Application and what runs of them, as questions that a decision asks. Pure.

use std::sync::Arc;

use engine::object::Object;
use serde_json::{Map, Value, json};

use super::back::{across, is_automatic};
use super::{Phase, Refusal, Rollout, Runs, Step, amend, record};
use crate::application::Application;
use crate::observe::child::{Condition, Live};
use crate::observe::revision::{LAST_GOOD, REVISION_ANNOTATION, ROLLED_BACK_TO, Revision, STALLED_BEFORE};
use crate::observe::{Found, Kind, Observed};
use crate::plan::{compare, revision};
use crate::readiness;

/// Revisions that are kept beside those that are needed, where the spec doesn't say; the same as a Deployment's `ReplicaSets`.
const KEPT: usize = 10;

pub(super) struct History<'a> {
    application: &'a Application,
    pub(super) observed: &'a Observed,
    /// The name of the wished revision.
    pub(super) name: String,
    /// By number, the newest last.
    revisions: Vec<Arc<Revision>>,
    /// Of these, those that are no objects of their own, and who keeps each.
    kept: Vec<(Arc<Revision>, Keeper)>,
}

/// What keeps a revision that is no object of its own.
enum Keeper {
    Revision(Arc<Revision>),
    /// A revision that is being deleted.
    Leaving,
    Deployment,
}

impl<'a> History<'a> {
    pub(super) fn new(application: &'a Application, observed: &'a Observed, name: String) -> Self {
        let is_leaving = |one: &&Arc<Revision>| one.metadata.is_terminating();
        let (leaving, present): (Vec<_>, Vec<_>) = observed.revisions.iter().partition(is_leaving);
        let deployment = match observed.of(Kind::Deployment) {
            // What it may say once there are others is of long ago: `kubectl rollout undo` brings annotations back.
            Found::Own(deployment) | Found::Leaving(deployment) if present.is_empty() => Some(&deployment.metadata),
            _ => None,
        };
        let keepers = present.iter().map(|one| (&one.metadata, Keeper::Revision(Arc::clone(one))));
        // What is being deleted keeps it until it is recorded.
        let keepers = keepers.chain(leaving.iter().map(|one| (&one.metadata, Keeper::Leaving)));
        let keepers = keepers.chain(deployment.map(|metadata| (metadata, Keeper::Deployment)));
        let mut revisions: Vec<_> = present.iter().copied().cloned().collect();
        let mut kept = Vec::new();
        for (metadata, keeper) in keepers {
            if let Some(one) = revision::kept(application, metadata).map(Arc::new)
                && revisions.iter().all(|other| other.metadata.name != one.metadata.name)
            {
                revisions.push(one.clone());
                kept.push((one, keeper));
            }
        }
        revisions.sort_by_key(|revision| revision.revision);
        Self { application, observed, name, revisions, kept }
    }

    pub(super) fn named(&self, name: &str) -> Option<&Revision> {
        self.revisions.iter().find(|revision| *revision.metadata.name == *name).map(|revision| &**revision)
    }

    pub(super) fn numbered(&self, number: i64) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.revision == number).map(|revision| &**revision)
    }

    /// The wished revision, if there is one.
    pub(super) fn wished(&self) -> Option<&Revision> {
        self.named(&self.name)
    }

    /// The revision that was wished for last.
    pub(super) fn newest(&self) -> Option<&Revision> {
        self.revisions.last().map(|revision| &**revision)
    }

    /// Whether `revision` was wished for last.
    pub(super) fn is_newest(&self, revision: &Revision) -> bool {
        let mut others = self.revisions.iter().filter(|other| other.metadata.name != revision.metadata.name);
        others.all(|other| other.revision < revision.revision)
    }

    /// The number of the next revision. Where all are gone, it is the one that was told of last, if the spec is as it was then.
    pub(super) fn next(&self) -> i64 {
        if let Some(newest) = self.revisions.last() {
            return newest.revision.saturating_add(1);
        }
        let status = &self.application.status;
        let is_same = status.observed_generation == self.application.metadata.generation;
        status.current_revision.map_or(1, |told| if is_same { told } else { told.saturating_add(1) })
    }

    /// Whether there is neither a revision nor a Deployment, so that the next one may be kept on the Deployment.
    pub(super) fn is_blank(&self) -> bool {
        self.revisions.is_empty() && self.live().is_none()
    }

    /// The text of `revision`, if the Deployment keeps it, and it is no object of its own.
    pub(super) fn kept(&self, revision: &Revision) -> Option<String> {
        let live = self.live().filter(|_| !revision.is_recorded())?;
        live.metadata.annotations.get(REVISION_ANNOTATION).map(str::to_owned)
    }

    /// The text of the revision that the next one has to keep: the Deployment alone does.
    pub(super) fn handed_on(&self) -> Option<String> {
        let (one, _) = self.kept.iter().find(|(_, keeper)| matches!(keeper, Keeper::Deployment))?;
        Some(revision::text(&one.metadata.name, &one.template()?, one.revision))
    }

    /// The revision that only one keeps which is being deleted.
    pub(super) fn left_behind(&self) -> Option<&Revision> {
        self.kept.iter().find(|(_, keeper)| matches!(keeper, Keeper::Leaving)).map(|(one, _)| &**one)
    }

    /// The revision that keeps `kept`.
    fn keeper(&self, kept: &Revision) -> Option<&Revision> {
        self.kept_by_revisions().find(|(one, _)| one.metadata.name == kept.metadata.name).map(|(_, keeper)| keeper)
    }

    /// The revision that `keeper` keeps.
    fn kept_by(&self, keeper: &Revision) -> Option<&Revision> {
        self.kept_by_revisions().find(|(_, one)| one.metadata.name == keeper.metadata.name).map(|(kept, _)| kept)
    }

    fn kept_by_revisions(&self) -> impl Iterator<Item = (&Revision, &Revision)> {
        self.kept.iter().filter_map(|(kept, keeper)| match keeper {
            Keeper::Revision(keeper) => Some((&**kept, &**keeper)),
            Keeper::Leaving | Keeper::Deployment => None,
        })
    }

    /// The numbers there are, as people write them.
    pub(super) fn numbers(&self) -> String {
        let numbers: Vec<_> = self.revisions.iter().map(|revision| revision.revision.to_string()).collect();
        if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") }
    }

    /// The newest revision with migrations that is newer than `to`. The newest of all is never trimmed, so that no way back
    /// across a migration is ever taken for free.
    pub(super) fn crossed(&self, to: &Revision) -> Option<&Revision> {
        let newest = self.revisions.iter().rev().find(|revision| revision.has_migrations());
        newest.filter(|newest| newest.revision > to.revision).map(|newest| &**newest)
    }

    /// The Deployment, if it is there to stay.
    pub(super) fn live(&self) -> Option<&'a Live> {
        self.observed.of(Kind::Deployment).own().map(AsRef::as_ref)
    }

    /// Whether the Deployment has this template.
    pub(super) fn is_live(&self, template: &Value) -> bool {
        self.live().is_some_and(|live| compare::has_template(template, &live.spec))
    }

    /// Whether it has that of a revision.
    pub(super) fn is_any_live(&self) -> bool {
        self.revisions.iter().any(|revision| self.runs(revision))
    }

    /// Whether it has the template of `revision`, or one that has that as a part.
    fn runs(&self, revision: &Revision) -> bool {
        revision.template().is_some_and(|template| self.is_live(&template))
    }

    /// The revision that was told last to run.
    fn told(&self) -> Option<&Revision> {
        self.application.status.current_revision.and_then(|number| self.numbered(number))
    }

    /// What stays while the wished revision waits: what runs. Mostly that is the newest whose migrations are done, or what
    /// runs in that one's place; but where the spec named another one, that.
    pub(super) fn held(&self, phase: Phase) -> Rollout {
        let others = || self.revisions.iter().rev().filter(|one| one.is_admitted() && *one.metadata.name != *self.name);
        let newest = others().next().map(|newest| {
            let back = newest.note(ROLLED_BACK_TO).filter(|_| is_automatic(self.application));
            back.and_then(|back| self.named(back)).unwrap_or(newest)
        });
        let is_other = |told: &&Revision| newest.is_some_and(|newest| newest.revision != told.revision);
        let told = self.told().filter(|told| told.is_admitted() && self.runs(told)).filter(is_other);
        match told.or(newest).and_then(|held| Some((held.revision, held.template()?))) {
            Some((number, template)) => Rollout { current: Some(number), ..Rollout::of(Runs::Former(template), phase) },
            None => Rollout::of(Runs::Nothing, phase),
        }
    }

    /// The revision whose rollout was completed last. The status says it, and where that is lost, what was noted on the newest
    /// revision when it came.
    pub(super) fn last_good(&self) -> Option<&Revision> {
        let told = self.application.status.last_good_revision.and_then(|number| self.numbered(number));
        told.or_else(|| self.named(self.revisions.last()?.note(LAST_GOOD)?))
    }

    /// The name of the last good revision, to be noted on the one that comes next: that which runs, if its rollout is complete,
    /// even if nobody was there to tell it.
    pub(super) fn good_so_far(&self) -> Option<&str> {
        let runs = self.live().filter(|live| live.is_rolled_out()).and_then(|_| {
            // Of two templates, one of which is part of the other, what was told tells which it is.
            let told = self.told().filter(|told| self.runs(told));
            told.or_else(|| {
                self.revisions.iter().rev().map(|revision| &**revision).find(|revision| self.runs(revision))
            })
        });
        runs.or_else(|| self.last_good()).map(|good| &*good.metadata.name)
    }

    /// What is noted on a revision when it comes to be wished for.
    pub(super) fn notes(&self) -> Map<String, Value> {
        let notes = [(STALLED_BEFORE, self.stalled_since()), (LAST_GOOD, self.good_so_far())];
        notes.into_iter().filter_map(|(note, value)| Some((note.to_owned(), json!(value?)))).collect()
    }

    /// The last revision whose rollout has completed, to go back to from `failed`.
    pub(super) fn good(&self, failed: &Revision) -> Result<(&Revision, Value), Refusal> {
        let refusal = |is_for_migration, message| Err(Refusal { is_asked_for: false, is_for_migration, message });
        let good = self.last_good();
        if good.is_some_and(|good| good.metadata.name == failed.metadata.name) {
            let message = format!(
                "Revision {} has been rolled out to its end before: what its pods fail for now has come since, their \
                 configuration say, and would meet another revision's as well",
                failed.revision
            );
            return refusal(false, message);
        }
        let good = good.filter(|good| good.is_admitted());
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
        let failure = self.observed.failure.clone().or_else(|| self.observed.unready.as_ref().map(readiness::told));
        let of_pod = failure.map(|failure| failure.to_string());
        of_pod.or_else(|| Some(self.stalled()?.message.to_string())).unwrap_or_default()
    }

    fn stalled(&self) -> Option<&'a Condition> {
        let live = self.live().filter(|live| live.status.observed_generation >= live.metadata.generation)?;
        live.status.conditions.iter().find(|condition| &*condition.reason == "ProgressDeadlineExceeded")
    }

    /// Forgets the oldest revisions beyond the limit, none of which anything depends on.
    pub(super) fn trimmed(&self, wished: &Revision, current: Option<i64>) -> Vec<Step> {
        let (spec, status) = (&self.application.spec, &self.application.status);
        let good = self.last_good().map(|good| good.revision);
        let limit = spec.revision_history_limit.map_or(KEPT, |limit| usize::try_from(limit).unwrap_or_default());
        let pinned = spec.rollback.as_ref().and_then(|rollback| rollback.to_revision);
        let needed = [current, status.current_revision, good, pinned, Some(wished.revision)];
        let witness = self.revisions.iter().rev().find(|revision| revision.has_migrations());
        let is_needed = |revision: &Revision| {
            needed.contains(&Some(revision.revision))
                || wished.note(ROLLED_BACK_TO) == Some(&*revision.metadata.name)
                || witness.is_some_and(|witness| witness.metadata.name == revision.metadata.name)
        };
        let revisions = || self.revisions.iter().rev().map(|revision| &**revision);
        let going: Vec<&Revision> = revisions().filter(|revision| !is_needed(revision)).skip(limit).collect();
        let goes = |one: &Revision| going.iter().any(|going| going.metadata.name == one.metadata.name);
        let forget = |revision: &&Revision| {
            if !revision.is_recorded() {
                let keeper = self.keeper(revision).filter(|keeper| !goes(keeper))?;
                return Some(amend(
                    keeper,
                    json!({"metadata": {"annotations": {REVISION_ANNOTATION: null}}}),
                    Vec::new(),
                ));
            }
            // What it keeps would go with it.
            if let Some(kept) = self.kept_by(revision).filter(|kept| !goes(kept)) {
                return record(self.application, kept, kept.revision, &Map::new());
            }
            let metadata = revision.metadata();
            let (uid, version) = (metadata.uid.clone(), metadata.resource_version.clone());
            Some(Step::Forget { key: metadata.key(), uid, version })
        };
        going.iter().filter_map(forget).collect()
    }
}
