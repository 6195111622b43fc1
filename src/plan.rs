//! A wish and what there is in, the writes that are missing out. Pure: no clock, no server, no log.
//!
//! A plan leaves whoever carries it out nothing to choose. Nothing is planned where nothing differs.

pub mod compare;
mod deployment;
pub mod ports;
mod service;

use engine::api::Precondition;
use engine::object::Object;
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
    /// What is to be done about the Application's finalizers.
    pub finalizers: Option<Finalizers>,
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

    /// What another writer has changed and the plan changes back; `None` where it does no such thing.
    pub fn undoes(&self) -> Option<String> {
        let drift = |kind: &str, write: &Option<Write>| match write.as_ref().map(|write| &write.cause) {
            Some(Cause::Drift(path)) => Some(format!("{path} of the {kind}")),
            _ => None,
        };
        let finalizer = || self.finalizers.as_ref().map(|_| format!("the finalizer {FORMER_FINALIZER}"));
        drift("Deployment", &self.deployment).or_else(|| drift("Service", &self.service)).or_else(finalizer)
    }

    /// The plan without what it only changes back.
    pub fn without_undoing(self) -> Self {
        let wish = |write: &Write| !matches!(write.cause, Cause::Drift(_));
        Self { finalizers: None, deployment: self.deployment.filter(wish), service: self.service.filter(wish) }
    }

    /// The plan with nothing assumed of a child but that it is the same life: for one whose state changes faster than it can
    /// be looked at. What is applied is this operator's fields alone, so that no other writer's work is lost.
    pub fn regardless_of_state(mut self) -> Self {
        for write in [&mut self.deployment, &mut self.service].into_iter().flatten() {
            if let Precondition::Unchanged { uid, .. } = &write.precondition {
                write.precondition = Precondition::SameLife { uid: uid.clone() };
            }
        }
        self
    }
}

/// The finalizers that an Application is to be left with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finalizers {
    /// All but the former operator's.
    pub kept: Vec<String>,
    /// Whether fewer than no replicas are wished for, which the former operator's schema let in. The API server refuses every
    /// write of an object with a `/scale` endpoint that says so, whatever the write is about: it has to go with the finalizer.
    pub mends_replicas: bool,
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
    /// Whether the write makes a child the Application's that is there and is not, so that the Application has to be looked
    /// at first: one that was deleted in the meantime may have left its children on purpose (`--cascade=orphan`), and the
    /// garbage collector would remove what is given back to it.
    pub claims: bool,
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
    let finalizers = finalizers(application);
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

/// What is to be done about the former operator's finalizer.
fn finalizers(application: &Application) -> Option<Finalizers> {
    let metadata = &application.metadata;
    let kept = metadata.finalizers.iter().filter(|finalizer| ***finalizer != *FORMER_FINALIZER);
    let kept: Vec<String> = kept.map(ToString::to_string).collect();
    let mends_replicas = application.spec.replicas < 0;
    // As long as the user may yet mend it, the number is the user's.
    let can_go = metadata.is_terminating() || !mends_replicas;
    (kept.len() < metadata.finalizers.len() && can_go).then_some(Finalizers { kept, mends_replicas })
}

fn write<C: Child>(application: &Application, mut wish: Value, found: &Found<C>) -> Option<Write> {
    own(application, &mut wish);
    let hash = hash(&wish);
    wish["metadata"]["annotations"][HASH_ANNOTATION] = json!(hash);
    let (cause, precondition, claims) = match found {
        Found::Absent => (Cause::Missing, Precondition::Absent, false),
        Found::Own(child) => {
            let metadata = child.metadata();
            let unchanged =
                Precondition::Unchanged { uid: metadata.uid.clone(), version: metadata.resource_version.clone() };
            let cause = match metadata.annotations.get(HASH_ANNOTATION) {
                None if metadata.controller().is_none() => Cause::Adoption,
                applied if applied.is_none_or(|applied| **applied != *hash) => Cause::Wish,
                _ => Cause::Drift(compare::drift(&wish, metadata, child.spec())?),
            };
            let is_ours = metadata.controller().is_some_and(|owner| owner.uid == application.metadata.uid);
            (cause, unchanged, !is_ours)
        }
        Found::Leaving(_) | Found::Foreign(_) => return None,
    };
    Some(Write { cause, body: wish, precondition, claims })
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
