//! The state machine, step by step, without a server.

use std::sync::Arc;

use super::*;
use crate::api::{Error, Status, Thing};
use crate::object::Metadata;

fn version(text: &str) -> ResourceVersion {
    ResourceVersion(text.into())
}

fn thing(name: &str, at: &str) -> Entry<Thing> {
    let metadata = Metadata { name: name.into(), resource_version: version(at), ..Metadata::default() };
    Entry::Valid(Arc::new(Thing { metadata, size: 0 }))
}

fn bookmark(at: &str, ends_initial: bool) -> Event<Thing> {
    Event::Bookmark { version: version(at), ends_initial }
}

fn page(names: &[&str], at: &str, continue_token: Option<&str>) -> Page<Thing> {
    Page {
        version: version(at),
        continue_token: continue_token.map(str::to_owned),
        entries: names.iter().map(|name| thing(name, at)).collect(),
    }
}

fn error(code: u16) -> Event<Thing> {
    Event::Error(Status { code, ..Status::default() })
}

/// A machine that has listed by pages and watches from `at`.
fn watching(at: &str) -> Machine<Thing> {
    let mut machine = Machine { streams_lists: false, ..Machine::default() };
    machine.page(page(&["a"], at, None)).expect("a snapshot");
    machine
}

fn names(transaction: Option<Transaction<Thing>>) -> (String, Vec<String>) {
    let Some(Transaction::Replace { version, entries, .. }) = transaction else { panic!("{transaction:?}") };
    let mut names: Vec<String> = entries.iter().map(|entry| entry.key().to_string()).collect();
    names.sort();
    (version.to_string(), names)
}

#[test]
fn a_streamed_list_is_handed_on_whole_at_its_end() {
    let mut machine = Machine::default();
    assert_eq!(machine.request(), Request::Watch(Start::WithList));
    assert!(machine.event(Event::Upsert(thing("a", "3"))).expect("goes on").is_none());
    assert!(machine.event(Event::Upsert(thing("b", "4"))).expect("goes on").is_none());
    assert!(machine.event(Event::Delete(thing("a", "5"))).expect("goes on").is_none());
    let snapshot = machine.event(bookmark("6", true)).expect("a snapshot");
    assert_eq!(names(snapshot), ("6".to_owned(), vec!["b".to_owned()]));
    assert_eq!(machine.request(), Request::Watch(Start::After(version("6"))));
}

#[test]
fn a_streamed_list_that_fails_is_followed_by_one_by_pages() {
    for end in [End::Failed, End::Closed, End::Behind, End::Silent, End::Garbled] {
        let mut machine = Machine::default();
        machine.event(Event::Upsert(thing("a", "3"))).expect("goes on");
        machine.ended(end);
        assert_eq!(machine.request(), Request::List { continue_token: None, whole: false }, "{end:?}");
        let snapshot = machine.page(page(&["b"], "6", None)).expect("a snapshot");
        assert_eq!(names(snapshot).1, ["b"], "what the failed stream brought is forgotten");
        machine.ended(End::Expired);
        assert_eq!(machine.request(), Request::Watch(Start::WithList), "the next one is streamed again");
    }
}

#[test]
fn a_server_that_refuses_streamed_lists_is_listed_by_pages_for_good() {
    let mut machine = Machine::<Thing>::default();
    assert_eq!(machine.ended(End::Refused), Pause::None);
    assert_eq!(machine.request(), Request::List { continue_token: None, whole: false });
    machine.page(page(&["a"], "5", None)).expect("a snapshot");
    machine.ended(End::Expired);
    assert_eq!(machine.request(), Request::List { continue_token: None, whole: false });
}

#[test]
fn a_server_that_ignores_streamed_lists_is_known_by_its_first_ordinary_bookmark() {
    let mut machine = Machine::default();
    machine.event(Event::Upsert(thing("a", "3"))).expect("goes on");
    let end = machine.event(bookmark("5", false)).expect_err("the end of the list never comes");
    assert_eq!(machine.ended(end), Pause::None);
    assert_eq!(machine.request(), Request::List { continue_token: None, whole: false });
}

