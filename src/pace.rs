//! How fast a new version of the operator replaces pods. Pure: no clock.
//!
//! A version that renders pods otherwise than the last one would restart a whole fleet at its start. Those Applications are
//! counted then; where they are more than may be under way at a time, the rest wait until pods of others are ready again. So a
//! version whose pods don't start breaks as many Applications as that, and not all of them.

use std::collections::HashSet;
use std::time::Duration;

use engine::object::Key;

/// How often somebody who waits asks again for each row of others before him: rollouts take longer as a rule, and a whole
/// fleet that asks each second would be work.
const ROW: Duration = Duration::from_secs(2);

/// The longest time between two such questions: what a free place may go unnoticed for.
const LONGEST: Duration = Duration::from_secs(30);

/// Who waits, and whose pods are being replaced.
#[derive(Debug)]
pub struct Pace {
    waiting: HashSet<Key>,
    /// At most `places`.
    under_way: HashSet<Key>,
    places: usize,
}

impl Pace {
    /// The pace for those that were `found`, of which `places` may be under way at a time; 0 for all of them.
    pub fn new(found: impl IntoIterator<Item = Key>, places: usize) -> Self {
        let mut waiting: HashSet<Key> = found.into_iter().collect();
        if places == 0 || waiting.len() <= places {
            waiting.clear();
        }
        Self { waiting, under_way: HashSet::new(), places }
    }

    /// Asks whether the pods of `key` may be replaced now. Its place is taken until it [leaves](Self::leave), if it `holds`
    /// one: an Application that was not ready before may never be, and keeps nobody waiting.
    ///
    /// # Errors
    ///
    /// When to ask again, if they may not.
    pub fn ask(&mut self, key: &Key, holds: bool) -> Result<(), Duration> {
        if !self.waiting.contains(key) {
            return Ok(());
        }
        if self.under_way.len() >= self.places {
            let rows = u32::try_from(self.waiting.len() / self.places.max(1)).unwrap_or(u32::MAX);
            return Err(ROW.saturating_mul(rows.saturating_add(1)).min(LONGEST));
        }
        self.waiting.remove(key);
        if holds {
            self.under_way.insert(key.clone());
        }
        Ok(())
    }

    /// Lets go of `key`: its pods are replaced, or are none of this version's business any more. Returns true if it was the
    /// last one.
    pub fn leave(&mut self, key: &Key) -> bool {
        let was_known = self.waiting.remove(key) | self.under_way.remove(key);
        was_known && self.is_over()
    }

    /// Whether the pods of `key` are being replaced.
    pub fn is_under_way(&self, key: &Key) -> bool {
        self.under_way.contains(key)
    }

    /// Whether nobody waits, and nobody is waited for.
    pub fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }

    /// How many wait, and how many are under way.
    pub fn counts(&self) -> (usize, usize) {
        (self.waiting.len(), self.under_way.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key::new("team", format!("app-{number}"))
    }

    fn pace(found: usize, places: usize) -> Pace {
        Pace::new((0..found).map(key), places)
    }

    #[test]
    fn as_many_as_there_are_places_wait_for_nobody() {
        for mut pace in [pace(3, 3), pace(100, 0)] {
            assert!(pace.is_over());
            assert!((0..100).all(|number| pace.ask(&key(number), true).is_ok()));
            assert_eq!(pace.counts(), (0, 0));
        }
    }

    #[test]
    fn of_more_than_that_each_waits_until_a_place_is_free() {
        let mut pace = pace(5, 2);
        assert_eq!((pace.ask(&key(4), true), pace.ask(&key(0), true)), (Ok(()), Ok(())));
        assert!(pace.ask(&key(1), true).is_err());
        assert_eq!(pace.ask(&key(4), true), Ok(()), "whoever has a place goes on");
        assert_eq!((pace.counts(), pace.is_under_way(&key(4))), ((3, 2), true));
        assert!(!pace.leave(&key(4)));
        assert_eq!(pace.ask(&key(1), true), Ok(()));
        assert!(pace.ask(&key(2), true).is_err());
    }

    #[test]
    fn whoever_was_found_broken_takes_no_place_and_whoever_was_not_found_does_not_wait() {
        let mut pace = pace(3, 1);
        assert_eq!((pace.ask(&key(0), false), pace.ask(&key(1), true)), (Ok(()), Ok(())));
        assert!(pace.ask(&key(2), true).is_err());
        assert_eq!(pace.ask(&key(9), true), Ok(()), "a new one");
        assert!(!pace.leave(&key(9)));
    }

    #[test]
    fn it_is_over_with_the_last_one_and_told_once() {
        let mut pace = pace(2, 1);
        assert_eq!(pace.ask(&key(0), true), Ok(()));
        assert!(!pace.leave(&key(1)), "gone while it waited");
        assert!(pace.leave(&key(0)));
        assert!(!pace.leave(&key(0)));
    }

    #[test]
    fn the_more_wait_the_less_often_each_asks() {
        let mut few = pace(3, 2);
        let mut many = pace(20_000, 2);
        for pace in [&mut few, &mut many] {
            assert_eq!((pace.ask(&key(0), true), pace.ask(&key(1), true)), (Ok(()), Ok(())));
        }
        assert_eq!((few.ask(&key(2), true), many.ask(&key(2), true)), (Err(ROW), Err(LONGEST)));
    }
}
