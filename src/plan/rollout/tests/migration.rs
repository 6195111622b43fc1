//! Migrations beside what else may run one, and of lists that change.

use super::*;
use crate::observe::Remnant;

/// An Application whose first migration runs.
fn migrating() -> World {
    let mut world = World::new(&json!({"migrations": migrations("a")}));
    world.carry_out(&world.see(), usize::MAX);
    world.carry_out(&world.see(), usize::MAX);
    assert_eq!(world.jobs.len(), 1);
    world
}

#[test]
fn a_migration_whose_job_is_deleted_begins_anew_once_the_pod_of_that_has_ended() {
    let mut world = migrating();
    world.delete_jobs();
    assert_eq!(world.pods.len(), 1, "it has its grace period");
    world.carry_out(&world.see(), usize::MAX);
    assert!(world.jobs.is_empty());
    let Phase::Migrating(message) = world.phase() else { panic!("{:?}", world.phase()) };
    let pod = world.pods.first().unwrap();
    assert_eq!(message, format!("Migration schema waits until pod {pod} has ended, which may run one as well"));
    assert!(world.is_at_rest(), "there is nothing to be done but to wait");
    world.pods.clear();
    world.carry_out(&world.see(), usize::MAX);
    assert_eq!(world.jobs.len(), 1);
}

#[test]
fn a_job_of_an_earlier_life_is_waited_for_and_a_migration_that_runs_already_is_told_of() {
    let mut world = migrating();
    let (application, mut observed) = world.see();
    observed.remnants.push(Remnant::Job("web-mig-earlier".into()));
    let Phase::Migrating(message) = decide(&application, &observed).phase else { panic!("it runs") };
    assert!(message.contains("schema runs"), "{message}");
    world.jobs.clear();
    let seen = world.see();
    observed.jobs.clear();
    let rollout = decide(&seen.0, &observed);
    let Phase::Migrating(message) = rollout.phase else { panic!("{:?}", rollout.phase) };
    assert!(message.starts_with("Migration schema waits until Job web-mig-earlier has ended"), "{message}");
    assert_eq!(rollout.beside, []);
}

#[test]
fn a_migration_that_is_put_before_one_that_runs_waits_for_that_and_says_so() {
    let mut world = migrating();
    world.set("migrations", listed(&["first", "schema", "seed"], "a"));
    world.carry_out(&world.see(), usize::MAX);
    let Phase::Migrating(message) = world.phase() else { panic!("{:?}", world.phase()) };
    let running = world.jobs.keys().next().unwrap();
    assert_eq!(message, format!("Migration first waits until Job {running} has ended"));
    assert!(world.is_at_rest(), "there is nothing to be done but to wait");
    world.settle();
    assert_eq!((world.jobs.len(), world.deployment.is_null()), (3, false), "the one that ran did so once");
}

#[test]
fn what_has_succeeded_is_not_forgotten_when_the_list_is_edited() {
    let named = |names: &[&str]| listed(names, "a");
    let mut world = World::new(&json!({"migrations": named(&["a", "b"])}));
    let mut ran = Vec::new();
    let mut go_on = |world: &mut World, how: &str| {
        for _ in 0..3 {
            world.carry_out(&world.see(), usize::MAX);
        }
        let running = world.jobs.values().filter(|job| job["status"].is_null());
        ran.extend(running.map(|job| job["metadata"]["labels"]["minetto.dev/migration"].as_str().unwrap().to_owned()));
        world.end_jobs(how);
    };
    go_on(&mut world, "Complete");
    go_on(&mut world, "Failed");
    world.set("migrations", named(&["x", "y", "a", "b"]));
    // Whatever was left of Jobs is cleared away.
    world.jobs.clear();
    for _ in 0..5 {
        go_on(&mut world, "Complete");
    }
    assert_eq!(ran, ["a", "b", "x", "y", "b"], "a has succeeded at first");
    assert!(!world.deployment.is_null());
}

#[test]
fn a_good_revision_whose_pods_fail_later_is_said_to_be_good() {
    let mut world = World::new(&json!({"rollback": {"onFailure": "Automatic"}}));
    world.settle();
    world.set_pods(true);
    world.settle();
    world.set_pods(false);
    world.settle();
    let (application, observed) = world.see();
    let refusal = decide(&application, &observed).refusal.unwrap();
    assert!(refusal.message.starts_with("Revision 1 has been rolled out to its end before"), "{}", refusal.message);
}
