//! What becomes of the pods that run.

use super::*;

#[test]
fn pods_are_told_to_be_replaced_or_to_be_anothers() {
    let pods = |world: &World| {
        let (application, observed) = world.see();
        decide(&application, &observed).pods(&application, &observed)
    };
    let variable = |name: &str| json!({"name": name, "value": "1"});
    let mut world = World::new(&json!({"env": [variable("A"), variable("B")]}));
    assert_eq!(pods(&world), Pods::Anew, "there are none");
    world.settle();
    assert_eq!(pods(&world), Pods::Stay);
    world.set("replicas", json!(5));
    assert_eq!(pods(&world), Pods::Stay);
    world.set("env", json!([variable("A")]));
    assert_eq!(pods(&world), Pods::Anew, "what leaves the template replaces them as well");
    world.settle();
    assert_eq!(pods(&world), Pods::Stay);
    world.set("rollback", json!({"toRevision": 1}));
    assert_eq!(pods(&world), Pods::Former);
    world.settle();
    assert_eq!(pods(&world), Pods::Former);
}
