//! Rollouts without a cluster: what comes of changes one after the other, in a world that keeps what is written.

mod first;
mod migration;
mod model;
mod pin;
mod pods;
mod template;
mod world;

use self::world::{World, decoded, kept, listed, migrations};
use super::*;
use crate::plan;

#[test]
fn the_first_revision_is_kept_on_the_deployment_until_there_is_a_second_one_which_keeps_it_then() {
    let mut world = World::new(&json!({"image": "one"}));
    world.settle();
    assert_eq!((world.writes, world.revisions.len(), world.numbers()), (1, 0, vec![1]));
    assert_eq!(world.status["currentRevision"], 1);
    world.set("replicas", json!(3));
    world.settle();
    assert_eq!((world.revisions.len(), world.numbers()), (0, vec![1]), "a scale is none");
    // The process dies after each write, and what it left is enough for the next one.
    world.set("image", json!("two"));
    let recorded: Vec<usize> = (0..3)
        .map(|_| {
            world.carry_out(&world.see(), 1);
            world.revisions.len()
        })
        .collect();
    assert_eq!((recorded, world.image()), (vec![1, 1, 1], "two"));
    world.settle();
    let kept = &world.deployment["metadata"]["annotations"][REVISION_ANNOTATION];
    assert_eq!((kept, world.numbers()), (&Value::Null, vec![1, 2]));
    world.set("rollback", json!({"toRevision": 1}));
    world.settle();
    assert_eq!(world.image(), "one");
}

#[test]
fn what_is_recorded_is_what_was_rendered_even_if_the_deployment_was_edited_meanwhile() {
    let mut world = World::new(&json!({"image": "one", "migrations": null}));
    world.settle();
    world.edit_deployment();
    world.set("image", json!("two"));
    world.settle();
    world.set("rollback", json!({"toRevision": 1}));
    world.settle();
    assert_eq!((world.image(), world.numbers()), ("one", vec![1, 2]));

    // Whoever writes another text there makes no revision by that.
    let mut world = World::new(&json!({"image": "one"}));
    world.settle();
    let mut forged = world.deployment.clone();
    let text = forged["metadata"]["annotations"][REVISION_ANNOTATION].as_str().unwrap().replace("one", "evil");
    forged["metadata"]["annotations"][REVISION_ANNOTATION] = json!(text);
    world.put(&forged);
    world.written = Value::Null;
    world.set("image", json!("two"));
    world.settle();
    assert_eq!((world.image(), world.numbers()), ("two", vec![2]));
}

#[test]
fn a_deployment_that_is_made_anew_keeps_its_number_unless_the_spec_has_changed_meanwhile() {
    let mut world = World::new(&json!({"image": "one"}));
    world.settle();
    world.delete_deployment();
    world.settle();
    assert_eq!(world.numbers(), [1]);
    world.set_pods(true);
    world.settle();
    world.delete_deployment();
    world.set("image", json!("two"));
    world.settle();
    assert_eq!(world.numbers(), [2], "what it was is gone with the Deployment, and nothing else has its number");
    assert_eq!((&world.status["currentRevision"], &world.status["lastGoodRevision"]), (&json!(2), &Value::Null));
}

#[test]
fn a_template_that_is_long_is_recorded_at_once() {
    let mut world = World::new(&json!({"args": ["a".repeat(20_000)]}));
    world.settle();
    assert_eq!((world.revisions.len(), world.numbers()), (1, vec![1]));
}

#[test]
fn pods_that_wait_for_migrations_leave_the_first_revision_running_and_scaled() {
    let mut world = World::new(&json!({"image": "one"}));
    world.settle();
    world.set("migrations", migrations("a"));
    world.set("image", json!("two"));
    world.set("replicas", json!(9));
    world.carry_out(&world.see(), usize::MAX);
    assert_eq!((world.image(), &world.deployment["spec"]["replicas"]), ("one", &json!(9)), "with the first plan");
    assert_eq!(world.numbers(), [1, 2]);
    world.settle();
    assert_eq!(world.image(), "two");
}

#[test]
fn the_revision_that_was_good_last_is_known_without_a_status() {
    let mut world = World::new(&json!({"image": "one", "rollback": {"onFailure": "Automatic"}}));
    world.settle();
    // It was good, and nobody was there to tell it.
    world.set_pods(true);
    world.status = Value::Null;
    world.set("image", json!("two"));
    world.settle();
    world.status = Value::Null;
    world.set_pods(false);
    world.settle();
    assert!(matches!(world.phase(), Phase::RolledBack(_)), "{:?}", world.phase());
    assert_eq!((world.image(), &world.status["lastGoodRevision"]), ("one", &json!(1)));
}

#[test]
fn an_application_that_runs_gets_its_revision_with_one_write_and_no_other() {
    let mut world = World::new(&json!({"replicas": 2}));
    world.settle();
    world.forget_revisions();
    world.writes = 0;
    assert!(world.plan().children.iter().all(|(kind, _)| *kind != Kind::Deployment));
    world.settle();
    assert_eq!((world.writes, world.revisions.len()), (1, 1));
}

#[test]
fn what_runs_already_is_not_migrated() {
    let mut world = World::new(&json!({}));
    world.settle();
    world.forget_revisions();
    world.set("migrations", migrations("a"));
    world.settle();
    assert!(world.jobs.is_empty());
}

