//! Occurrences and answers in, requests out.

use proptest::prelude::*;

use super::super::body::moment;
use super::super::budget::BURST;
use super::*;

const MINUTE: Duration = Duration::from_mins(1);

fn about(uid: &str, note: &str) -> Subject {
    let regarding = Reference {
        api_version: "v1".to_owned(),
        kind: "Thing",
        namespace: format!("of-{}", &uid[..1]),
        name: "thing".to_owned(),
        uid: uid.to_owned(),
    };
    Subject { regarding, related: None, kind: Kind::Normal, reason: "Done", action: "Do", note: note.to_owned() }
}

fn observe(core: &mut Core, now: Now, subject: &Subject) {
    core.observe(now, moment(i64::try_from(now.as_secs()).unwrap()), subject.clone());
}

/// Sends all that is to be sent, with one answer for all: whether it was new, and its count.
fn drain(core: &mut Core, now: Now, answer: Answer) -> Vec<(bool, u32)> {
    let mut sent = Vec::new();
    while let Some(request) = core.next(now) {
        sent.push((request.is_new, request.count));
        core.answered(now, 0.0, &request.subject, answer);
    }
    sent
}

#[test]
fn a_thousand_equal_occurrences_are_one_event_and_a_few_changes_of_its_count() {
    let (mut core, subject) = (Core::default(), about("a", ""));
    let mut sent = Vec::new();
    for _ in 0..1_000 {
        observe(&mut core, Now::ZERO, &subject);
        sent.extend(drain(&mut core, Now::ZERO, Answer::Done));
    }
    let doubled = [2, 4, 8, 16, 32, 64, 128, 256, 512].map(|count| (false, count));
    assert_eq!((sent[0], &sent[1..]), ((true, 1), &doubled[..]));
    core.close();
    assert_eq!(drain(&mut core, Now::ZERO, Answer::Done), [(false, 1_000)], "the whole truth at the end");
    assert_eq!(core.counts(), Counts { sent: 11, aggregated: 999, ..Counts::default() });
}

#[test]
fn a_series_is_over_after_six_minutes_of_silence_and_then_another_event_begins() {
    let (mut core, subject) = (Core::default(), about("a", ""));
    for _ in 0..3 {
        observe(&mut core, Now::ZERO, &subject);
        drain(&mut core, Now::ZERO, Answer::Done);
    }
    core.tick(5 * MINUTE);
    assert_eq!(drain(&mut core, 5 * MINUTE, Answer::Done), []);
    core.tick(SILENCE);
    assert_eq!(drain(&mut core, SILENCE, Answer::Done), [(false, 3)]);
    core.tick(SILENCE + MINUTE);
    assert!(core.series.is_empty() && core.ages.is_empty());
    observe(&mut core, SILENCE + MINUTE, &subject);
    assert_eq!(drain(&mut core, SILENCE + MINUTE, Answer::Done), [(true, 1)]);
}

#[test]
fn a_series_that_goes_on_is_refreshed_every_half_hour() {
    let (mut core, subject) = (Core::default(), about("a", ""));
    let mut sent = Vec::new();
    for minute in 0..200 {
        let now = MINUTE * minute;
        observe(&mut core, now, &subject);
        core.tick(now);
        sent.extend(drain(&mut core, now, Answer::Done).into_iter().map(|(_, count)| (minute, count)));
    }
    assert_eq!(
        sent,
        [(0, 1), (1, 2), (3, 4), (7, 8), (15, 16), (31, 32), (61, 62), (91, 92), (121, 122), (151, 152), (181, 182)]
    );
}

#[test]
fn what_differs_in_anything_is_another_event() {
    let base = about("a", "n");
    let related = Some(base.regarding.clone());
    let different = [
        base.clone(),
        about("b", "n"),
        about("a", "m"),
        Subject { reason: "Else", ..base.clone() },
        Subject { action: "Else", ..base.clone() },
        Subject { kind: Kind::Warning, ..base.clone() },
        Subject { related, ..base.clone() },
    ];
    let mut core = Core::default();
    for subject in &different {
        observe(&mut core, Now::ZERO, subject);
    }
    assert_eq!(drain(&mut core, Now::ZERO, Answer::Done), [(true, 1); 7]);
}

#[test]
fn an_object_that_has_ever_new_things_to_tell_is_silenced_and_that_is_counted() {
    let mut core = Core::default();
    for number in 0..100 {
        observe(&mut core, Now::ZERO, &about("a", &number.to_string()));
    }
    observe(&mut core, Now::ZERO, &about("b", ""));
    assert_eq!(drain(&mut core, Now::ZERO, Answer::Done).len(), BURST as usize + 1, "the other one is heard");
    assert_eq!(core.counts().suppressed, 75);
}

#[test]
fn a_namespace_that_takes_no_events_is_asked_once_a_minute_however_many_there_are() {
    let mut core = Core::default();
    let mut asked = 0;
    for second in 0..600_u32 {
        let now = Duration::from_secs(second.into());
        observe(&mut core, now, &about(&format!("a{second}"), ""));
        asked += drain(&mut core, now, Answer::Forbidden).len();
        if second == 0 {
            observe(&mut core, now, &about("b", ""));
            assert_eq!(drain(&mut core, now, Answer::Done), [(true, 1)], "another namespace");
        }
    }
    assert_eq!((asked, core.counts().refused), (10, 600));
}

