//! What is done while readers wait for the lock, and what an index's own code may do there.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;

thread_local! {
    /// The part of the cache that this test looks at.
    static PART: RefCell<Option<Arc<Part<Thing>>>> = const { RefCell::new(None) };
    /// How many values were dropped while nobody could read that.
    static DROPPED: Cell<usize> = const { Cell::new(0) };
}

/// A value that notices whether it is dropped under the lock.
#[derive(PartialEq, Eq, Hash)]
struct Noticing(Arc<str>);

impl Drop for Noticing {
    fn drop(&mut self) {
        let is_locked =
            |part: &Option<Arc<Part<Thing>>>| part.as_ref().is_some_and(|part| part.state.try_read().is_err());
        if PART.with_borrow(is_locked) {
            DROPPED.set(DROPPED.get() + 1);
        }
    }
}

struct ByName;

impl Index<Thing> for ByName {
    type Value = Noticing;

    fn values(object: &Thing) -> impl IntoIterator<Item = Noticing> {
        [Noticing(object.metadata.name.clone())]
    }
}

#[test]
fn indexes_of_what_is_cleared_or_listed_again_are_dropped_while_others_read() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("5", (0..100).map(|number| entry(&number.to_string(), "u", "5")).collect()));
    reader.index::<ByName>();
    PART.set(Some(reader.parts[0].clone()));
    let listed = writer.commit(replace("9", (50..150).map(|number| entry(&number.to_string(), "u", "9")).collect()));
    let cleared = writer.commit(Transaction::Clear);
    PART.set(None);
    assert_eq!((listed.len(), cleared.len(), DROPPED.get()), (150, 100, 0));
}

static FILED: AtomicUsize = AtomicUsize::new(0);

/// Counts what is filed.
struct Counted;

impl Index<Thing> for Counted {
    type Value = u32;

    fn values(object: &Thing) -> impl IntoIterator<Item = u32> {
        FILED.fetch_add(1, Ordering::SeqCst);
        [object.size]
    }
}

#[test]
fn a_cache_is_read_while_an_index_is_built() {
    const OBJECTS: usize = 10 * FILED_AT_ONCE;
    let objects: Vec<_> = (0..OBJECTS).map(|number| entry(&number.to_string(), "u", "5")).collect();
    // Whoever waits for a lock need not be the next who gets it.
    let seen_between = (0..1_000).any(|_| {
        let (mut writer, reader) = one_part();
        writer.commit(replace("5", objects.clone()));
        FILED.store(0, Ordering::SeqCst);
        let reading = thread::spawn({
            let reader = reader.clone();
            move || {
                while FILED.load(Ordering::SeqCst) == 0 {
                    std::hint::spin_loop();
                }
                assert_eq!(reader.len(), OBJECTS);
                FILED.load(Ordering::SeqCst)
            }
        });
        assert_eq!(reader.by_index::<Counted>(&0).len(), OBJECTS);
        reading.join().expect("no panic") < OBJECTS
    });
    assert!(seen_between, "nobody has read it before the index was complete");
}

/// Begins an index, files the first of two objects, lets `change` happen, files the other, and says what is found by it.
fn built_around(change: impl FnOnce(&mut Writer<Thing>, &Reader<Thing>)) -> Vec<String> {
    let (mut writer, reader) = one_part();
    writer.commit(replace("5", vec![entry("a", "a", "5"), entry("b", "b", "5")]));
    let part = reader.parts[0].clone();
    part.write().indexes.begin::<ByNamespace>();
    part.write().file::<ByNamespace>(&[key("a")], false);
    assert!(!part.read().indexes.has::<ByNamespace>(), "it is not complete");
    change(&mut writer, &reader);
    part.write().file::<ByNamespace>(&[key("b")], true);
    assert!(part.read().indexes.has::<ByNamespace>());
    let all = reader.list();
    let found = reader.by_index::<ByNamespace>(&"n".into());
    let names = |entries: &[Entry<Thing>]| {
        let identity = |entry: &Entry<Thing>| format!("{} {}", entry.key().name, entry.metadata().resource_version);
        let mut names: Vec<_> = entries.iter().map(identity).collect();
        names.sort();
        names
    };
    assert_eq!(names(&all), names(&found), "the index has what the cache has");
    names(&found)
}

#[test]
fn what_changes_while_an_index_is_built_is_in_it() {
    let upsert = |name: &str| Transaction::Upsert(entry(name, name, "6"));
    assert_eq!(built_around(|_, _| ()), ["a 5", "b 5"]);
    assert_eq!(built_around(|writer, _| drop(writer.commit(upsert("c")))), ["a 5", "b 5", "c 6"]);
    assert_eq!(built_around(|writer, _| drop(writer.commit(upsert("b")))), ["a 5", "b 6"]);
    for name in ["a", "b"] {
        let delete = Transaction::Delete(entry(name, name, "6"));
        assert_eq!(built_around(|writer, _| drop(writer.commit(delete))).len(), 1, "{name}");
    }
    assert_eq!(built_around(|_, reader| drop(reader.remember(thing("b", "b", "7")))), ["a 5", "b 7"]);
    assert_eq!(built_around(|_, reader| reader.remember_deleted(&thing("b", "b", "5").metadata)), ["a 5"]);
    let list = replace("9", vec![entry("b", "b", "5"), entry("c", "c", "9")]);
    assert_eq!(built_around(|writer, _| drop(writer.commit(list))), ["b 5", "c 9"]);
    assert_eq!(built_around(|writer, _| drop(writer.commit(Transaction::Clear))), [""; 0]);
    assert_eq!(built_around(|_, reader| reader.index::<ByNamespace>()), ["a 5", "b 5"], "two build it at once");
}

/// Knows nothing of what is called `odd`.
struct Narrow;

impl Index<Thing> for Narrow {
    type Value = u32;

    fn values(object: &Thing) -> impl IntoIterator<Item = u32> {
        assert_ne!(&*object.metadata.name, "odd", "an object that nobody thought of");
        [object.size]
    }
}

#[test]
fn an_object_that_an_index_panics_on_is_not_in_it_and_stops_nothing() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("5", vec![entry("odd", "o", "5"), entry("a", "a", "5")]));
    reader.index::<Narrow>();
    assert_eq!(shown(&writer.commit(Transaction::Upsert(entry("odd", "o", "6")))), ["odd: 5 -> 6"]);
    reader.remember(thing("odd", "o", "8"));
    assert_eq!(seen(&reader, "odd").as_deref(), Some("8"));
    assert_eq!(
        shown(&writer.commit(replace("9", vec![entry("b", "b", "9")]))),
        ["a: 5 -> -", "b: - -> 9", "odd: 6 -> -"]
    );
    assert_eq!(reader.by_index::<Narrow>(&0).iter().map(Entry::key).collect::<Vec<_>>(), [key("b")]);
}
