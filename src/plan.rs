//! A wish and what there is in, the writes that are missing out. Pure: no clock, no server, no log.
//!
//! A plan leaves whoever carries it out nothing to choose. Nothing is planned where nothing differs.

mod autoscaler;
mod budget;
pub mod compare;
mod deployment;
mod fields;
mod http;
pub mod merge;
mod migration;
pub mod ownership;
mod pod;
pub mod predict;
pub mod quantity;
mod revision;
pub mod rollout;
mod security;
mod service;
mod upgrade;

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use engine::api::Precondition;
use engine::object::Object;
use serde::Serialize;
use serde_json::{Value, json};

pub use self::revision::kept as kept_revision;
use self::rollout::{Rollout, Runs, Step};
pub use self::upgrade::renders_pods_anew;
use crate::application::{Allowed, Application};
use crate::observe::{Found, Gateway, Kind, Live, OWNER_ANNOTATION, Observed, Rolled};

/// The finalizer of the Go operator that came before this one. It guards nothing, and nobody else removes it.
pub const FORMER_FINALIZER: &str = "minetto.dev/application_controller_finalizer";

/// Remembers on a child what was applied last, so that a changed wish is told from a changed child.
pub const HASH_ANNOTATION: &str = "minetto.dev/applied-hash";

/// What is to be done for one Application.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// What is to be done about the Application's finalizers.
    pub finalizers: Option<Finalizers>,
    /// What has to be done before any child is written, in this order.
    pub before: Vec<Step>,
    /// What may be done beside that.
    pub beside: Vec<Step>,
    /// What to do about each child; nothing about those that are left out.
    pub children: BTreeMap<Kind, Write>,
}

impl Plan {
    /// Returns true if there is nothing to do.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes for an edit what looks like a changed wish and is none: where this process has `written` just that before, and
    /// another writer has written over it since.
    pub fn tell_from_edits(&mut self, written: &BTreeMap<Kind, String>) {
        for (kind, write) in &mut self.children {
            let hash = write.hash().map(str::to_owned);
            if write.cause == Cause::Wish && hash.as_ref() == written.get(kind) {
                write.cause = Cause::Drift(format!("metadata.annotations[{HASH_ANNOTATION}]"));
            }
        }
    }

    /// The hash of what is written to each child.
    pub fn hashes(&self) -> BTreeMap<Kind, String> {
        let hash = |(kind, write): (&Kind, &Write)| Some((*kind, write.hash()?.to_owned()));
        self.children.iter().filter_map(hash).collect()
    }

    /// The children that are as they are wished to be, so that no write of them is planned.
    pub fn spared<'a>(&'a self, observed: &'a Observed) -> impl Iterator<Item = Kind> + 'a {
        let own = observed.children.iter().filter(|(_, found)| matches!(found, Found::Own(_)));
        own.map(|(kind, _)| *kind).filter(|kind| !self.children.contains_key(kind))
    }

    /// What another writer has changed and the plan changes back; `None` where it does no such thing.
    pub fn undoes(&self) -> Option<String> {
        let drift = self.children.iter().find_map(|(kind, write)| match &write.cause {
            Cause::Drift(path) => Some(format!("{path} of the {kind}")),
            _ => None,
        });
        drift.or_else(|| self.finalizers.as_ref().map(|_| format!("the finalizer {FORMER_FINALIZER}")))
    }

    /// The plan without what it only changes back.
    pub fn without_undoing(mut self) -> Self {
        self.children.retain(|_, write| !matches!(write.cause, Cause::Drift(_)));
        Self { finalizers: None, ..self }
    }

    /// The plan without what would replace pods.
    pub fn without_pods(mut self) -> Self {
        self.children.remove(&Kind::Deployment);
        Self { before: Vec::new(), ..self }
    }

