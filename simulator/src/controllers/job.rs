//! A Job and its pods → pods made and deleted, what has ended counted, and how the Job stands.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::garbage;
use super::owned::{self, PODS};
use super::step::{Step, Write, after, sooner};
use crate::history::Place;
use crate::managed;
use crate::object;
use crate::state::State;

/// What holds a pod in place until its end is counted.
pub(super) const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// The first and the longest pause after a pod that failed, in seconds: the real controller's.
const BACKOFF: (i64, i64) = (10, 600);

/// The Job and its pods as one look finds them.
struct Work<'a> {
    place: &'a Place,
    job: &'a Value,
    pods: Vec<Arc<Value>>,
    now: Timestamp,
}

pub(super) fn look(state: &State, place: &Place, job: &Value, now: Timestamp) -> Step {
    let work = Work { place, job, pods: owned::controlled(state, PODS, job), now };
    if object::is_terminating(job) {
        return Step::of(Work::free(work.pods.iter()));
    }
    if let Some(end) = work.end() {
        return work.finished(end);
    }
    work.go_on()
}

/// Lets go of a pod that has no Job, or whose Job is gone: nobody is left to count its end.
pub(super) fn let_go(state: &State, place: &Place, pod: &Arc<Value>) -> Step {
    let is_awaited = object::controller(pod).is_some_and(|owner| {
        let found = garbage::owner(state, place, owner).and_then(|job| state.history.get(&job));
        owner["kind"] != "Job" || found.is_some_and(|job| owner["uid"] == object::text(job, "uid"))
    });
    if is_awaited { Step::default() } else { Step::of(Work::free(std::iter::once(pod))) }
}

