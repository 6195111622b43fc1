//! Tells a fight with another writer from healing. Pure: the time is an argument.
//!
//! An edit is undone at once. A writer that edits again at once, a second operator say, would be answered as fast, for ever,
//! and every round may roll pods. After so many rounds the operator waits longer with each, and says whom it waits for.
//!
//! A second operator that renders otherwise changes all of a child, the mark of what was applied last included, which then
//! looks like a changed wish. So it is remembered here what was written last.
//!
//! One that judges otherwise changes the status each time. Nothing is lost by that, but it would cost the API server a write
//! every few milliseconds, for each Application.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use engine::backoff::Schedule;
use engine::object::Key;
use jiff::Timestamp;

use crate::application::ApplicationStatus;
use crate::observe::Kind;

/// Edits that are undone at once. More than anybody makes by hand in a row; few enough that a fight is over before it has
/// rolled a Deployment's whole history away.
const TOLERATED: u32 = 20;

/// First and longest wait between two rounds of a fight. The longest is what a forgotten edit may stay for.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Without an edit for so long, all is forgotten. Longer than the longest wait, or a fight would never be known again.
const QUIET: Duration = Duration::from_mins(2);

/// Applications that are remembered before those that are quiet are looked for and dropped: some 300 KB.
const REMEMBERED: usize = 1_000;

/// What each Application's children have been through.
#[derive(Debug)]
pub struct Contests {
    applications: HashMap<Key, Contest>,
    /// How many are remembered before the quiet ones are looked for; twice those that were left the last time, so that the
    /// search costs no more than what made it necessary.
    full_at: usize,
    delays: Schedule,
}

#[derive(Debug)]
struct Contest {
    /// Of the children.
    edits: Rounds,
    /// The hash of what was written last to each child, and when the last of them, or the status, was.
    written: BTreeMap<Kind, String>,
    wrote: Instant,
    /// Of the status, and what was written last.
    tellings: Rounds,
    told: Option<Telling>,
}

/// What a status says, but for the times in it, which are others each time that a condition is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telling(u64);

