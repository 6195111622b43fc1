//! A rollout → the `ReplicaSet` of its template, the numbers of revisions, and those that are forgotten.

use serde_json::{Value, json};

use super::super::owned::{self, SETS};
use super::super::step::Write;
use super::rollout::{DESIRED, HASH, Rollout, annotated, replicas};
use super::{conditions, status, update};
use crate::history::Place;
use crate::object;
use crate::state::State;

/// The annotation with the number of a revision.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";

/// The annotation with the numbers that a set had before.
const FORMER: &str = "deployment.kubernetes.io/revision-history";

/// The annotation of a set with the most replicas that its Deployment might have had when the set was last written.
pub(super) const MOST: &str = "deployment.kubernetes.io/max-replicas";

/// Annotations that a Deployment does not hand on to its sets.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    FORMER,
    DESIRED,
    MOST,
    "deprecated.deployment.rollback.to",
];

/// The letters of a template's hash: those of generated names.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Sees that the set of the template is there, and is numbered after all others.
pub(super) fn writes(state: &State, rollout: &Rollout<'_>, may_create: bool) -> Vec<Write> {
    let last = rollout.old.iter().filter_map(|set| annotated(set, REVISION)).max().unwrap_or(0);
    match &rollout.new {
        Some(new) => existing(rollout, new, last + 1),
        None if may_create => create(state, rollout, last + 1),
        None => Vec::new(),
    }
}

fn existing(rollout: &Rollout<'_>, new: &Value, revision: i64) -> Vec<Write> {
    let mut set = new.clone();
    let revision = revision.max(annotated(new, REVISION).unwrap_or(0));
    annotate(rollout, &mut set, revision);
    object::copy_field(
        object::map(&mut set).entry("spec").or_insert(Value::Null),
        &rollout.deployment["spec"],
        "minReadySeconds",
    );
    if set != *new {
        return vec![update(&set)];
    }
    let mut deployment = rollout.deployment.clone();
    number(&mut deployment, revision);
    if has_deadline(rollout) && owned::condition(&deployment["status"], "Progressing").is_none() {
        let name = object::text(new, "name");
        let why = format!("Found new replica set {name:?}");
        conditions::set(&mut deployment, "Progressing", "True", "FoundNewReplicaSet", &why, rollout.now);
    }
    if deployment == *rollout.deployment { Vec::new() } else { vec![Write::status(rollout.place, deployment)] }
}

fn create(state: &State, rollout: &Rollout<'_>, revision: i64) -> Vec<Write> {
    let mut deployment = rollout.deployment.clone();
    let collisions = object::number(&deployment, "/status/collisionCount");
    let hash = hash(&deployment["spec"]["template"], collisions);
    let text = |field| object::text(rollout.deployment, field).to_owned();
    let (name, namespace) = (format!("{}-{hash}", text("name")), text("namespace"));
    let taken = Place { resource: SETS.into(), namespace: namespace.clone(), name: name.clone() };
    if state.history.get(&taken).is_some() {
        // Somebody else's, an earlier life's, say.
        deployment["status"]["collisionCount"] = (collisions + 1).into();
        return vec![Write::status(rollout.place, deployment)];
    }
    let mut template = deployment["spec"]["template"].clone();
    let labels = object::map(object::map(&mut template["metadata"]).entry("labels").or_insert(Value::Null));
    labels.insert(HASH.into(), hash.as_str().into());
    let labels = labels.clone();
    let mut selector = deployment["spec"]["selector"].clone();
    object::map(object::map(&mut selector).entry("matchLabels").or_insert(Value::Null))
        .insert(HASH.into(), hash.into());
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": name, "namespace": namespace, "labels": labels, "ownerReferences": [owned::reference(&deployment)],
        },
        "spec": {"replicas": rollout.next(0), "selector": selector, "template": template},
    });
    object::copy_field(&mut set["spec"], &deployment["spec"], "minReadySeconds");
    annotate(rollout, &mut set, revision);
    note_size(rollout, &mut set);
    number(&mut deployment, revision);
    if has_deadline(rollout) {
        let why = format!("Created new replica set {name:?}");
        conditions::set(&mut deployment, "Progressing", "True", "NewReplicaSetCreated", &why, rollout.now);
    }
    vec![Write::create(SETS, set), Write::status(rollout.place, deployment)]
}

/// Deletes the sets that are too old to be gone back to.
pub(super) fn forget(rollout: &Rollout<'_>) -> Vec<Write> {
    let Some(limit) = rollout.deployment["spec"]["revisionHistoryLimit"].as_u64() else { return Vec::new() };
    let alive = rollout.old.iter().filter(|set| !object::is_terminating(set));
    let mut sets: Vec<_> = alive.collect();
    sets.sort_by_key(|set| annotated(set, REVISION));
    let surplus = sets.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    let is_done = |set: &&&std::sync::Arc<Value>| {
        let number = |pointer| object::number(set, pointer);
        replicas(set) == 0
            && number("/status/replicas") == 0
            && number("/metadata/generation") <= number("/status/observedGeneration")
    };
    sets[..surplus].iter().filter(is_done).map(|set| Write::delete(&owned::place(SETS, set), set, "")).collect()
}

/// Writes down for how many replicas a set was made.
pub(super) fn note_size(rollout: &Rollout<'_>, set: &mut Value) {
    let (wished, most) = (rollout.wished(), rollout.wished() + rollout.max_surge());
    let annotations = annotations(set);
    annotations.insert(DESIRED.into(), wished.to_string().into());
    annotations.insert(MOST.into(), most.to_string().into());
}

fn annotations(object: &mut Value) -> &mut serde_json::Map<String, Value> {
    object::map(object::metadata_mut(object).entry("annotations").or_insert(Value::Null))
}

/// Hands the Deployment's annotations on, and numbers the set.
fn annotate(rollout: &Rollout<'_>, set: &mut Value, revision: i64) {
    let before = annotated(set, REVISION);
    let own = object::metadata(rollout.deployment).get("annotations").and_then(Value::as_object);
    let annotations = annotations(set);
    for (name, value) in own.into_iter().flatten().filter(|(name, _)| !OWN.contains(&name.as_str())) {
        annotations.insert(name.clone(), value.clone());
    }
    if before.is_none_or(|before| before < revision) {
        annotations.insert(REVISION.into(), revision.to_string().into());
        if let Some(before) = before {
            let former = annotations.get(FORMER).and_then(Value::as_str);
            let former = former.map_or_else(|| before.to_string(), |former| format!("{former},{before}"));
            annotations.insert(FORMER.into(), former.into());
        }
    }
}

fn number(deployment: &mut Value, revision: i64) {
    annotations(deployment).insert(REVISION.into(), revision.to_string().into());
}

/// Whether anybody wants to know that a rollout takes too long.
pub(super) fn has_deadline(rollout: &Rollout<'_>) -> bool {
    status::deadline_seconds(rollout).is_some()
}

/// A hash of a template, in the form of the real one's: FNV-1a, each digit as a letter. The real one hashes how Go prints
/// the struct.
fn hash(template: &Value, collisions: i64) -> String {
    let mut hash: u32 = 0x811c_9dc5;
    let mut text = template.to_string();
    if collisions > 0 {
        text = format!("{text}{collisions}");
    }
    for byte in text.bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    let letter = |digit: u8| char::from(LETTERS[usize::from(digit) % LETTERS.len()]);
    hash.to_string().bytes().map(letter).collect()
}