impl Work<'_> {
    fn number(&self, name: &str) -> i64 {
        object::number(self.job, &format!("/spec/{name}"))
    }

    fn is_suspended(&self) -> bool {
        self.job["spec"]["suspend"] == true
    }

    /// The time at which the Job ended, if it has.
    fn end(&self) -> Option<Timestamp> {
        let ended = ["Complete", "Failed"].iter().filter_map(|kind| owned::condition(&self.job["status"], kind));
        ended.filter(|condition| condition["status"] == "True").find_map(|it| object::time(it, "/lastTransitionTime"))
    }

    /// What is left to do for a Job that has ended: to go, if it is told to.
    fn finished(&self, end: Timestamp) -> Step {
        let held: Vec<Write> = Self::free(self.pods.iter().filter(|pod| owned::is_over(pod)));
        let lifetime = self.job["spec"]["ttlSecondsAfterFinished"].as_i64();
        match lifetime.map(|lifetime| after(end, lifetime)) {
            _ if !held.is_empty() => Step::of(held),
            Some(gone) if gone <= self.now => Step::of(vec![Write::delete(self.place, self.job, "Foreground")]),
            again => Step::at(again),
        }
    }

    fn go_on(&self) -> Step {
        let is_counted = |pod: &&Arc<Value>| !object::finalizers(pod).contains(&TRACKING);
        let over: Vec<&Arc<Value>> = self.pods.iter().filter(|pod| owned::is_over(pod) && !is_counted(pod)).collect();
        let count = |phase: &str| over.iter().filter(|pod| pod["status"]["phase"] == phase).count();
        let whole = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let status = &self.job["status"];
        let succeeded = object::number(status, "/succeeded") + whole(count("Succeeded"));
        // One that is to go has failed, unless it has succeeded: it may never get so far as to say so.
        let lost: Vec<&Arc<Value>> = self
            .pods
            .iter()
            .filter(|pod| object::is_terminating(pod) && !owned::is_over(pod) && !is_counted(pod))
            .collect();
        // Seen: those of a Job that waits don't count.
        let counted = if self.is_suspended() { 0 } else { lost.len() };
        let failed = object::number(status, "/failed") + whole(count("Failed") + counted);
        let active: Vec<&Arc<Value>> = self.pods.iter().filter(|pod| owned::is_active(pod)).collect();
        let going: Vec<&Arc<Value>> =
            self.pods.iter().filter(|pod| object::is_terminating(pod) && !owned::is_over(pod)).collect();
        let started = object::time(status, "/startTime");
        let deadline = started
            .zip(self.job["spec"]["activeDeadlineSeconds"].as_i64())
            .map(|(started, seconds)| after(started, seconds));
        let wished = self.job["spec"]["completions"].as_i64();
        let is_complete = match wished {
            Some(wished) => succeeded >= wished,
            // Without a number, the first success counts, once all others have ended.
            None => succeeded > 0 && active.is_empty(),
        };
        let verdict = if failed > self.number("backoffLimit") {
            Some(("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"))
        } else if deadline.is_some_and(|deadline| deadline <= self.now) && !self.is_suspended() {
            Some(("Failed", "DeadlineExceeded", "Job was active longer than specified deadline"))
        } else if is_complete {
            Some(("Complete", "CompletionsReached", "Reached expected number of succeeded pods"))
        } else {
            None
        };
        let parallelism = self.number("parallelism");
        let room = wished.map_or(parallelism, |wished| parallelism.min(wished - succeeded)).max(0);
        let needed = if verdict.is_some() || self.is_suspended() { 0 } else { usize::try_from(room).unwrap_or(0) };
        let superfluous = active.len().saturating_sub(needed);
        let mut writes: Vec<Write> =
            active[..superfluous].iter().map(|pod| Write::delete(&owned::place(PODS, pod), pod, "")).collect();
        writes.extend(Self::free(over.iter().chain(&lost).copied()));
        let (missing, wait) = (needed.saturating_sub(active.len()), self.wait(failed));
        let may_start = wait.is_none_or(|wait| wait <= self.now);
        if may_start {
            writes.extend((0..missing).map(|_| Write::create(PODS, self.pod())));
        }
        let count = active.len() - superfluous + if may_start { missing } else { 0 };
        let ready = active[superfluous..].iter().filter(|pod| owned::is_ready(pod)).count();
        let is_settled = verdict.is_some() && going.is_empty() && superfluous == 0;
        let mut told = json!({"ready": ready, "terminating": going.len() + superfluous, "uncountedTerminatedPods": {}});
        for (name, count) in [("active", whole(count)), ("succeeded", succeeded), ("failed", failed)] {
            if count > 0 {
                told[name] = count.into();
            }
        }
        if !self.is_suspended() {
            told["startTime"] = started.map_or_else(|| managed::time(self.now), managed::time);
        }
        let conditions = self.conditions(verdict, is_settled);
        if !conditions.is_empty() {
            told["conditions"] = conditions.into();
        }
        if is_settled && verdict.is_some_and(|(kind, ..)| kind == "Complete") {
            told["completionTime"] = managed::time(self.now);
        }
        if told != *status {
            let mut job = self.job.clone();
            job["status"] = told;
            writes.push(Write::status(self.place, job));
        }
        let wait = wait.filter(|_| missing > 0 && !may_start);
        Step { writes, again: sooner(wait, deadline.filter(|deadline| *deadline > self.now)) }
    }

    /// The conditions: first that it will end in a way, and once its pods are gone, that it has.
    fn conditions(&self, verdict: Option<(&str, &str, &str)>, is_settled: bool) -> Vec<Value> {
        let present = self.job["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let mut conditions = present;
        let mut set = |kind: &str, holds: bool, reason: &str, message: &str| {
            let status = if holds { "True" } else { "False" };
            let time = managed::time(self.now);
            let condition = json!({
                "type": kind, "status": status, "reason": reason, "message": message,
                "lastProbeTime": time, "lastTransitionTime": time,
            });
            match conditions.iter_mut().find(|one| one["type"] == kind) {
                Some(one) if one["status"] == status => {}
                Some(one) => *one = condition,
                None if holds => conditions.push(condition),
                None => {}
            }
        };
        if let Some((kind, reason, message)) = verdict {
            let first = if kind == "Complete" { "SuccessCriteriaMet" } else { "FailureTarget" };
            set(first, true, reason, message);
            if is_settled {
                set(kind, true, reason, message);
            }
        } else if self.is_suspended() {
            set("Suspended", true, "JobSuspended", "Job suspended");
        } else {
            set("Suspended", false, "JobResumed", "Job resumed");
        }
        conditions
    }

    /// Until when no pod is started, after so many that failed.
    fn wait(&self, failed: i64) -> Option<Timestamp> {
        let ended = self.pods.iter().filter(|pod| pod["status"]["phase"] == "Failed").filter_map(|pod| {
            let statuses = pod["status"]["containerStatuses"].as_array()?.iter();
            statuses.filter_map(|one| object::time(one, "/state/terminated/finishedAt")).max()
        });
        let pause = BACKOFF.0 << u32::try_from(failed - 1).unwrap_or(0).min(6);
        ended.max().map(|ended| after(ended, pause.min(BACKOFF.1)))
    }

    fn pod(&self) -> Value {
        let mut pod = owned::pod(self.job);
        let finalizers = object::map(&mut pod["metadata"]).entry("finalizers").or_insert_with(|| json!([]));
        if let Some(list) = finalizers.as_array_mut() {
            list.push(TRACKING.into());
        }
        pod
    }

    /// Lets go of pods that are counted.
    fn free<'p>(pods: impl Iterator<Item = &'p Arc<Value>>) -> Vec<Write> {
        let held = pods.filter(|pod| object::finalizers(pod).contains(&TRACKING));
        held.map(|pod| {
            let rest: Vec<&str> = object::finalizers(pod).into_iter().filter(|one| *one != TRACKING).collect();
            let rest = if rest.is_empty() { Value::Null } else { json!(rest) };
            let uid = object::text(pod, "uid");
            Write::merge(&owned::place(PODS, pod), json!({"metadata": {"uid": uid, "finalizers": rest}}))
        })
        .collect()
    }
}