    /// The plan with nothing assumed of a child but that it is the same life: for one whose state changes faster than it can
    /// be looked at. What is applied is this operator's fields alone, so that no other writer's work is lost.
    pub fn regardless_of_state(mut self) -> Self {
        for write in self.children.values_mut() {
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
    /// The child as it is to be; `None` if it is to be deleted.
    pub body: Option<Value>,
    /// What the plan assumes about the child.
    pub precondition: Precondition,
    /// Whether the Application has to be looked at first, since the write makes a child its own that is there and is not, or
    /// that was there and is gone: an Application that was deleted in the meantime may have left its children on purpose
    /// (`--cascade=orphan`), and the garbage collector would remove what is given back to it.
    pub claims: bool,
}

impl Write {
    /// The hash of what is written; `None` of a deletion.
    fn hash(&self) -> Option<&str> {
        self.body.as_ref()?["metadata"]["annotations"][HASH_ANNOTATION].as_str()
    }
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
    /// It is no longer wished for.
    Unwished,
}

/// What is missing for `application`, of what is `allowed`.
pub fn plan(application: &Application, observed: &Observed, allowed: &Allowed) -> Plan {
    let finalizers = finalizers(application);
    let is_refused = || application.spec.fault().is_some() || allowed.refusal(&application.spec).is_some();
    if application.metadata.is_terminating() || is_refused() {
        return Plan { finalizers, ..Plan::default() };
    }
    let mut rollout = rollout::decide(application, observed);
    if matches!(observed.of(Kind::Deployment), Found::Foreign(_)) {
        // Nothing can be rolled out, so that there is nothing to record, and nothing to migrate for.
        (rollout.before, rollout.beside) = (Vec::new(), Vec::new());
    }
    // What pods are to run with has to be known before they are made.
    let is_settled = observed.configuration.as_ref().is_none_or(|configuration| configuration.rolled.is_some());
    let can_be_routed = observed.gateway == Gateway::Served;
    // What may not be written yet stays as it is, and so does what nothing can take the place of yet.
    let can_be = |kind: &Kind| match kind {
        Kind::Deployment => rollout.runs != Runs::Nothing && is_settled,
        Kind::HttpRoute => can_be_routed,
        Kind::Ingress => can_be_routed || !http::is_asked(application, rollout.port, true),
        _ => true,
    };
    let render = |kind| render_as(application, &rollout, observed.rolled(), kind);
    let write = |kind| Some((kind, write(application, render(kind), observed.of(kind))?));
    let children = Kind::ALL.into_iter().filter(can_be).filter_map(write).collect();
    Plan { finalizers, before: rollout.before, beside: rollout.beside, children }
}

/// The child of that kind as `application` wishes for it; `None` if it wishes for none.
pub fn render(application: &Application, observed: &Observed, kind: Kind) -> Option<Value> {
    render_as(application, &rollout::decide(application, observed), observed.rolled(), kind)
}

/// The child of that kind around pods of the template that runs, with the configuration that is `rolled` out.
fn render_as(application: &Application, rollout: &Rollout, rolled: Option<&Rolled>, kind: Kind) -> Option<Value> {
    let child = match kind {
        Kind::Deployment => deployment::render(application, rollout, rolled)?,
        Kind::Service => service::render(application, rollout.port)?,
        Kind::PodDisruptionBudget => budget::render(application)?,
        Kind::HorizontalPodAutoscaler => autoscaler::render(application)?,
        Kind::Ingress => http::ingress(application, rollout.port)?,
        Kind::HttpRoute => http::route(application, rollout.port)?,
    };
    Some(named(application, child, kind))
}

/// Whether the Deployment was last applied with the template that runs, and all else that the Application says of it.
pub fn is_applied(application: &Application, rollout: &Rollout, deployment: &Live) -> bool {
    let rolled = application.spec.rolling_config().and_then(|_| Rolled::of(deployment));
    let wish = render_as(application, rollout, rolled.as_ref(), Kind::Deployment);
    let applied = deployment.metadata.annotations.get(HASH_ANNOTATION);
    wish.is_some_and(|wish| wish["metadata"]["annotations"][HASH_ANNOTATION].as_str() == applied)
}

/// Makes `child` the one of that kind.
fn named(application: &Application, mut child: Value, kind: Kind) -> Value {
    let resource = kind.resource();
    child["apiVersion"] = resource.api_version().into();
    child["kind"] = resource.kind.into();
    child["metadata"]["name"] = kind.name(&application.metadata.name).into();
    own(application, &mut child);
    child["metadata"]["annotations"][HASH_ANNOTATION] = hash(&child).into();
    child
}

/// The kinds of children that `application` wishes for, around the pods that `rollout` has run.
pub fn wished(application: &Application, rollout: &Rollout) -> impl Iterator<Item = Kind> {
    let (spec, port) = (&application.spec, rollout.port);
    Kind::ALL.into_iter().filter(move |kind| match kind {
        Kind::Deployment => true,
        Kind::Service => port.is_some() || spec.service.as_ref().is_some_and(|service| service.ports.is_some()),
        Kind::PodDisruptionBudget => spec.pod_disruption_budget.is_some(),
        Kind::HorizontalPodAutoscaler => spec.autoscaling.is_some(),
        Kind::Ingress => http::is_asked(application, port, false),
        Kind::HttpRoute => http::is_asked(application, port, true),
    })
}

/// The label selector of an Application's pods, as `kubectl get pods --selector` takes it.
pub fn selector(application: &str) -> String {
    format!("{}={application}", pod::DEPLOYMENT_LABEL)
}

/// Sets a field, if there is something to be said of it.
fn set(object: &mut Value, field: &str, value: Option<impl Serialize>) {
    put(object, field, value.map(|value| json!(value)));
}

/// Sets a field, if there is a value for it.
fn put(object: &mut Value, field: &str, value: Option<Value>) {
    if let Some(value) = value {
        object[field] = value;
    }
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

fn write(application: &Application, wish: Option<Value>, found: &Found) -> Option<Write> {
    let child = match found {
        Found::Absent => {
            let (cause, precondition) = (Cause::Missing, Precondition::Absent);
            // A child that was there and is gone may have gone with an Application whose end is not known here yet.
            let claims = application.status.observed_generation > 0;
            return Some(Write { cause, body: Some(wish?), precondition, claims });
        }
        Found::Own(child) => child,
        Found::Leaving(_) | Found::Foreign(_) => return None,
    };
    let metadata = &child.metadata;
    let precondition =
        Precondition::Unchanged { uid: metadata.uid.clone(), version: metadata.resource_version.clone() };
    let Some(wish) = wish else {
        return Some(Write { cause: Cause::Unwished, body: None, precondition, claims: false });
    };
    let hash = wish["metadata"]["annotations"][HASH_ANNOTATION].as_str();
    let cause = match metadata.annotations.get(HASH_ANNOTATION) {
        None if metadata.controller().is_none() => Cause::Adoption,
        applied if applied != hash => Cause::Wish,
        _ => Cause::Drift(compare::drift(&wish, metadata, &child.spec)?),
    };
    let is_ours = metadata.controller().is_some_and(|owner| owner.uid == application.metadata.uid);
    Some(Write { cause, body: Some(wish), precondition, claims: !is_ours })
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
fn hash(wish: &impl fmt::Display) -> String {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    // Nothing fails that only reckons.
    let _ = write!(hash, "{wish}");
    format!("{:016x}", hash.0)
}

/// Takes in a text as it is written, so that it is never there as a whole.
struct Fnv(u64);

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const PRIME: u64 = 0x0100_0000_01b3;
        self.0 = text.bytes().fold(self.0, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
        Ok(())
    }
}

/// An object of these fields, none of which is copied, as the macro `json` does with each at each level.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect())
}

#[cfg(test)]
pub(crate) mod tests;
