//! A namespace that is to go → everything in it deleted, and then the namespace let go.

use serde_json::{Value, json};

use super::garbage;
use super::step::{Step, Write};
use crate::history::Place;
use crate::object;
use crate::state::State;

pub(super) fn look(state: &State, place: &Place, namespace: &Value) -> Step {
    if !object::is_terminating(namespace) {
        return Step::default();
    }
    let spaced = state.catalog.all().filter(|resource| resource.is_namespaced).map(|resource| resource.collection());
    let mut collections: Vec<String> = spaced.collect();
    // A resource of several versions is one collection.
    collections.sort();
    collections.dedup();
    let (mut writes, mut left) = (Vec::new(), 0);
    for collection in collections {
        for object in state.history.present(&collection, &place.name) {
            left += 1;
            if !object::is_terminating(&object) {
                let place = super::owned::place(&collection, &object);
                writes.push(garbage::sweep(&place, &object));
            }
        }
    }
    let waits = namespace["spec"]["finalizers"].as_array().is_some_and(|list| list.contains(&json!("kubernetes")));
    if left == 0 && waits {
        let mut freed = namespace.clone();
        let others = namespace["spec"]["finalizers"].as_array().into_iter().flatten();
        freed["spec"]["finalizers"] = others.filter(|one| **one != "kubernetes").cloned().collect();
        writes.push(Write::finalize(place, freed));
    }
    Step::of(writes)
}
