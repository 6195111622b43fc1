//! Tells a fight with another writer from healing. Pure: the time is an argument.
//!
//! An edit is undone at once. A writer that edits again at once, a second operator say, would be answered as fast, for ever,
//! and every round may roll pods. After so many rounds the operator waits longer with each, and says whom it waits for.
//!
//! A second operator that renders otherwise changes all of a child, the mark of what was applied last included, which then
//! looks like a changed wish. So it is remembered here what was written last.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use engine::backoff::Schedule;
use engine::object::Key;

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
    /// Edits that were undone, and the last of them.
    count: u32,
    last: Instant,
    not_before: Instant,
    /// The hash of what was written last to each child, and when the last of them was.
    written: BTreeMap<Kind, String>,
    wrote: Instant,
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
        if now.saturating_duration_since(contest.last) >= QUIET {
            (contest.count, contest.not_before) = (0, now);
        }
        if now < contest.not_before {
            return Err(contest.not_before.saturating_duration_since(now));
        }
        contest.count = contest.count.saturating_add(1);
        contest.last = now;
        contest.not_before = now + self.delays.delay(contest.count.saturating_sub(TOLERATED));
        Ok(())
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
            applications.retain(|_, contest| !is_quiet(contest.last) || !is_quiet(contest.wrote));
            *full_at = REMEMBERED.max(2 * applications.len());
        }
        let fresh = || Contest { count: 0, last: now, not_before: now, written: BTreeMap::new(), wrote: now };
        applications.entry(application.clone()).or_insert_with(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
