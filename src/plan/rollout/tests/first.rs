//! The first revision, which the second one keeps.

use super::*;

/// An Application with so many revisions, the last of which runs.
fn rolled_out(images: &[&str], limit: i32) -> World {
    let mut world = World::new(&json!({"image": images[0], "revisionHistoryLimit": limit}));
    world.settle();
    for image in &images[1..] {
        world.set("image", json!(image));
        world.settle();
    }
    world
}

#[test]
fn a_change_with_migrations_makes_one_revision_too_and_leaves_the_deployment_alone_until_they_are_done() {
    let mut world = rolled_out(&["one"], 10);
    let before = world.deployment.clone();
    world.set("migrations", migrations("a"));
    world.set("image", json!("two"));
    for _ in 0..3 {
        world.carry_out(&world.see(), usize::MAX);
    }
    assert_eq!((world.revisions.len(), world.jobs.len(), &world.deployment), (1, 1, &before));
    world.settle();
    assert_eq!((world.image(), world.numbers()), ("two", vec![1, 2]));
}

#[test]
fn what_is_kept_goes_once_it_is_beyond_the_limit_and_what_keeps_it_goes_later() {
    let mut world = rolled_out(&["one", "two"], 1);
    assert_eq!(world.numbers(), [1, 2]);
    world.set("image", json!("three"));
    world.settle();
    assert_eq!((world.numbers(), world.revisions.values().filter_map(kept).count()), (vec![2, 3], 0));
    world.set("image", json!("four"));
    world.settle();
    assert_eq!(world.numbers(), [3, 4]);

    let mut world = rolled_out(&["one", "two", "three"], 10);
    world.set("revisionHistoryLimit", json!(0));
    assert!(matches!(world.plan().beside[..], [Step::Forget { .. }]), "one deletion for both");
    world.settle();
    assert_eq!(world.numbers(), [3]);
}

#[test]
fn what_is_kept_and_needed_is_recorded_before_that_goes_which_keeps_it() {
    let mut world = rolled_out(&["one"], 10);
    world.set_pods(true);
    world.settle();
    for image in ["two", "three"] {
        world.set("image", json!(image));
        world.settle();
    }
    assert_eq!((world.revisions.len(), &world.status["lastGoodRevision"]), (2, &json!(1)));
    world.set("revisionHistoryLimit", json!(0));
    let recorded: Vec<_> = (0..2)
        .map(|_| {
            world.carry_out(&world.see(), 1);
            (world.revisions.len(), world.numbers())
        })
        .collect();
    assert_eq!(recorded, [(3, vec![1, 2, 3]), (2, vec![1, 3])]);
    world.set("rollback", json!({"toRevision": 1}));
    world.settle();
    assert_eq!(world.image(), "one");
}

#[test]
fn what_is_kept_and_wished_for_anew_becomes_an_object_with_the_next_number() {
    let mut world = rolled_out(&["one", "two"], 10);
    world.set("image", json!("one"));
    world.settle();
    assert_eq!((world.image(), world.numbers(), world.revisions.len()), ("one", vec![2, 3], 2));
    world.set("rollback", json!({"toRevision": 2}));
    world.settle();
    assert_eq!(world.image(), "two");
}

#[test]
fn what_is_kept_outlives_a_deployment_and_is_recorded_before_anything_else_once_that_goes_which_keeps_it() {
    let mut world = rolled_out(&["one", "two"], 10);
    world.delete_deployment();
    world.settle();
    assert_eq!(world.numbers(), [1, 2]);

    let (application, mut observed) = world.see();
    let mut leaving = world.revisions.values().next().unwrap().clone();
    leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    observed.revisions = vec![decoded(&leaving)];
    let rollout = decide(&application, &observed);
    let [Step::Record { body: first }, Step::Record { body: second }] = &rollout.before[..] else {
        panic!("{:?}", rollout.before)
    };
    assert_eq!((&first["revision"], &second["revision"], kept(second)), (&json!(1), &json!(2), None));
    assert_eq!(first["data"], kept(&leaving).unwrap()["data"]);
}
