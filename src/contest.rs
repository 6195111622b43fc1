//! Tells a fight with another writer from healing. Pure: the time is an argument.
//!
//! An edit is undone at once. A writer that edits again at once, a second operator say, would be answered as fast, for ever,
//! and every round may roll pods. After so many rounds the operator waits longer with each, and says whom it waits for.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use engine::backoff::Schedule;
use engine::object::Key;

/// Edits that are undone at once. More than anybody makes by hand in a row; few enough that a fight is over before it has
/// rolled a Deployment's whole history away.
const TOLERATED: u32 = 20;

/// First and longest wait between two rounds of a fight. The longest is what a forgotten edit may stay for.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Without an edit for so long, all is forgotten. Longer than the longest wait, or a fight would never be known again.
const QUIET: Duration = Duration::from_mins(2);

/// Applications that are remembered before those that are quiet are looked for and dropped: some 100 KB.
const REMEMBERED: usize = 1_000;

/// The rounds that each Application's children have been through.
#[derive(Debug)]
pub struct Contests {
    rounds: HashMap<Key, Rounds>,
    delays: Schedule,
}

#[derive(Debug, Clone, Copy)]
struct Rounds {
    count: u32,
    last: Instant,
    not_before: Instant,
}

impl Default for Contests {
    fn default() -> Self {
        Self { rounds: HashMap::new(), delays: Schedule::new(WAIT.0, WAIT.1) }
    }
}

impl Contests {
    /// Asks whether an edit of one of `application`'s children may be undone at `now`; counts it if so.
    ///
    /// # Errors
    ///
    /// How long to wait if it may not.
    pub fn undo(&mut self, application: &Key, now: Instant) -> Result<(), Duration> {
        if self.rounds.len() >= REMEMBERED {
            self.rounds.retain(|_, rounds| now.saturating_duration_since(rounds.last) < QUIET);
        }
        let fresh = Rounds { count: 0, last: now, not_before: now };
        let rounds = self.rounds.entry(application.clone()).or_insert(fresh);
        if now.saturating_duration_since(rounds.last) >= QUIET {
            *rounds = fresh;
        }
        if now < rounds.not_before {
            return Err(rounds.not_before.saturating_duration_since(now));
        }
        rounds.count = rounds.count.saturating_add(1);
        rounds.last = now;
        rounds.not_before = now + self.delays.delay(rounds.count.saturating_sub(TOLERATED));
        Ok(())
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
    fn a_quiet_time_ends_a_fight_and_others_are_not_concerned() {
        let (mut contests, key, now) = (Contests::default(), Key::new("n", "a"), Instant::now());
        while contests.undo(&key, now).is_ok() {}
        assert_eq!(contests.undo(&key, now), Err(WAIT.0));
        assert_eq!(contests.undo(&Key::new("n", "b"), now), Ok(()));
        assert_eq!(contests.undo(&key, now + QUIET), Ok(()));
        assert_eq!(contests.undo(&key, now + QUIET), Ok(()));
    }
}
