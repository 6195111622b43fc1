//! A wish and what there is in, the writes that are missing out. Pure: no clock, no server, no log.
//!
//! A plan leaves whoever carries it out nothing to choose. Nothing is planned where nothing differs.

pub mod compare;
mod deployment;
pub mod ports;
mod service;

use engine::api::Precondition;
use engine::object::{Metadata, Object};
use serde_json::{Value, json};

use crate::application::Application;
use crate::observe::{Child, Found, OWNER_ANNOTATION, Observed};

/// The finalizer of the Go operator that came before this one. It guards nothing, and nobody else removes it.
pub const FORMER_FINALIZER: &str = "minetto.dev/application_controller_finalizer";

/// Remembers on a child what was applied last, so that a changed wish is told from a changed child.
pub const HASH_ANNOTATION: &str = "minetto.dev/applied-hash";

/// What is to be done for one Application.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// The finalizers that the Application is to be left with, if there are too many.
    pub finalizers: Option<Vec<String>>,
    /// What to do about the Deployment.
    pub deployment: Option<Write>,
    /// What to do about the Service.
    pub service: Option<Write>,
}

impl Plan {
    /// Returns true if there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One child's write.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// Why it is written.
    pub cause: Cause,
    /// The child as it is to be.
    pub body: Value,
    /// What the plan assumes about the child.
    pub precondition: Precondition,
}

/// Why a child is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It is not there.
    Missing,
    /// The wish is another than the one that was applied last.
    Wish,
    /// Somebody changed it; this is where.
    Drift(String),
    /// It is the former operator's.
    Adoption,
}

/// What is missing for `application`.
pub fn plan(application: &Application, observed: &Observed) -> Plan {
    let finalizers = remaining_finalizers(&application.metadata);
    if application.metadata.is_terminating() || application.spec.fault().is_some() {
        return Plan { finalizers, ..Plan::default() };
    }
    Plan {
        finalizers,
        deployment: write(application, deployment::render(application), &observed.deployment),
        service: write(application, service::render(application), &observed.service),
    }
}

/// The label selector of an Application's pods, as `kubectl get pods --selector` takes it.
pub fn selector(application: &str) -> String {
    format!("{}={application}", deployment::SELECTOR_LABEL)
}

/// The finalizers without the former operator's; `None` if that one is not among them.
fn remaining_finalizers(metadata: &Metadata) -> Option<Vec<String>> {
    let kept = metadata.finalizers.iter().filter(|finalizer| ***finalizer != *FORMER_FINALIZER);
    let kept: Vec<String> = kept.map(ToString::to_string).collect();
    (kept.len() < metadata.finalizers.len()).then_some(kept)
}

fn write<C: Child>(application: &Application, mut wish: Value, found: &Found<C>) -> Option<Write> {
    own(application, &mut wish);
    let hash = hash(&wish);
    wish["metadata"]["annotations"][HASH_ANNOTATION] = json!(hash);
    let (cause, precondition) = match found {
        Found::Absent => (Cause::Missing, Precondition::Absent),
        Found::Own(child) => {
            let metadata = child.metadata();
            let unchanged =
                Precondition::Unchanged { uid: metadata.uid.clone(), version: metadata.resource_version.clone() };
            let cause = match metadata.annotations.get(HASH_ANNOTATION) {
                None if metadata.controller().is_none() => Cause::Adoption,
                applied if applied.is_none_or(|applied| **applied != *hash) => Cause::Wish,
                _ => Cause::Drift(compare::drift(&wish, metadata, child.spec())?),
            };
            (cause, unchanged)
        }
        Found::Leaving(_) | Found::Foreign(_) => return None,
    };
    Some(Write { cause, body: wish, precondition })
}

/// Makes `child` the Application's: for the garbage collector, and for [`Caches::observe`](crate::observe::Caches).
fn own(application: &Application, child: &mut Value) {
    let metadata = &application.metadata;
    child["metadata"]["namespace"] = json!(metadata.namespace);
    child["metadata"]["annotations"][OWNER_ANNOTATION] = json!(metadata.uid);
    child["metadata"]["ownerReferences"] = json!([{
        "apiVersion": Application::RESOURCE.api_version(),
        "kind": Application::RESOURCE.kind,
        "name": metadata.name,
        "uid": metadata.uid,
        "controller": true,
        // Without it, a foreground deletion of the Application would not wait for its children.
        "blockOwnerDeletion": true,
    }]);
}

/// FNV-1a over the JSON text, whose keys are sorted: the same in every version of this program, unlike std's hashes.
fn hash(wish: &Value) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let hash = wish.to_string().bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("{hash:016x}")
}

#[cfg(test)]
pub(crate) mod tests;
