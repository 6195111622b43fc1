//! Applies whose way is barred by what others own, or have left behind: ownership is taken over first.

use std::collections::BTreeSet;

use engine::api::{self, FieldOwner, Precondition};
use engine::events::Kind;
use engine::object::{Key, Object, Uid};
use serde_json::{Value, json};
use tracing::info;

use super::barred::Barred;
use super::{Writer, named};
use crate::application::Application;
use crate::observe::{Child, Marker};
use crate::plan::ownership::{self, Part};
use crate::plan::{Cause, compare};

impl Writer {
    /// Applies `body`, and takes over what would stay beside it or make the server refuse it.
    pub(super) async fn apply_owning<K: Marker>(
        &self,
        application: &Application,
        key: &Key,
        body: &Value,
        planned: &Precondition,
        cause: &Cause,
    ) -> Result<Child<K>, api::Error> {
        let adopted = match (cause, planned) {
            (Cause::Adoption, Precondition::Unchanged { uid, .. } | Precondition::SameLife { uid }) => {
                self.adopt::<Child<K>>(application, key, uid).await?
            }
            _ => None,
        };
        // What is not waited for before it is not waited for after it either.
        let planned = match planned {
            Precondition::Unchanged { .. } => adopted.as_ref().unwrap_or(planned),
            Precondition::SameLife { .. } | Precondition::Absent => planned,
        };
        let answer = self.client.apply::<Child<K>>(key, body, planned).await;
        // What other writers own survives an apply, or makes the server refuse it.
        if !is_barred(&answer, body) {
            return answer;
        }
        let uid = match (&answer, planned) {
            (Ok(child), _) => &child.metadata().uid,
            (Err(_), Precondition::Unchanged { uid, .. } | Precondition::SameLife { uid }) => uid,
            (Err(_), Precondition::Absent) => return answer,
        };
        let taken = self.take_over::<Child<K>>(key, uid, body, answer.is_err()).await?;
        let Some((precondition, bars)) = taken else { return answer };
        let child = self.client.apply::<Child<K>>(key, body, &precondition).await?;
        let bars: Vec<&str> = bars.iter().map(|part| &*part.path).collect();
        let kind = K::KIND;
        let note = format!(
            "Removed {} of {kind} {}: it can't stand beside what the Application says",
            bars.join(", "),
            key.name
        );
        info!("{note}");
        self.recorder.record(application, Kind::Normal, "Removed", "Remove", note);
        Ok(child)
    }

    /// Brings what the former operator owns under this one's ownership: it is the one that named the Application as owner, by
    /// a POST or a PUT, and else its fields, and those that the server filled in for it, would stay for ever. Returns what the
    /// apply is to assume, or `None` if there is nothing of the kind.
    async fn adopt<C: Object>(
        &self,
        application: &Application,
        key: &Key,
        uid: &Uid,
    ) -> Result<Option<Precondition>, api::Error> {
        let reference = format!("k:{}", json!({"uid": application.metadata.uid}));
        let is_former = |owner: FieldOwner<'_>| {
            let references = &owner.fields["f:metadata"]["f:ownerReferences"];
            owner.operation == "Update" && references.get(&reference).is_some()
        };
        let adopted = self.client.take_over_fields::<C>(key, uid, is_former).await?;
        Ok(adopted.map(|adopted| {
            info!(child = named::<C>(key), "took over what the former operator owned");
            unchanged(&adopted)
        }))
    }

    /// Brings what bars the way of `wish` under this operator's ownership, so that the next apply removes it. Returns what that
    /// apply is to assume, and what bars its way; `None` if nothing of anybody else does.
    async fn take_over<C: Object>(
        &self,
        key: &Key,
        uid: &Uid,
        wish: &Value,
        is_refused: bool,
    ) -> Result<Option<(Precondition, BTreeSet<Part>)>, api::Error> {
        let Some(live) = self.client.get_as::<Value>(&C::RESOURCE, key).await? else { return Ok(None) };
        let metadata = &live["metadata"];
        // Another life of the name is for a new plan to judge.
        if metadata["uid"] != *uid.0 {
            return Ok(None);
        }
        let manager = self.client.field_manager();
        let bars = if is_refused {
            Barred { client: &self.client, resource: &C::RESOURCE, key, live: &live, wish }.by().await?
        } else {
            ownership::bars(&live, wish, manager).ports
        };
        if bars.is_empty() {
            return Ok(None);
        }
        let managed_fields = ownership::take_over(&live, wish, manager, &bars);
        let body =
            json!({"metadata": {"resourceVersion": metadata["resourceVersion"], "managedFields": managed_fields}});
        let taken = self.client.merge::<C>(key, None, &body).await?;
        Ok(Some((unchanged(&taken), bars)))
    }
}

fn unchanged<T: Object>(object: &T) -> Precondition {
    let metadata = object.metadata();
    Precondition::Unchanged { uid: metadata.uid.clone(), version: metadata.resource_version.clone() }
}

/// Returns true if an apply was refused, or has left ports that are not in `body`.
fn is_barred<K: Marker>(answer: &Result<Child<K>, api::Error>, body: &Value) -> bool {
    match answer {
        Ok(child) => compare::drift(body, child.metadata(), &child.0.spec).is_some_and(|path| path.contains(".ports[")),
        Err(error) => error.status().is_some_and(|status| status.code == 422),
    }
}