#[test]
fn a_server_that_is_away_is_waited_for_and_given_up_in_the_end() {
    let (mut core, subject) = (Core::default(), about("a", ""));
    observe(&mut core, Now::ZERO, &subject);
    observe(&mut core, Now::ZERO, &about("b", ""));
    let mut now = Now::ZERO;
    let mut tries = 0;
    while !core.is_idle() {
        tries += drain(&mut core, now, Answer::Unavailable).len();
        now += Duration::from_secs(1);
    }
    assert_eq!((tries, core.counts().dropped), (2 * TRIES as usize, 2));
    assert!(now >= RETRY * (2 * TRIES - 2), "all wait while one does: {now:?}");
    // Occurrences during the outage are one Event with a count, where the server is back in time.
    let mut core = Core::default();
    for second in 0..60 {
        observe(&mut core, Duration::from_secs(second), &subject);
        drain(&mut core, Duration::from_secs(second), Answer::Unavailable);
    }
    assert_eq!(drain(&mut core, MINUTE, Answer::Done), [(true, 60)]);
}

#[test]
fn the_busier_the_server_the_fewer_events_it_is_sent() {
    let mut core = Core::default();
    let took = Duration::from_millis(10);
    for uid in ["a", "b", "c", "d"] {
        observe(&mut core, Now::ZERO, &about(uid, ""));
    }
    let first = core.next(Now::ZERO).expect("the first goes at once");
    assert!(core.next(took).is_none() && core.wake_at().is_none(), "one at a time");
    core.answered(took, 0.0, &first.subject, Answer::Done);
    let rested = took * (1 + REST);
    assert!(core.next(rested.saturating_sub(Duration::from_nanos(1))).is_none());
    assert_eq!(core.wake_at(), Some(rested));
    let slow = core.next(rested).expect("another one");
    let answered = rested + Duration::from_secs(1);
    core.answered(answered, 0.0, &slow.subject, Answer::Done);
    assert_eq!(core.wake_at(), Some(answered + LONGEST_REST), "who is far away is not busy");
    core.close();
    assert!(core.next(answered).is_some(), "at the end there is no time for that");
}

#[test]
fn an_event_that_is_gone_goes_on_as_another_one() {
    let (mut core, subject) = (Core::default(), about("a", ""));
    observe(&mut core, Now::ZERO, &subject);
    let first = core.next(Now::ZERO).expect("a request");
    core.answered(Now::ZERO, 0.0, &first.subject, Answer::Done);
    observe(&mut core, Now::ZERO, &subject);
    let change = core.next(Now::ZERO).expect("a request");
    core.answered(Now::ZERO, 0.0, &change.subject, Answer::Missing);
    let again = core.next(Now::ZERO).expect("a request");
    assert_eq!((change.is_new, again.is_new, again.count), (false, true, 2));
    assert_ne!(again.serial, first.serial, "its name was taken");
}

#[test]
fn what_is_remembered_is_bounded_and_what_was_observed_last_is_kept() {
    let mut core = Core::default();
    for number in 0..3 * REMEMBERED {
        let now = Duration::from_millis(number as u64);
        observe(&mut core, now, &about(&format!("a{number}"), ""));
        if number % 2 == 0 {
            observe(&mut core, now, &about("always", ""));
        }
        drain(&mut core, now, Answer::Done);
        assert!(core.series.len() <= REMEMBERED && core.ages.len() == core.series.len());
    }
    assert!(core.series.contains_key(&about("always", "")));
    for number in 0..2 * WAITING {
        observe(&mut core, MINUTE, &about(&format!("b{number}"), ""));
    }
    assert_eq!((core.outbox.len(), core.counts().dropped), (WAITING, WAITING as u64));
}

proptest! {
    /// Whatever the order of occurrences, answers and time: the server's counts add up to what occurred, no Event is made
    /// twice, and no count goes down.
    #[test]
    fn no_occurrence_is_lost_or_told_twice(steps in prop::collection::vec((0..4_u8, 0..3_u8, 0..200_u64), 1..200)) {
        let mut core = Core::default();
        let mut server: HashMap<u64, u32> = HashMap::new();
        let (mut now, mut occurred, mut under_way) = (Now::ZERO, 0, VecDeque::new());
        let mut settle = |core: &mut Core, request: Request, now| {
            let answer = if request.is_new {
                assert!(server.insert(request.serial, request.count).is_none(), "made twice");
                Answer::Done
            } else {
                let count = server.get_mut(&request.serial).expect("made before");
                assert!(*count < request.count || request.count > 1, "it grows");
                *count = request.count;
                Answer::Done
            };
            core.answered(now, 0.0, &request.subject, answer);
        };
        for (what, which, seconds) in steps {
            match what {
                0 | 1 => {
                    observe(&mut core, now, &about(["a", "b", "c"][usize::from(which)], ""));
                    occurred += 1;
                }
                2 => under_way.extend(core.next(now)),
                _ => {
                    if let Some(request) = under_way.pop_front() {
                        settle(&mut core, request, now);
                    }
                    now += Duration::from_secs(seconds);
                    core.tick(now);
                }
            }
            prop_assert_eq!(core.ages.len(), core.series.len());
            prop_assert_eq!(
                core.outbox.len(),
                core.series.values().filter(|series| series.state == State::Queued).count()
            );
        }
        core.close();
        loop {
            under_way.extend(core.next(now));
            let Some(request) = under_way.pop_front() else { break };
            settle(&mut core, request, now);
        }
        prop_assert!(core.is_idle());
        prop_assert_eq!(server.values().sum::<u32>() + u32::try_from(core.counts().suppressed).unwrap(), occurred);
        prop_assert_eq!(core.counts().dropped, 0);
    }
}
