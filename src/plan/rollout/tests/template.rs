//! Templates of which one is another one without something: the live one has both.

use super::*;

fn variables(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"name": name, "value": "1"})).collect()
}

#[test]
fn a_change_that_only_removes_something_is_migrated_like_any_other() {
    for (before, after) in [(variables(&["A", "B"]), variables(&["A"])), (variables(&["A"]), Value::Null)] {
        let mut world = World::new(&json!({"env": before}));
        world.settle();
        world.set("migrations", migrations("a"));
        world.set("env", after.clone());
        world.carry_out(&world.see(), usize::MAX);
        world.carry_out(&world.see(), usize::MAX);
        assert_eq!(world.jobs.len(), 1, "{before} → {after}: {:?}", world.phase());
        assert_eq!(world.env(), before, "the old pods stay meanwhile");
        world.settle();
        assert_eq!((world.jobs.len(), world.env()), (2, after));
    }
}

#[test]
fn the_revision_that_was_good_last_is_the_one_that_ran_and_not_the_part_of_it_that_waits() {
    let mut world = World::new(&json!({"env": variables(&["A", "B"])}));
    world.settle();
    world.set_pods(true);
    world.settle();
    world.set("paused", json!(true));
    world.set("migrations", migrations("a"));
    world.set("env", variables(&["A"]));
    world.settle_held();
    world.set_pods(true);
    world.set("image", json!("two"));
    world.settle_held();
    let named = |number: i64| world.revisions.values().find(|revision| revision["revision"] == number).unwrap();
    let good = &named(3)["metadata"]["annotations"][LAST_GOOD];
    let first = kept(named(2)).unwrap();
    assert_eq!((&first["revision"], good), (&json!(1), &first["metadata"]["name"]));
}

impl World {
    /// The environment of the Deployment's pods.
    fn env(&self) -> Value {
        self.deployment["spec"]["template"]["spec"]["containers"][0]["env"].clone()
    }

    /// Does all that there is to do while migrations are paused.
    fn settle_held(&mut self) {
        for _ in 0..3 {
            self.carry_out(&self.see(), usize::MAX);
        }
        assert!(matches!(self.phase(), Phase::Migrating(_)) && self.is_at_rest(), "{:?}", self.phase());
    }
}
