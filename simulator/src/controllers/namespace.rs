//! A namespace that is to go → everything in it deleted, what it still waits for told, and then the namespace let go.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::garbage;
use super::owned::{self, PODS};
use super::step::{Step, Write};
use crate::history::Place;
use crate::managed;
use crate::object;
use crate::state::State;

/// Each condition of a namespace that goes, with reason and message while nothing is in the way.
const CONDITIONS: [[&str; 3]; 5] = [
    ["NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"],
    ["NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"],
    [
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ],
    [CONTENT, "ContentRemoved", "All content successfully removed"],
    [FINALIZERS, "ContentHasNoFinalizers", "All content-preserving finalizers finished"],
];

const CONTENT: &str = "NamespaceContentRemaining";
const FINALIZERS: &str = "NamespaceFinalizersRemaining";

/// How many objects of each resource are left, and how many of them wait for each finalizer.
#[derive(Default)]
struct Left {
    resources: BTreeMap<String, usize>,
    finalizers: BTreeMap<String, usize>,
}

pub(super) fn look(state: &State, place: &Place, namespace: &Value, now: Timestamp) -> Step {
    if !object::is_terminating(namespace) {
        return Step::default();
    }
    let spaced = state.catalog.all().filter(|resource| resource.is_namespaced).map(|resource| resource.collection());
    let mut collections: Vec<String> = spaced.collect();
    // A resource of several versions is one collection.
    collections.sort();
    collections.dedup();
    // Pods go first, and all else waits for them.
    if !state.history.present(PODS, &place.name).is_empty() {
        collections.retain(|collection| collection == PODS);
    }
    let (mut writes, mut left) = (Vec::new(), Left::default());
    for collection in collections {
        for object in state.history.present(&collection, &place.name) {
            *left.resources.entry(collection.clone()).or_default() += 1;
            for finalizer in object::finalizers(&object) {
                *left.finalizers.entry(finalizer.to_owned()).or_default() += 1;
            }
            if !object::is_terminating(&object) {
                writes.push(garbage::sweep(&owned::place(&collection, &object), &object));
            }
        }
    }
    let waits = namespace["spec"]["finalizers"].as_array().is_some_and(|list| list.contains(&json!("kubernetes")));
    if left.resources.is_empty() && waits {
        let mut freed = namespace.clone();
        let others = namespace["spec"]["finalizers"].as_array().into_iter().flatten();
        freed["spec"]["finalizers"] = others.filter(|one| **one != "kubernetes").cloned().collect();
        writes.push(Write::finalize(place, freed));
    } else if writes.is_empty() {
        writes.extend(left.tell(place, namespace, now));
    }
    Step::of(writes)
}

impl Left {
    /// Tells in the status what the namespace waits for, unless it is told already.
    fn tell(&self, place: &Place, namespace: &Value, now: Timestamp) -> Option<Write> {
        let list = |of: &BTreeMap<String, usize>, verb: &str| {
            let each: Vec<String> =
                of.iter().map(|(name, count)| format!("{name} {verb} {count} resource instances")).collect();
            each.join(", ")
        };
        let has_pods = self.resources.contains_key(PODS);
        let told = CONDITIONS.map(|[kind, reason, message]| {
            let (status, reason, message) = match kind {
                CONTENT if !self.resources.is_empty() && !has_pods => {
                    let what = list(&self.resources, "has");
                    ("True", "SomeResourcesRemain", format!("Some resources are remaining: {what}"))
                }
                FINALIZERS if !self.finalizers.is_empty() && !has_pods => {
                    let what = list(&self.finalizers, "in");
                    let message = format!("Some content in the namespace has finalizers remaining: {what}");
                    ("True", "SomeFinalizersRemain", message)
                }
                _ => ("False", reason, message.to_owned()),
            };
            let old = owned::condition(&namespace["status"], kind).filter(|old| old["status"] == status);
            let since = old.map_or_else(|| managed::time(now), |old| old["lastTransitionTime"].clone());
            json!({
                "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
            })
        });
        let mut new = namespace.clone();
        new["status"]["conditions"] = json!(told);
        (new["status"] != namespace["status"]).then(|| Write::status(place, new))
    }
}
