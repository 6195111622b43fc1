//! A container's fate, the time from which it may start, and the time → the state that its kubelet tells.
//!
//! A container's whole life is known from its start, so that nothing has to be remembered between two looks: whoever looks
//! works out how often it has been tried so far.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::fate::Fate;
use super::step::after;
use crate::managed;

/// From a pod's arrival on its node until a container runs, or its image was asked for in vain: what an image that is on
/// the node takes. In seconds, as all here, since times in objects are.
const START: i64 = 1;

/// How long a container runs that ends by itself.
const RUN: i64 = 1;

/// From an end or a failed pull until the kubelet says that it waits: about as long as its next look takes.
const LOOK: i64 = 1;

/// The kubelet's first and longest pause between pulls of an image, and between starts of a container that ends each time.
const BACKOFF: (i64, i64) = (10, 300);

/// What restarts a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    /// Any end.
    Always,
    /// An end with another code than zero.
    OnFailure,
    /// Nothing.
    Never,
}

/// A container at one time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Life {
    /// `state` of its status.
    pub(super) state: Value,
    /// `lastState`.
    pub(super) last_state: Value,
    /// How often it was started again.
    pub(super) restarts: i64,
    /// Whether it runs and is ready.
    pub(super) is_ready: bool,
    /// Its code, once it has ended for good.
    pub(super) ended: Option<i64>,
    /// When that was.
    pub(super) ended_at: Option<Timestamp>,
    /// When it will be another.
    pub(super) next: Option<Timestamp>,
}

/// What is said of a container in messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'a> {
    /// Its image.
    pub(super) image: &'a str,
    /// Its name.
    pub(super) name: &'a str,
    /// Its pod, as `name_namespace(uid)`.
    pub(super) pod: &'a str,
}

impl Life {
    /// A container that may start from `from` on, at `now`.
    pub(super) fn at(fate: Fate, restart: Restart, words: Words<'_>, from: Timestamp, now: Timestamp) -> Self {
        let first = after(from, START);
        if now < first {
            return Self::waiting("ContainerCreating", "", Some(first));
        }
        match fate {
            Fate::Runs | Fate::NeverReady => Self::running(first, fate == Fate::Runs, None),
            Fate::NoImage => unpulled(words.image, first, now),
            Fate::Exits(code) => exiting(code, restart, words, first, now),
        }
    }

    fn waiting(reason: &str, message: &str, next: Option<Timestamp>) -> Self {
        let mut waiting = json!({"reason": reason});
        if !message.is_empty() {
            waiting["message"] = message.into();
        }
        Self {
            state: json!({"waiting": waiting}),
            last_state: json!({}),
            restarts: 0,
            is_ready: false,
            ended: None,
            ended_at: None,
            next,
        }
    }

    fn running(since: Timestamp, is_ready: bool, next: Option<Timestamp>) -> Self {
        let state = json!({"running": {"startedAt": managed::time(since)}});
        Self { state, is_ready, ..Self::waiting("", "", next) }
    }
}

/// The pause before the `count`th repetition, counted from zero.
fn pause(count: u32) -> i64 {
    (BACKOFF.0 << count.min(8)).min(BACKOFF.1)
}

fn unpulled(image: &str, first: Timestamp, now: Timestamp) -> Life {
    let (mut tried, mut count) = (first, 0);
    while after(tried, pause(count)) <= now {
        tried = after(tried, pause(count));
        count += 1;
    }
    let full = if image.contains('/') { image.to_owned() } else { format!("docker.io/library/{image}") };
    let why =
        format!("failed to pull and unpack image {full:?}: failed to resolve reference {full:?}: {full}: not found");
    let told = after(tried, LOOK);
    if now < told {
        return Life::waiting("ErrImagePull", &format!("rpc error: code = NotFound desc = {why}"), Some(told));
    }
    let message = format!("Back-off pulling image {image:?}: ErrImagePull: rpc error: code = NotFound desc = {why}");
    Life::waiting("ImagePullBackOff", &message, Some(after(tried, pause(count))))
}