#[test]
fn pages_are_handed_on_as_one_snapshot() {
    let mut machine = Machine { streams_lists: false, ..Machine::default() };
    assert!(machine.page(page(&["a"], "5", Some("next"))).expect("goes on").is_none());
    assert_eq!(machine.request(), Request::List { continue_token: Some("next".to_owned()), whole: false });
    assert_eq!(machine.ended(End::Failed), Pause::Backoff(1));
    assert_eq!(
        machine.request(),
        Request::List { continue_token: Some("next".to_owned()), whole: false },
        "the page is asked for again"
    );
    let snapshot = machine.page(page(&["b"], "5", None)).expect("a snapshot");
    assert_eq!(names(snapshot), ("5".to_owned(), vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn an_expired_continue_token_starts_the_list_over() {
    let mut machine = Machine { streams_lists: false, ..Machine::default() };
    machine.page(page(&["a"], "5", Some("next"))).expect("goes on");
    assert_eq!(machine.ended(End::Expired), Pause::None);
    assert_eq!(machine.request(), Request::List { continue_token: None, whole: false });
    let snapshot = machine.page(page(&["b"], "6", None)).expect("a snapshot");
    assert_eq!(names(snapshot).1, ["b"], "no page of the first attempt is mixed in");
}

#[test]
fn a_watch_resumes_after_the_last_event_or_bookmark() {
    let mut machine = watching("5");
    assert!(matches!(machine.event(Event::Upsert(thing("a", "7"))), Ok(Some(Transaction::Upsert(_)))));
    assert_eq!(machine.ended(End::Closed), Pause::None);
    assert_eq!(machine.request(), Request::Watch(Start::After(version("7"))));
    assert!(matches!(machine.event(bookmark("9", false)), Ok(Some(Transaction::Progress(_)))));
    assert!(matches!(machine.event(Event::Delete(thing("a", "8"))), Ok(Some(Transaction::Delete(_)))));
    assert_eq!(machine.ended(End::Silent), Pause::None);
    assert_eq!(machine.request(), Request::Watch(Start::After(version("9"))), "a late event moves nothing back");
}

#[test]
fn a_watch_that_keeps_closing_without_an_event_is_backed_off() {
    let mut machine = watching("5");
    assert_eq!(machine.ended(End::Closed), Pause::None);
    assert_eq!(machine.ended(End::Closed), Pause::Backoff(2));
    assert_eq!(machine.ended(End::Closed), Pause::Backoff(3));
    machine.event(bookmark("6", false)).expect("goes on");
    assert_eq!(machine.ended(End::Closed), Pause::None);
}

#[test]
fn a_repeated_bookmark_is_no_progress() {
    let mut machine = watching("5");
    for failures in 1..CLOSES_BELIEVED {
        machine.event(bookmark("5", false)).expect("goes on");
        let pause = machine.ended(End::Closed);
        assert_eq!(pause == Pause::None, failures == 1, "{pause:?}");
    }
}

#[test]
fn a_watch_that_stays_silent_unreadable_or_empty_lists_again() {
    for (end, believed) in
        [(End::Silent, SILENCES_BELIEVED), (End::Garbled, SILENCES_BELIEVED), (End::Closed, CLOSES_BELIEVED)]
    {
        let mut machine = watching("5");
        for _ in 1..believed {
            machine.ended(end);
            assert_eq!(machine.request(), Request::Watch(Start::After(version("5"))), "{end:?}");
        }
        machine.ended(end);
        assert_eq!(machine.request(), Request::List { continue_token: None, whole: false }, "{end:?}");
    }
}

/// Of a kind that nobody touches, a server whose etcd tells no progress sends no bookmark after a renewal.
#[test]
fn a_silence_after_a_watch_that_closed_in_time_lists_nothing_again() {
    let mut machine = watching("5");
    for at in ["6", "7", "8"] {
        assert_eq!(machine.ended(End::Closed), Pause::None);
        assert_eq!(machine.ended(End::Silent), Pause::None);
        assert!(matches!(machine.request(), Request::Watch(Start::After(_))), "after {at}");
        machine.event(bookmark(at, false)).expect("goes on");
    }
}

#[test]
fn each_end_is_told_in_words() {
    for end in End::ALL {
        let text = end.to_string();
        assert!(text.split(' ').count() > 2 && !text.contains(&format!("{end:?}")), "{end:?}: {text}");
    }
}

#[test]
fn an_outage_of_any_length_lists_nothing_again() {
    let mut machine = watching("5");
    for _ in 0..50 {
        machine.ended(End::Failed);
    }
    assert_eq!(machine.request(), Request::Watch(Start::After(version("5"))));
}

#[test]
fn lists_after_which_the_watch_brings_nothing_are_backed_off() {
    let mut machine = watching("5");
    let mut pauses = Vec::new();
    for at in ["6", "7", "8", "9"] {
        pauses.push(machine.ended(End::Expired));
        machine.page(page(&["a"], at, None)).expect("a snapshot");
    }
    assert_eq!(pauses, [Pause::None, Pause::Backoff(2), Pause::Backoff(3), Pause::Backoff(4)]);
    machine.event(bookmark("20", false)).expect("goes on");
    assert_eq!(machine.ended(End::Expired), Pause::None);
}

#[test]
fn a_bookmark_from_before_the_watch_began_shows_a_server_that_went_back() {
    assert_eq!(watching("50").event(bookmark("9", false)).expect_err("it is behind"), End::Behind);
}

#[test]
fn a_version_that_means_another_thing_is_no_point_to_resume_at() {
    let mut machine = watching("5");
    for nowhere in ["", "0"] {
        machine.event(Event::Upsert(thing("a", nowhere))).expect("goes on");
        assert_eq!(machine.request(), Request::Watch(Start::After(version("5"))));
        let mut unlisted = Machine { streams_lists: false, ..Machine::default() };
        assert_eq!(unlisted.page(page(&["a"], nowhere, None)).expect_err("no version"), End::Garbled);
    }
}

#[test]
fn an_expired_version_lists_again_whether_it_comes_as_http_status_or_in_the_stream() {
    let in_stream = watching("5").event(error(410)).expect_err("ends the watch");
    let as_status = End::from(&Error::Status(Status { code: 410, ..Status::default() }));
    assert_eq!((in_stream, as_status), (End::Expired, End::Expired));

    let mut machine = watching("5");
    assert_eq!(machine.ended(End::Expired), Pause::None);
    assert_eq!(machine.request(), Request::List { continue_token: None, whole: false });
    assert_eq!(machine.ended(End::Expired), Pause::Backoff(2), "a server that only ever says 410 is not hammered");
}

#[test]
fn a_server_that_is_behind_is_waited_for_and_then_listed() {
    let mut machine = watching("5");
    let behind = Status { code: 504, message: "Too large resource version: 9, current: 4".into(), ..Status::default() };
    assert_eq!(End::from(&behind), End::Behind);
    assert_eq!(machine.ended(End::Behind), Pause::Backoff(1));
    assert_eq!(machine.request(), Request::Watch(Start::After(version("5"))));
    machine.ended(End::Behind);
    machine.ended(End::Behind);
    assert_eq!(machine.request(), Request::List { continue_token: None, whole: false });
}

#[test]
fn an_absent_resource_is_probed_ever_more_seldom_once_its_absence_is_believed() {
    let mut machine = watching("5");
    for looks in [1, 1, 1, 2, 3] {
        assert_eq!(machine.ended(End::Absent), Pause::Probe(looks));
    }
    assert_eq!(machine.request(), Request::List { continue_token: None, whole: false });
}

#[test]
fn what_stays_forbidden_is_asked_for_ever_more_seldom_and_what_was_known_goes_on_when_it_is_allowed() {
    let mut machine = watching("5");
    for failures in 1..=DENIALS_BELIEVED {
        assert_eq!(machine.ended(End::Forbidden), Pause::Backoff(failures));
    }
    for looks in [1, 2, 3] {
        assert_eq!(machine.ended(End::Forbidden), Pause::Probe(looks));
    }
    assert!(matches!(machine.request(), Request::Watch(Start::After(_))), "nothing is listed again for that");
    assert_eq!(machine.ended(End::Failed), Pause::Backoff(DENIALS_BELIEVED + 4), "it is another trouble");
    machine.event(bookmark("6", false)).expect("goes on");
    assert_eq!(machine.ended(End::Forbidden), Pause::Backoff(1));
}

#[test]
fn a_resource_that_stays_absent_has_taken_its_objects_with_it() {
    let mut machine = watching("5");
    let mut never_listed = Machine::<Thing>::default();
    for absences in 1..6 {
        machine.ended(End::Absent);
        never_listed.ended(End::Absent);
        let cleared = matches!(machine.vanished(), Some(Transaction::Clear));
        assert_eq!(cleared, absences == ABSENCES_BELIEVED, "once");
        assert!(never_listed.vanished().is_none());
    }
}

#[test]
fn a_snapshot_older_than_what_is_known_is_refused_until_the_server_insists() {
    let mut machine = watching("50");
    for _ in 0..REGRESSIONS_BELIEVED {
        machine.ended(End::Expired);
        assert_eq!(machine.page(page(&["old"], "9", None)).expect_err("too old"), End::Regressed);
        assert!(matches!(machine.ended(End::Regressed), Pause::Backoff(_)));
    }
    let restored = machine.page(page(&["old"], "9", None)).expect("believed by now");
    assert_eq!(names(restored), ("9".to_owned(), vec!["old".to_owned()]));
}

#[test]
fn a_refused_snapshot_leaves_the_newer_one_standing() {
    let mut machine = watching("50");
    machine.ended(End::Expired);
    machine.page(page(&["old"], "9", None)).expect_err("too old");
    machine.ended(End::Regressed);
    let newer = machine.page(page(&["new"], "51", None)).expect("a snapshot");
    assert_eq!(names(newer).0, "51");
    assert_eq!(machine.regressions, 0);
}

#[test]
fn a_list_whose_pages_expire_again_and_again_is_asked_for_whole() {
    let mut machine = Machine { streams_lists: false, ..Machine::default() };
    for _ in 0..EXPIRIES_BELIEVED {
        assert_eq!(machine.request(), Request::List { continue_token: None, whole: false });
        machine.page(page(&["a"], "5", Some("next"))).expect("goes on");
        machine.ended(End::Expired);
    }
    assert_eq!(machine.request(), Request::List { continue_token: None, whole: true });
    machine.page(page(&["a", "b"], "9", None)).expect("a snapshot");
    machine.ended(End::Expired);
    assert_eq!(machine.request(), Request::List { continue_token: None, whole: false }, "the next one gets its chance");
}

#[test]
fn a_page_that_was_cut_is_asked_for_again_and_one_that_is_always_cut_starts_the_list_over() {
    let mut machine = Machine { streams_lists: false, ..Machine::default() };
    machine.page(page(&["a"], "5", Some("next"))).expect("goes on");
    assert_eq!(machine.ended(End::Garbled), Pause::Backoff(1));
    assert_eq!(machine.request(), Request::List { continue_token: Some("next".to_owned()), whole: false });
    machine.ended(End::Garbled);
    assert_eq!(machine.request(), Request::List { continue_token: None, whole: false });
}

#[test]
fn a_server_that_does_not_heed_its_own_tokens_is_not_asked_for_ever() {
    let mut machine = Machine { streams_lists: false, ..Machine::default() };
    machine.page(page(&["a"], "5", Some("same"))).expect("goes on");
    let end = machine.page(page(&["a"], "5", Some("same"))).expect_err("the same page again");
    assert!(matches!(machine.ended(end), Pause::Backoff(_)));
    assert_eq!(machine.request(), Request::List { continue_token: None, whole: false });
}

#[test]
fn a_list_tells_why_it_was_made_and_whether_the_cluster_went_back() {
    let reason = |machine: &mut Machine<Thing>, at: &str| match machine.page(page(&["a"], at, None)) {
        Ok(Some(Transaction::Replace { reason, restored, .. })) => (reason, restored),
        other => panic!("{other:?}"),
    };
    let mut machine = Machine { streams_lists: false, ..Machine::default() };
    assert_eq!(reason(&mut machine, "50"), (Reason::Initial, false));
    machine.ended(End::Expired);
    machine.ended(End::Failed);
    assert_eq!(reason(&mut machine, "51"), (Reason::Ended(End::Expired), false), "the first reason counts");
    machine.distrust(Reason::Audit);
    assert_eq!(reason(&mut machine, "52"), (Reason::Audit, false));
    machine.ended(End::Expired);
    for _ in 0..REGRESSIONS_BELIEVED {
        assert!(machine.page(page(&["a"], "9", None)).is_err() && !machine.trusts_cache());
        machine.ended(End::Regressed);
    }
    assert_eq!(reason(&mut machine, "9"), (Reason::Ended(End::Regressed), true));
    assert!(machine.trusts_cache());
}
