//! What this process wrote and deleted itself: seen at once, and dropped once the stream has passed it.

use super::*;

#[test]
fn an_own_write_is_seen_before_the_stream_brings_it() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("5", vec![entry("a", "u", "5")]));
    reader.remember(thing("a", "u", "8"));
    reader.remember(thing("created", "c", "7"));
    assert_eq!(seen(&reader, "a").as_deref(), Some("8"));
    assert_eq!(seen(&reader, "created").as_deref(), Some("7"));

    writer.commit(Transaction::Upsert(entry("a", "u", "6")));
    assert_eq!(seen(&reader, "a").as_deref(), Some("8"), "the stream is still behind");
}

#[test]
fn a_delete_by_somebody_else_leaves_no_ghost_of_an_own_write() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("5", vec![]));
    reader.remember(thing("a", "u", "7"));
    writer.commit(Transaction::Upsert(entry("a", "u", "7")));
    writer.commit(Transaction::Delete(entry("a", "u", "8")));
    assert_eq!(seen(&reader, "a"), None);
}

#[test]
fn a_bookmark_or_a_relist_that_has_passed_an_own_write_drops_it() {
    for passed in [Transaction::Progress(version("10")), replace("10", vec![])] {
        let (mut writer, reader) = one_part();
        writer.commit(replace("5", vec![]));
        reader.remember(thing("a", "u", "7"));
        let changes = writer.commit(passed);
        assert_eq!(seen(&reader, "a"), None, "created and deleted between two events");
        assert_eq!(shown(&changes), ["a: 7 -> -"], "who saw it is told that it is gone");
    }
}

#[test]
fn an_own_write_that_the_stream_brings_is_told_once() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("5", vec![]));
    reader.remember(thing("a", "u", "7"));
    assert_eq!(shown(&writer.commit(Transaction::Upsert(entry("a", "u", "7")))), ["a: - -> 7"]);
}

#[test]
fn a_cluster_that_went_back_in_time_takes_own_writes_with_it() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("1000", vec![]));
    reader.remember(thing("a", "u", "1005"));
    let changes = writer.commit(replace("500", vec![]));
    assert_eq!((seen(&reader, "a"), shown(&changes)), (None, vec!["a: 1005 -> -".to_owned()]));
    reader.remember(thing("b", "u", "501"));
    assert_eq!(seen(&reader, "b").as_deref(), Some("501"), "the stream is at 500 now");
}

#[test]
fn the_end_of_a_life_is_told_once_though_an_own_write_of_it_had_not_come_back() {
    let gone = Transaction::Delete(entry("a", "u", "9"));
    for (end, told) in [(gone, "a: 9 -> -"), (replace("9", vec![]), "a: 5 -> -"), (Transaction::Clear, "a: 5 -> -")] {
        let (mut writer, reader) = one_part();
        writer.commit(replace("5", vec![entry("a", "u", "5")]));
        reader.remember(thing("a", "u", "7"));
        assert_eq!(shown(&writer.commit(end)), [told]);
    }
}

#[test]
fn a_write_that_the_stream_has_already_passed_is_not_kept() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("9", vec![]));
    reader.remember(thing("a", "u", "7"));
    assert_eq!(seen(&reader, "a"), None);
}

#[test]
fn of_two_own_writes_the_later_is_kept_in_whatever_order_they_arrive() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("5", vec![]));
    reader.remember(thing("a", "u", "12"));
    reader.remember(thing("a", "u", "9"));
    assert_eq!(seen(&reader, "a").as_deref(), Some("12"));
    writer.commit(Transaction::Progress(version("9")));
    assert_eq!(seen(&reader, "a").as_deref(), Some("12"));
    writer.commit(Transaction::Progress(version("12")));
    assert_eq!(seen(&reader, "a"), None);
}