#[test]
fn the_old_pods_stay_until_each_migration_has_succeeded_and_scaling_goes_on() {
    let mut world = World::new(&json!({"image": "one", "port": 80}));
    world.settle();
    world.set("migrations", migrations("a"));
    world.set("image", json!("two"));
    world.set("port", json!(81));
    world.carry_out(&world.see(), usize::MAX);
    world.set("replicas", json!(5));
    for _ in 0..3 {
        world.carry_out(&world.see(), usize::MAX);
    }
    assert_eq!((world.jobs.len(), world.image(), &world.deployment["spec"]["replicas"]), (1, "one", &json!(5)));
    let (application, observed) = world.see();
    let service = plan::render(&application, &observed, Kind::Service).unwrap();
    assert_eq!(service["spec"]["ports"][0]["port"], 80, "the old pods listen there");
    world.end_jobs("Failed");
    world.settle_failed();
    assert_eq!((world.jobs.len(), world.image()), (1, "one"));
    world.set("migrations", migrations("b"));
    world.settle();
    assert_eq!((world.jobs.len(), world.image()), (2, "two"));
    world.jobs.clear();
    world.settle();
    assert!(world.jobs.is_empty(), "what has succeeded does not run again");
}

#[test]
fn a_first_rollout_has_no_pods_before_its_migrations() {
    let mut world = World::new(&json!({"migrations": migrations("a")}));
    for _ in 0..3 {
        world.carry_out(&world.see(), usize::MAX);
    }
    assert!(world.deployment.is_null() && world.jobs.len() == 1);
    world.settle();
    assert!(!world.deployment.is_null());
}

/// One whose second revision, `two`, made no progress, so that the first one, `one`, runs again.
fn rolled_back() -> World {
    let mut world = World::new(&json!({"image": "one", "rollback": {"onFailure": "Automatic"}}));
    world.settle();
    world.set_pods(true);
    world.settle();
    world.set("image", json!("two"));
    world.settle();
    world.set_pods(false);
    world.settle();
    world
}

#[test]
fn a_stalled_rollout_goes_back_once_and_waits_for_another_template() {
    let mut world = rolled_back();
    assert_eq!(world.image(), "one");
    assert!(matches!(world.phase(), Phase::RolledBack(_)));
    world.status = Value::Null;
    world.set("replicas", json!(7));
    world.settle();
    assert_eq!((world.image(), &world.deployment["spec"]["replicas"]), ("one", &json!(7)), "it still scales");
    world.set("image", json!("three"));
    world.settle();
    assert_eq!(world.image(), "three");
    world.set("image", json!("two"));
    world.settle();
    assert_eq!(world.image(), "two", "what is wished for anew is tried anew");
}

#[test]
fn what_was_rolled_back_stays_so_when_another_version_renders_it_anew_and_nobody_has_asked_for_anything() {
    let mut world = rolled_back();
    for _ in 0..2 {
        world.is_restricted = !world.is_restricted;
        world.settle();
        assert_eq!(world.image(), "one");
    }
    assert_eq!(world.numbers(), [1, 3, 4], "each time it is the newest");
    let Phase::RolledBack(said) = world.phase() else { panic!("{:?}", world.phase()) };
    assert!(said.starts_with("Revision 4 made no progress") && said.ends_with("(as revision 2)"), "{said}");
    // Other fields are no other pods.
    world.set("replicas", json!(7));
    world.settle();
    assert_eq!((world.image(), &world.deployment["spec"]["replicas"]), ("one", &json!(7)));
    world.set("image", json!("three"));
    world.settle();
    world.set("image", json!("two"));
    world.settle();
    assert_eq!(world.image(), "two", "what is wished for anew is tried anew");
}

#[test]
fn no_rollback_crosses_a_migration_and_it_is_said_why() {
    let mut world = World::new(&json!({"image": "one", "rollback": {"onFailure": "Automatic"}}));
    world.settle();
    world.set_pods(true);
    world.settle();
    world.set("migrations", migrations("a"));
    world.set("image", json!("two"));
    world.settle();
    world.set_pods(false);
    world.settle();
    assert_eq!(world.image(), "two");
    let (application, observed) = world.see();
    let refusal = decide(&application, &observed).refusal.unwrap();
    assert!(refusal.is_for_migration && !refusal.is_asked_for);
    assert!(refusal.message.contains("Migrations of revision 2"), "{}", refusal.message);
    world.set("rollback", json!({"toRevision": 1}));
    world.settle();
    let (application, observed) = world.see();
    assert!(decide(&application, &observed).refusal.unwrap().is_asked_for);
    assert_eq!(world.image(), "two");
}

#[test]
fn a_revision_that_the_spec_names_runs_until_it_no_longer_does() {
    let mut world = World::new(&json!({"image": "one"}));
    world.settle();
    world.set("image", json!("two"));
    world.settle();
    world.set("rollback", json!({"toRevision": 1}));
    world.settle();
    assert_eq!((world.image(), world.phase()), ("one", Phase::Pinned(1)));
    world.set("rollback", json!({"toRevision": 9}));
    world.settle();
    let (application, observed) = world.see();
    let refusal = decide(&application, &observed).refusal.unwrap();
    assert!(refusal.message.ends_with("there are: 1, 2"), "{}", refusal.message);
    world.set("rollback", Value::Null);
    world.settle();
    assert_eq!(world.image(), "two");
}

#[test]
fn old_revisions_go_and_those_that_are_needed_stay() {
    let mut world = World::new(&json!({"image": "0", "revisionHistoryLimit": 2}));
    world.settle();
    world.set_pods(true);
    world.settle();
    for image in 1..9 {
        world.set("image", json!(image.to_string()));
        world.settle();
    }
    let mut numbers: Vec<_> = world.revisions.values().map(|revision| revision["revision"].as_i64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 7, 8, 9], "the last good one, the present one, and two");
    world.set("rollback", json!({"toRevision": 1}));
    world.settle();
    assert_eq!(world.image(), "0");
}
