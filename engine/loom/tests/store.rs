//! Every order in which a cache can be written, read and waited for by two threads.

mod explored;

use engine_loom::api::Entry;
use engine_loom::object::{Key, Metadata, Object, Resource, ResourceVersion, Uid};
use engine_loom::watch::{Reason, Transaction};
use loom::future::block_on;
use loom::thread;
use serde::Deserialize;

use crate::explored::explore;

#[derive(Debug, Deserialize)]
struct Thing {
    metadata: Metadata,
}

impl Object for Thing {
    const RESOURCE: Resource = Resource { group: "test", version: "v1", kind: "Thing", plural: "things" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

fn thing(name: &str, at: &str) -> Thing {
    let (uid, resource_version) = (Uid(name.into()), ResourceVersion(at.into()));
    let metadata = Metadata { name: name.into(), namespace: "n".into(), uid, resource_version, ..Metadata::default() };
    Thing { metadata }
}

fn entry(name: &str, at: &str) -> Entry<Thing> {
    Entry::Valid(thing(name, at).into())
}

/// A list of two objects that were both written at one version.
fn list(at: &str) -> Transaction<Thing> {
    let entries = vec![entry("a", at), entry("b", at)];
    Transaction::Replace { version: ResourceVersion(at.into()), entries, reason: Reason::Initial, restored: false }
}

fn versions(entries: &[Entry<Thing>]) -> Vec<String> {
    entries.iter().map(|entry| entry.metadata().resource_version.to_string()).collect()
}

/// What is tried on the cache that is used is tried on broken ones as well, so each test is written for any.
macro_rules! tests_of {
    ($store:path) => {
        use $store::{ByNamespace, Reader, Writer, new};

        use crate::*;

        fn cache() -> (Writer<Thing>, Reader<Thing>) {
            let (mut writers, reader) = new::<Thing>(&[]);
            (writers.remove(0), reader)
        }

        #[allow(dead_code, reason = "not each is tried on each cache")]
        /// One waits for the first list, which comes meanwhile, and reads it.
        pub(super) fn waiting_for_the_first_list() {
            let (mut writer, reader) = cache();
            let waiting = thread::spawn(move || {
                block_on(reader.synced());
                assert_eq!(versions(&reader.list()), ["5", "5"], "the first list is there");
            });
            writer.commit(list("5"));
            waiting.join().expect("no panic");
        }

        #[allow(dead_code, reason = "as above")]
        /// Everything is listed again while one reads, by an index that nobody has asked for before.
        pub(super) fn listing_and_indexing() {
            let (mut writer, reader) = cache();
            writer.commit(list("5"));
            let reading = {
                let reader = reader.clone();
                thread::spawn(move || {
                    let (filed, all) = (reader.by_index::<ByNamespace>(&"n".into()), reader.list());
                    for read in [versions(&filed), versions(&all)] {
                        assert!(read == ["5", "5"] || read == ["9", "9"], "a list is seen whole: {read:?}");
                    }
                })
            };
            writer.commit(list("9"));
            reading.join().expect("no panic");
            assert_eq!(versions(&reader.by_index::<ByNamespace>(&"n".into())), ["9", "9"], "the index is complete");
        }

        #[allow(dead_code, reason = "as above")]
        /// Two ask at once for an index that nobody has asked for before.
        pub(super) fn indexing_at_once() {
            let (mut writer, reader) = cache();
            writer.commit(list("5"));
            let find = |reader: &Reader<Thing>| versions(&reader.by_index::<ByNamespace>(&"n".into()));
            let asking = {
                let reader = reader.clone();
                thread::spawn(move || find(&reader))
            };
            for found in [find(&reader), asking.join().expect("no panic")] {
                assert_eq!(found, ["5", "5"], "an index is seen whole");
            }
        }

        #[allow(dead_code, reason = "as above")]
        /// An own write is answered while the stream brings it, and then that somebody has deleted it.
        pub(super) fn writing_and_streaming() {
            let (mut writer, reader) = cache();
            writer.commit(list("5"));
            let writing = {
                let reader = reader.clone();
                thread::spawn(move || {
                    reader.remember(thing("a", "6"));
                    let seen: Vec<Entry<Thing>> = reader.get(&Key::new("n", "a")).into_iter().collect();
                    assert!(versions(&seen).iter().all(|version| version == "6"), "nothing from before its own write");
                })
            };
            writer.commit(Transaction::Upsert(entry("a", "6")));
            writer.commit(Transaction::Delete(entry("a", "7")));
            writing.join().expect("no panic");
            assert!(reader.get(&Key::new("n", "a")).is_none(), "an own write is no ghost");
            assert_eq!(writer.stats().unconfirmed(), 0, "nothing is waited for");
        }
    };
}

mod sound {
    tests_of!(engine_loom::store);

    #[test]
    fn whoever_waits_for_the_first_list_is_woken_and_sees_the_whole_of_it() {
        explore(waiting_for_the_first_list);
    }

    #[test]
    fn a_list_is_seen_whole_or_not_at_all_and_no_index_is_lost_with_it() {
        explore(listing_and_indexing);
    }

    #[test]
    fn an_index_that_two_ask_for_at_once_is_seen_whole_by_both() {
        explore(indexing_at_once);
    }

    #[test]
    fn an_own_write_is_seen_at_once_and_not_after_the_stream_has_passed_it() {
        explore(writing_and_streaming);
    }
}

/// A test that can't fail proves nothing: loom has to find what is wrong with these.
mod broken {
    use crate::explored::finds;

    #[test]
    fn loom_finds_a_wakeup_that_is_lost_between_look_and_subscription() {
        finds("deadlock; threads =", "broken::looks_then_subscribes::is_explored");
    }

    #[test]
    fn loom_finds_a_list_that_is_promised_before_it_is_there() {
        finds("the first list is there", "broken::promises_too_early::is_explored");
    }

    #[test]
    fn loom_finds_an_index_that_is_lost_with_a_list() {
        finds("a list is seen whole: []", "broken::forgets_an_index::is_explored");
    }

    #[test]
    fn loom_finds_an_index_that_is_read_before_it_is_complete() {
        finds("an index is seen whole", "broken::trusts_a_begun_index::is_explored");
    }

    #[test]
    fn loom_finds_an_own_write_that_outlives_the_stream() {
        finds("an own write is no ghost", "broken::leaves_a_ghost::is_explored");
    }

    mod looks_then_subscribes {
        tests_of!(engine_loom::looks_then_subscribes::store);

        #[test]
        #[ignore = "it ends the process; run by loom_finds_a_wakeup_that_is_lost_between_look_and_subscription"]
        fn is_explored() {
            explore(waiting_for_the_first_list);
        }
    }

    mod promises_too_early {
        tests_of!(engine_loom::promises_too_early::store);

        #[test]
        #[ignore = "it ends the process; run by loom_finds_a_list_that_is_promised_before_it_is_there"]
        fn is_explored() {
            explore(waiting_for_the_first_list);
        }
    }

    mod forgets_an_index {
        tests_of!(engine_loom::forgets_an_index::store);

        #[test]
        #[ignore = "it ends the process; run by loom_finds_an_index_that_is_lost_with_a_list"]
        fn is_explored() {
            explore(listing_and_indexing);
        }
    }

    mod trusts_a_begun_index {
        tests_of!(engine_loom::trusts_a_begun_index::store);

        #[test]
        #[ignore = "it ends the process; run by loom_finds_an_index_that_is_read_before_it_is_complete"]
        fn is_explored() {
            explore(indexing_at_once);
        }
    }

    mod leaves_a_ghost {
        tests_of!(engine_loom::leaves_a_ghost::store);

        #[test]
        #[ignore = "it ends the process; run by loom_finds_an_own_write_that_outlives_the_stream"]
        fn is_explored() {
            explore(writing_and_streaming);
        }
    }
}