#[test]
fn an_own_write_without_an_order_is_kept_until_the_stream_brings_it() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("x9", vec![entry("a", "u", "x9")]));
    reader.remember(thing("a", "u", "x7"));
    assert_eq!(seen(&reader, "a").as_deref(), Some("x7"));
    writer.commit(Transaction::Upsert(entry("a", "u", "x1")));
    assert_eq!(seen(&reader, "a").as_deref(), Some("x7"), "whether that is earlier or later, nobody knows");
    writer.commit(Transaction::Upsert(entry("a", "u", "x7")));
    writer.commit(Transaction::Upsert(entry("a", "u", "x2")));
    assert_eq!(seen(&reader, "a").as_deref(), Some("x2"), "versions without an order are believed as they come");
}

#[test]
fn what_was_written_while_an_overdue_write_was_looked_at_is_not_undone_by_the_answer() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("5", vec![entry("a", "u", "5")]));
    reader.remember(thing("a", "u", "10"));
    assert!(writer.overdue().is_empty());
    let asked = writer.overdue();
    reader.remember(thing("a", "u", "12"));
    assert!(writer.found(&asked[0], Some(thing("a", "u", "10"))).is_empty());
    assert_eq!(seen(&reader, "a").as_deref(), Some("12"), "the answer is older");

    // Deleted and created again while it was asked.
    reader.remember(thing("a", "v", "20"));
    assert!(writer.found(&asked[0], None).is_empty());
    assert_eq!(seen(&reader, "a").as_deref(), Some("20"), "it was another life that is not there");
}

#[test]
fn an_object_that_left_the_selection_and_was_brought_back_stays() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("5", vec![entry("a", "u", "5")]));
    reader.remember(thing("a", "u", "12"));
    writer.commit(Transaction::Delete(entry("a", "u", "10")));
    assert_eq!(seen(&reader, "a").as_deref(), Some("12"));
}

#[test]
fn an_own_write_that_the_stream_never_brings_is_looked_at_and_settled() {
    for version in ["x7", "700"] {
        let (mut writer, reader) = one_part();
        writer.commit(replace("5", vec![entry("a", "u", "5")]));
        reader.remember(thing("a", "u", version));
        assert!(writer.overdue().is_empty(), "it has only just been written");
        let [overdue] = &writer.overdue()[..] else { panic!("{version}") };
        assert_eq!(overdue.key(), &key("a"), "{version}");
        // It is as it was written.
        assert!(writer.found(overdue, Some(thing("a", "u", version))).is_empty());
        assert_eq!(seen(&reader, "a").as_deref(), Some(version));
        // Somebody has deleted it since.
        assert!(writer.overdue().is_empty());
        let [overdue] = &writer.overdue()[..] else { panic!("{version}") };
        assert_eq!(shown(&writer.found(overdue, None)), [format!("a: {version} -> -")]);
        assert_eq!(seen(&reader, "a"), None, "though the stream still has it");
        assert!(writer.overdue().is_empty() && writer.overdue().is_empty(), "the server need not be asked again");
        writer.commit(Transaction::Delete(entry("a", "u", "801")));
        assert_eq!((seen(&reader, "a"), reader.stats()[0].unconfirmed()), (None, 0));
    }
}

#[test]
fn what_was_found_for_a_write_says_nothing_of_the_delete_that_followed() {
    let (mut writer, reader) = one_part();
    reader.remember(thing("a", "u", "6"));
    assert!(writer.overdue().is_empty(), "it is new");
    let overdue = writer.overdue().remove(0);
    writer.commit(replace("6", vec![entry("a", "u", "6")]));
    // Of the same life, and the same version.
    reader.remember_deleted(&thing("a", "u", "6").metadata);
    assert!(writer.found(&overdue, Some(thing("a", "u", "6"))).is_empty());
    assert_eq!(seen(&reader, "a"), None, "the answer is from before the delete");
}

/// A cache that saw `a` of life `u` by an own write and a look alone, and not by the stream, which is at 5.
fn told_by_a_look() -> (Writer<Thing>, Reader<Thing>) {
    let (mut writer, reader) = one_part();
    writer.commit(replace("5", Vec::new()));
    reader.remember(thing("a", "u", "6"));
    assert!(writer.overdue().is_empty(), "it is new");
    let overdue = writer.overdue().remove(0);
    assert_eq!(shown(&writer.found(&overdue, Some(thing("a", "u", "7")))), ["a: 6 -> 7"], "somebody has changed it");
    (writer, reader)
}