fn exiting(code: i64, restart: Restart, words: Words<'_>, first: Timestamp, now: Timestamp) -> Life {
    let terminated = |started: Timestamp| {
        let reason = if code == 0 { "Completed" } else { "Error" };
        let (started, finished) = (managed::time(started), managed::time(after(started, RUN)));
        json!({"terminated": {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": finished}})
    };
    let is_once = restart == Restart::Never || restart == Restart::OnFailure && code == 0;
    // The first restart comes at once, as the kubelet knows of no failure before.
    let again = |started: Timestamp, restarts: i64| {
        let wait = u32::try_from(restarts - 1).map_or(LOOK, pause);
        after(started, RUN + wait)
    };
    let (mut started, mut before, mut restarts) = (first, json!({}), 0);
    while !is_once && again(started, restarts) <= now {
        before = terminated(started);
        started = again(started, restarts);
        restarts += 1;
    }
    let finished = after(started, RUN);
    let life = |state: Life, last_state: Value| Life { last_state, restarts, ..state };
    if now < finished {
        return life(Life::running(started, true, Some(finished)), before);
    }
    let state = terminated(started);
    if is_once {
        let ended = Life { state, ended: Some(code), ended_at: Some(finished), ..Life::waiting("", "", None) };
        return life(ended, before);
    }
    let told = after(finished, LOOK);
    if restarts == 0 || now < told {
        let next = if restarts == 0 { again(started, restarts) } else { told };
        return life(Life { state, ..Life::waiting("", "", Some(next)) }, before);
    }
    let wait = SignedDuration::from_secs(u32::try_from(restarts - 1).map_or(LOOK, pause)).as_secs();
    let shown = if wait >= 60 { format!("{}m{}s", wait / 60, wait % 60) } else { format!("{wait}s") };
    let message = format!("back-off {shown} restarting failed container={} pod={}", words.name, words.pod);
    life(Life::waiting("CrashLoopBackOff", &message, Some(again(started, restarts))), state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Words<'static> = Words { image: "web:missing", name: "web", pod: "web-1_default(7)" };

    /// State, restarts and whether it is ready, from its start through every change for so many seconds.
    fn told(fate: Fate, restart: Restart, seconds: i64) -> Vec<(i64, String, i64)> {
        let (start, mut now, mut told) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH, Vec::new());
        while now <= after(start, seconds) {
            let life = Life::at(fate, restart, WORDS, start, now);
            let state = life.state.as_object().and_then(|state| state.iter().next());
            let (kind, inner) = state.expect("a state");
            let word = inner["reason"].as_str().unwrap_or(kind).to_owned();
            told.push((now.as_second(), word, life.restarts));
            let Some(next) = life.next else { break };
            assert!(next > now, "{told:?}");
            now = next;
        }
        told
    }

    fn expect(found: &[(i64, String, i64)], wished: &[(i64, &str, i64)]) {
        let wished: Vec<_> = wished.iter().map(|(at, word, count)| (*at, (*word).to_owned(), *count)).collect();
        assert_eq!(found, wished);
    }

    #[test]
    fn an_image_that_is_missing_is_asked_for_again_after_pauses_that_double() {
        expect(
            &told(Fate::NoImage, Restart::Always, 40),
            &[
                (0, "ContainerCreating", 0),
                (1, "ErrImagePull", 0),
                (2, "ImagePullBackOff", 0),
                (11, "ErrImagePull", 0),
                (12, "ImagePullBackOff", 0),
                (31, "ErrImagePull", 0),
                (32, "ImagePullBackOff", 0),
            ],
        );
    }

    #[test]
    fn a_container_that_ends_each_time_is_started_again_at_once_and_then_after_pauses_that_double() {
        expect(
            &told(Fate::Exits(3), Restart::Always, 20),
            &[
                (0, "ContainerCreating", 0),
                (1, "running", 0),
                (2, "Error", 0),
                (3, "running", 1),
                (4, "Error", 1),
                (5, "CrashLoopBackOff", 1),
                (14, "running", 2),
                (15, "Error", 2),
                (16, "CrashLoopBackOff", 2),
            ],
        );
    }

    #[test]
    fn a_container_that_has_done_its_work_stays_ended() {
        for restart in [Restart::Never, Restart::OnFailure] {
            expect(
                &told(Fate::Exits(0), restart, 600),
                &[(0, "ContainerCreating", 0), (1, "running", 0), (2, "Completed", 0)],
            );
        }
        let end = after(Timestamp::UNIX_EPOCH, 9);
        assert_eq!(Life::at(Fate::Exits(0), Restart::Never, WORDS, Timestamp::UNIX_EPOCH, end).ended, Some(0));
    }

    #[test]
    fn the_longest_pause_is_five_minutes() {
        let times: Vec<i64> = told(Fate::NoImage, Restart::Always, 7_200)
            .iter()
            .filter(|one| one.1 == "ErrImagePull")
            .map(|one| one.0)
            .collect();
        let pauses: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(pauses[..6], [10, 20, 40, 80, 160, 300]);
        assert!(pauses[6..].iter().all(|pause| *pause == 300), "{pauses:?}");
    }
}
