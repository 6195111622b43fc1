//! Revisions that the spec names.

use super::*;

#[test]
fn a_revision_that_is_named_keeps_its_number_when_the_spec_becomes_it_and_gets_the_next_one_afterwards() {
    let mut world = World::new(&json!({"image": "one"}));
    world.settle();
    world.set("image", json!("two"));
    world.settle();
    world.set("rollback", json!({"toRevision": 1}));
    world.settle();
    world.set("image", json!("one"));
    world.settle();
    let (application, observed) = world.see();
    let rollout = decide(&application, &observed);
    assert_eq!((rollout.refusal, rollout.phase), (None, Phase::Direct));
    assert_eq!((world.image(), world.numbers(), &world.status["currentRevision"]), ("one", vec![1, 2], &json!(1)));
    world.set("rollback", Value::Null);
    let written = world.deployment["metadata"]["resourceVersion"].clone();
    world.settle();
    assert_eq!((world.numbers(), &world.status["currentRevision"]), (vec![2, 3], &json!(3)));
    assert_eq!(world.deployment["metadata"]["resourceVersion"], written, "its pods run on");
}

#[test]
fn what_leads_to_pods_of_a_revision_without_a_port_goes_and_is_not_waited_for() {
    let mut world = World::new(&json!({"port": null}));
    world.settle();
    world.set("port", json!(80));
    world.set("http", json!({"hosts": ["a.example.com"]}));
    world.settle();
    world.set("rollback", json!({"toRevision": 1}));
    world.settle();
    let (application, observed) = world.see();
    let wished: Vec<_> = plan::wished(&application, &decide(&application, &observed)).collect();
    assert_eq!(wished, [Kind::Deployment]);
    for kind in [Kind::Service, Kind::Ingress] {
        assert_eq!(plan::render(&application, &observed, kind), None);
    }
}

#[test]
fn a_service_stays_with_the_port_of_pods_that_no_revision_tells_of_until_their_migrations_are_done() {
    let mut world = World::new(&json!({"port": 80}));
    world.settle();
    world.forget_revisions();
    world.written = Value::Null;
    // A mesh has put its own container first.
    let containers = world.deployment["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
    containers.insert(0, json!({"name": "mesh", "ports": [{"containerPort": 15001}]}));
    world.set("port", json!(81));
    world.set("migrations", migrations("a"));
    let port = |world: &World| {
        let (application, observed) = world.see();
        plan::render(&application, &observed, Kind::Service).unwrap()["spec"]["ports"][0]["port"].clone()
    };
    world.carry_out(&world.see(), usize::MAX);
    let (application, observed) = world.see();
    assert_eq!(decide(&application, &observed).runs, Runs::Nothing);
    assert_eq!(port(&world), 80);
    world.settle();
    assert_eq!(port(&world), 81);
}