#[test]
fn the_end_of_what_was_told_by_a_look_is_told_though_the_stream_never_brings_it() {
    // Before the stream goes on, this process deletes it.
    let (mut writer, reader) = told_by_a_look();
    reader.remember_deleted(&thing("a", "u", "7").metadata);
    assert!(writer.overdue().is_empty(), "it is new");
    let overdue = writer.overdue().remove(0);
    assert_eq!(shown(&writer.found(&overdue, None)), ["a: 7 -> -"]);
    assert_eq!(shown(&writer.commit(replace("9", Vec::new()))), [""; 0], "it is told once");

    let (mut writer, reader) = told_by_a_look();
    reader.remember_deleted(&thing("a", "u", "7").metadata);
    assert_eq!(shown(&writer.commit(Transaction::Progress(version("6")))), ["a: 7 -> -"]);
}

#[test]
fn the_end_of_what_was_told_by_a_look_is_told_though_its_name_lives_again() {
    for then in [replace("9", vec![entry("a", "v", "9")]), Transaction::Upsert(entry("a", "v", "9"))] {
        let (mut writer, reader) = told_by_a_look();
        reader.remember_deleted(&thing("a", "u", "7").metadata);
        let changes = writer.commit(then);
        assert!(shown(&changes).contains(&"a: 7 -> -".to_owned()), "{:?}", shown(&changes));
        let last = changes.last().and_then(|change| change.new.as_ref()).expect("its second life is told after that");
        assert_eq!((&*last.metadata().uid.0, seen(&reader, "a").as_deref()), ("v", Some("9")));
    }
}

#[test]
fn a_late_look_at_an_earlier_life_ends_with_the_answer_to_a_write_to_the_later_one() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("of 1", Vec::new()));
    reader.remember(thing("a", "u", "of 2"));
    assert!(writer.overdue().is_empty(), "it is new");
    let overdue = writer.overdue().remove(0);
    // Meanwhile it was deleted, and made again.
    let mut told = writer.commit(Transaction::Upsert(entry("a", "v", "of 4")));
    told.extend(writer.found(&overdue, Some(thing("a", "u", "of 2"))));
    assert_eq!(seen(&reader, "a").as_deref(), Some("of 2"), "nobody can tell");
    reader.remember(thing("a", "v", "of 4"));
    told.extend(writer.commit(Transaction::Progress(version("of 5"))));
    assert!(shown(&told).contains(&"a: of 2 -> -".to_owned()), "{:?}", shown(&told));
    let last = told.last().and_then(|change| change.new.as_ref()).expect("its second life is told after that");
    assert_eq!((&*last.metadata().uid.0, seen(&reader, "a").as_deref()), ("v", Some("of 4")));
}

#[test]
fn a_list_without_an_order_that_lacks_an_own_object_does_not_bring_it_back_after_its_end() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("of 1", Vec::new()));
    reader.remember(thing("a", "u", "of 3"));
    reader.remember_deleted(&thing("a", "u", "of 3").metadata);
    // From before it was made: it says nothing of the delete.
    writer.commit(replace("of 2", Vec::new()));
    writer.commit(Transaction::Upsert(entry("a", "u", "of 3")));
    assert_eq!(seen(&reader, "a"), None);
    writer.commit(Transaction::Delete(entry("a", "u", "of 4")));
    assert_eq!((seen(&reader, "a"), reader.stats()[0].unconfirmed()), (None, 0));
}

#[test]
fn where_versions_have_no_order_an_own_write_that_the_stream_brought_first_ends_an_earlier_one() {
    let (mut writer, reader) = one_part();
    writer.commit(replace("of 1", Vec::new()));
    writer.commit(Transaction::Upsert(entry("a", "u", "of 3")));
    reader.remember(thing("a", "u", "of 2"));
    assert_eq!(seen(&reader, "a").as_deref(), Some("of 2"), "nobody can tell");
    reader.remember(thing("a", "u", "of 3"));
    assert_eq!(seen(&reader, "a").as_deref(), Some("of 3"));
}
