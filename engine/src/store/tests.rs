//! The cache without a server: transactions in, changes and reads out.

mod locks;
mod model;
mod overlay;

use super::*;
use crate::api::Thing;
use crate::object::{Metadata, OwnerReference, Uid};

fn thing(name: &str, uid: &str, at: &str) -> Thing {
    let metadata = Metadata {
        name: name.into(),
        namespace: "n".into(),
        uid: Uid(uid.into()),
        resource_version: version(at),
        ..Metadata::default()
    };
    Thing { metadata, size: 0 }
}

fn entry(name: &str, uid: &str, at: &str) -> Entry<Thing> {
    Entry::Valid(Arc::new(thing(name, uid, at)))
}

fn version(text: &str) -> ResourceVersion {
    ResourceVersion(text.into())
}

fn key(name: &str) -> Key {
    Key::new("n", name)
}

fn one_part() -> (Writer<Thing>, Reader<Thing>) {
    let (mut writers, reader) = new(&[]);
    (writers.remove(0), reader)
}

fn replace(at: &str, entries: Vec<Entry<Thing>>) -> Transaction<Thing> {
    Transaction::Replace { version: version(at), entries, reason: Reason::Initial, restored: false }
}

/// The version at which a reader sees `name`.
fn seen(reader: &Reader<Thing>, name: &str) -> Option<String> {
    reader.get(&key(name)).map(|entry| entry.metadata().resource_version.to_string())
}

/// Changes as `name: old version -> new version`, sorted.
fn shown(changes: &[Change<Thing>]) -> Vec<String> {
    let at = |entry: &Option<Entry<Thing>>| {
        entry.as_ref().map_or_else(|| "-".to_owned(), |entry| entry.metadata().resource_version.to_string())
    };
    let mut shown: Vec<String> = changes
        .iter()
        .map(|change| format!("{}: {} -> {}", change.key().name, at(&change.old), at(&change.new)))
        .collect();
    shown.sort();
    shown
}

#[test]
fn a_relist_reports_what_vanished_with_its_last_state_and_only_what_changed() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("5", vec![entry("kept", "k", "1"), entry("changed", "c", "2"), entry("gone", "g", "3")]));
    let changes =
        writer.commit(replace("9", vec![entry("kept", "k", "1"), entry("changed", "c", "8"), entry("new", "n", "7")]));
    assert_eq!(shown(&changes), ["changed: 2 -> 8", "gone: 3 -> -", "new: - -> 7"]);
    assert_eq!(reader.len(), 3);
}

#[test]
fn a_new_life_under_an_old_name_is_a_delete_and_an_add() {
    let (mut writer, _reader) = one_part();
    writer.commit(replace("5", vec![entry("a", "first", "5")]));
    let changes = writer.commit(Transaction::Upsert(entry("a", "second", "9")));
    assert_eq!(shown(&changes), ["a: - -> 9", "a: 5 -> -"]);
    assert!(changes[0].new.is_none(), "the delete comes first");
}

#[test]
fn an_event_that_comes_late_or_twice_changes_nothing() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("5", vec![entry("a", "u", "5")]));
    assert!(writer.commit(Transaction::Upsert(entry("a", "u", "5"))).is_empty());
    assert!(writer.commit(Transaction::Upsert(entry("a", "u", "4"))).is_empty());
    assert!(writer.commit(Transaction::Delete(entry("a", "old life", "3"))).is_empty());
    assert_eq!(seen(&reader, "a").as_deref(), Some("5"));
}

#[test]
fn a_late_event_does_not_bring_back_what_was_deleted() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("5", vec![entry("a", "u", "5")]));
    writer.commit(Transaction::Delete(entry("a", "u", "8")));
    assert!(writer.commit(Transaction::Upsert(entry("a", "u", "7"))).is_empty());
    assert_eq!(seen(&reader, "a"), None);
}

#[test]
fn a_resource_that_is_gone_takes_every_object_with_it() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("5", vec![entry("a", "u", "5")]));
    reader.remember(thing("b", "u", "7"));
    assert_eq!(shown(&writer.commit(Transaction::Clear)), ["a: 5 -> -", "b: 7 -> -"]);
    assert_eq!((reader.len(), seen(&reader, "b")), (0, None));
}