impl Telling {
    fn of(status: &ApplicationStatus) -> Self {
        let mut timeless = status.clone();
        for condition in &mut timeless.conditions {
            condition.last_transition_time.0 = Timestamp::UNIX_EPOCH;
        }
        let mut hasher = DefaultHasher::new();
        // Nothing in it can fail to be written as text.
        serde_json::to_string(&timeless).unwrap_or_default().hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// Edits that were undone, and the last of them.
#[derive(Debug)]
struct Rounds {
    count: u32,
    last: Instant,
    not_before: Instant,
}

impl Rounds {
    fn new(now: Instant) -> Self {
        Self { count: 0, last: now, not_before: now }
    }

    fn next(&mut self, now: Instant, delays: &Schedule) -> Result<(), Duration> {
        if now.saturating_duration_since(self.last) >= QUIET {
            *self = Self::new(now);
        }
        if now < self.not_before {
            return Err(self.not_before.saturating_duration_since(now));
        }
        self.count = self.count.saturating_add(1);
        self.last = now;
        self.not_before = now + delays.delay(self.count.saturating_sub(TOLERATED));
        Ok(())
    }
}

impl Default for Contests {
    fn default() -> Self {
        let delays = Schedule::new(WAIT.0, WAIT.1);
        Self { applications: HashMap::new(), full_at: REMEMBERED, delays }
    }
}

impl Contests {
    /// Asks whether an edit of one of `application`'s children may be undone at `now`; counts it if so.
    ///
    /// # Errors
    ///
    /// How long to wait if it may not.
    pub fn undo(&mut self, application: &Key, now: Instant) -> Result<(), Duration> {
        let contest = Self::of(&mut self.applications, &mut self.full_at, application, now);
        contest.edits.next(now, &self.delays)
    }

    /// Asks whether `application` may be given this status at `now`. If it was given the same one last, somebody else has
    /// changed it since, which is counted.
    ///
    /// # Errors
    ///
    /// How long to wait if it may not.
    pub fn tell(&mut self, application: &Key, status: &ApplicationStatus, now: Instant) -> Result<Telling, Duration> {
        let telling = Telling::of(status);
        match self.applications.get_mut(application) {
            Some(contest) if contest.told == Some(telling) => contest.tellings.next(now, &self.delays)?,
            _ => {}
        }
        Ok(telling)
    }

    /// Remembers that `application` was given that status at `now`.
    pub fn told(&mut self, application: &Key, telling: Telling, now: Instant) {
        let contest = Self::of(&mut self.applications, &mut self.full_at, application, now);
        contest.told = Some(telling);
        contest.wrote = now;
    }

    /// How long the status of `application` has to wait at `now`, if it has to.
    pub fn untold(&self, application: &Key, now: Instant) -> Option<Duration> {
        let not_before = self.applications.get(application)?.tellings.not_before;
        (now < not_before).then(|| not_before.saturating_duration_since(now))
    }

    /// Remembers that children of `application` were written at `now`, each with the hash of its wish.
    pub fn wrote(&mut self, application: &Key, hashes: BTreeMap<Kind, String>, now: Instant) {
        if !hashes.is_empty() {
            let contest = Self::of(&mut self.applications, &mut self.full_at, application, now);
            contest.written.extend(hashes);
            contest.wrote = now;
        }
    }

    /// The hash of what was written last to each of `application`'s children, as far as that is remembered.
    pub fn written(&self, application: &Key) -> Option<&BTreeMap<Kind, String>> {
        self.applications.get(application).map(|contest| &contest.written)
    }

    fn of<'a>(
        applications: &'a mut HashMap<Key, Contest>,
        full_at: &mut usize,
        application: &Key,
        now: Instant,
    ) -> &'a mut Contest {
        if applications.len() >= *full_at && !applications.contains_key(application) {
            let is_quiet = |at: Instant| now.saturating_duration_since(at) >= QUIET;
            applications.retain(|_, contest| {
                !is_quiet(contest.edits.last) || !is_quiet(contest.tellings.last) || !is_quiet(contest.wrote)
            });
            *full_at = REMEMBERED.max(2 * applications.len());
        }
        let rounds = || Rounds::new(now);
        let fresh =
            || Contest { edits: rounds(), written: BTreeMap::new(), wrote: now, tellings: rounds(), told: None };
        applications.entry(application.clone()).or_insert_with(fresh)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::application::Condition;

    /// How many of a writer's edits are undone that come `apart` for `long`.
    fn undone(apart: Duration, long: Duration) -> u32 {
        let (mut contests, key, start) = (Contests::default(), Key::new("n", "a"), Instant::now());
        let edits = u32::try_from(long.as_millis() / apart.as_millis()).unwrap();
        (0..edits).map(|edit| u32::from(contests.undo(&key, start + apart * edit).is_ok())).sum()
    }

    #[test]
    fn what_people_do_by_hand_is_undone_at_once() {
        assert_eq!(undone(Duration::from_secs(3), Duration::from_mins(1)), 20);
    }

    #[test]
    fn a_fight_at_any_pace_slows_down_to_a_round_a_minute() {
        for apart in [1, 10, 100, 1_000] {
            let rounds = undone(Duration::from_millis(apart), Duration::from_mins(10));
            assert!((TOLERATED + 10..TOLERATED + 20).contains(&rounds), "{apart} ms apart: {rounds}");
        }
    }

    #[test]
    fn what_was_written_is_remembered_until_it_has_long_been_quiet() {
        let (mut contests, now) = (Contests::default(), Instant::now());
        let key = |number: usize| Key::new("n", number.to_string());
        let hashes = || BTreeMap::from([(Kind::Deployment, "1".to_owned())]);
        for number in 0..REMEMBERED {
            contests.wrote(&key(number), hashes(), now);
        }
        contests.wrote(&key(0), BTreeMap::from([(Kind::Service, "2".to_owned())]), now + QUIET);
        assert_eq!(contests.written(&key(0)).map(BTreeMap::len), Some(2), "of each child");
        contests.wrote(&key(REMEMBERED), hashes(), now + QUIET);
        assert_eq!((contests.written(&key(1)), contests.applications.len()), (None, 2));
    }

    /// What another operator's judgement makes of a status in between is not seen here.
    #[test]
    fn a_status_that_is_changed_each_time_is_put_back_once_a_minute_at_most() {
        let (mut contests, key, start) = (Contests::default(), Key::new("n", "a"), Instant::now());
        let mut status = ApplicationStatus { replicas: 1, ..ApplicationStatus::default() };
        let (mut count, apart) = (0, Duration::from_millis(10));
        for edit in 0..60_000 {
            let now = start + apart * edit;
            status.conditions = [Condition {
                last_transition_time: Time(Timestamp::from_second(i64::from(edit)).unwrap()),
                message: "a fight".into(),
                observed_generation: None,
                reason: "Fight".into(),
                status: "True".into(),
                type_: "Ready".into(),
            }]
            .into();
            match contests.tell(&key, &status, now) {
                Ok(telling) => {
                    contests.told(&key, telling, now);
                    count += 1;
                }
                Err(wait) => assert_eq!(contests.untold(&key, now), Some(wait)),
            }
        }
        assert!((TOLERATED + 10..TOLERATED + 20).contains(&count), "{count}");
        assert_eq!(contests.undo(&key, start + apart * 60_000), Ok(()), "the children are not concerned");
    }

    #[test]
    fn a_status_that_says_something_else_each_time_is_told_at_once() {
        let (mut contests, key, now) = (Contests::default(), Key::new("n", "a"), Instant::now());
        for replicas in 0..1_000 {
            let status = ApplicationStatus { replicas: replicas % 2, ..ApplicationStatus::default() };
            let telling = contests.tell(&key, &status, now).expect("nobody has changed it");
            contests.told(&key, telling, now);
            assert_eq!(contests.untold(&key, now), None);
        }
    }

    #[test]
    fn a_quiet_time_ends_a_fight_and_others_are_not_concerned() {
        let (mut contests, key, now) = (Contests::default(), Key::new("n", "a"), Instant::now());
        while contests.undo(&key, now).is_ok() {}
        assert_eq!(contests.undo(&key, now), Err(WAIT.0));
        assert_eq!(contests.undo(&Key::new("n", "b"), now), Ok(()));
        assert_eq!(contests.undo(&key, now + QUIET), Ok(()));
        assert_eq!(contests.undo(&key, now + QUIET), Ok(()));
    }
}