#[tokio::test]
async fn a_cache_of_namespaces_is_synced_when_each_has_been_listed() {
    let (mut writers, reader) = new::<Thing>(&["n".into(), "m".into()]);
    writers[0].commit(replace("5", vec![entry("a", "u", "5")]));
    assert!(!reader.is_synced());
    writers[1].commit(replace("6", vec![]));
    reader.synced().await;
    assert!(reader.is_synced());
    assert_eq!(seen(&reader, "a").as_deref(), Some("5"), "the relist of one leaves the other alone");
    assert!(reader.get(&Key::new("elsewhere", "a")).is_none());
}

#[test]
fn after_a_restore_what_looks_the_same_counts_as_changed() {
    let (mut writer, _reader) = one_part();
    writer.commit(replace("900", vec![entry("a", "u", "505")]));
    let (version, entries) = (version("510"), vec![entry("a", "u", "505")]);
    let restored = Transaction::Replace { version, entries, reason: Reason::Initial, restored: true };
    assert_eq!(shown(&writer.commit(restored)), ["a: 505 -> 505"], "its content may be another");
}

#[test]
fn an_object_that_is_listed_twice_is_told_once_and_in_its_later_state() {
    let (mut writer, reader) = one_part();
    let changes = writer.commit(replace("20", vec![entry("a", "u", "12"), entry("a", "u", "9"), entry("b", "v", "3")]));
    assert_eq!(shown(&changes), ["a: - -> 12", "b: - -> 3"]);
    assert_eq!((seen(&reader, "a").as_deref(), reader.len()), (Some("12"), 2));
}

#[test]
fn changes_tell_whether_a_list_or_a_watch_brought_them() {
    let (mut writer, _reader) = one_part();
    let mut origin = |transaction| writer.commit(transaction)[0].origin;
    assert_eq!(origin(replace("5", vec![entry("a", "u", "5")])), Origin::InitialList);
    assert_eq!(origin(Transaction::Upsert(entry("a", "u", "6"))), Origin::Event);
    let (version, reason) = (version("9"), Reason::Ended(crate::watch::End::Expired));
    let relist = Transaction::Replace { version, entries: vec![], reason, restored: false };
    assert_eq!(origin(relist), Origin::Relist);
}

#[test]
fn a_list_takes_over_what_the_cache_has_already() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("5", vec![entry("same", "s", "3"), entry("changed", "c", "4")]));
    let mut entries = vec![entry("same", "s", "3"), entry("changed", "c", "6")];
    writer.reuse(&mut entries);
    let is_shared = |entry: &Entry<Thing>| {
        let known = reader.get(&entry.key()).expect("it is there");
        Arc::ptr_eq(known.valid().expect("it is valid"), entry.valid().expect("it is valid"))
    };
    assert_eq!([is_shared(&entries[0]), is_shared(&entries[1])], [true, false]);
}

#[test]
fn an_index_has_every_value_and_follows_changes_and_own_writes() {
    let owned = |name: &str, at: &str, owners: &[&str]| {
        let mut thing = thing(name, name, at);
        let owner = |uid: &&str| OwnerReference { uid: Uid((*uid).into()), ..OwnerReference::default() };
        thing.metadata.owner_references = owners.iter().map(owner).collect();
        thing
    };
    let (mut writer, reader) = one_part();
    let found = |owner: &str| {
        let found = reader.by_index::<ByOwner>(&Uid(owner.into()));
        let mut names: Vec<String> = found.iter().map(|entry| entry.key().name.to_string()).collect();
        names.sort();
        names
    };
    let valid = |thing: Thing| Entry::Valid(Arc::new(thing));
    writer.commit(replace("5", vec![valid(owned("a", "4", &["x", "y"])), valid(owned("b", "5", &["y"]))]));
    assert_eq!(
        (found("x"), found("y")),
        (vec!["a".to_owned()], vec!["a".to_owned(), "b".to_owned()]),
        "built when asked"
    );
    writer.commit(Transaction::Upsert(valid(owned("a", "6", &["x"]))));
    reader.remember(owned("c", "8", &["y"]));
    assert_eq!((found("x"), found("y")), (vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()]));
    reader.remember_deleted(&owned("b", "5", &["y"]).metadata);
    assert_eq!(found("y"), ["c"]);
    writer.commit(replace("9", vec![valid(owned("d", "9", &["y"]))]));
    assert_eq!((found("x"), found("y")), (vec![], vec!["d".to_owned()]));
}
