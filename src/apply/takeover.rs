//! Applies whose way is barred by what others own, or have left behind: ownership is taken over first.

use engine::api::{self, FieldOwner, Precondition};
use engine::object::{Key, Object, ResourceVersion, Uid};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::info;

use super::{Writer, named};
use crate::application::Application;
use crate::observe::{Child, Marker};
use crate::plan::{Cause, compare, ports};

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
        // Ports that other writers own survive an apply, or make the server refuse it.
        if needs_take_over(&answer, body)
            && let Some(precondition) = self.take_over::<Child<K>>(key, body, planned).await?
        {
            return self.client.apply::<Child<K>>(key, body, &precondition).await;
        }
        answer
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

    /// Brings the ports that others own under this operator's ownership, so that the next apply removes them. Returns what
    /// that apply is to assume, or `None` if no port is owned by anybody else.
    async fn take_over<C: Object>(
        &self,
        key: &Key,
        wish: &Value,
        planned: &Precondition,
    ) -> Result<Option<Precondition>, api::Error> {
        #[derive(Deserialize)]
        struct Owned {
            metadata: OwnedMetadata,
            spec: Value,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct OwnedMetadata {
            uid: Uid,
            resource_version: ResourceVersion,
            #[serde(default)]
            managed_fields: Vec<Value>,
        }
        let Some(Owned { metadata: live, spec }) = self.client.get_as::<Owned>(&C::RESOURCE, key).await? else {
            return Ok(None);
        };
        let object = json!({"spec": spec});
        // Another life of the name is for a new plan to judge.
        if matches!(planned, Precondition::Unchanged { uid, .. } | Precondition::SameLife { uid } if *uid != live.uid) {
            return Ok(None);
        }
        let manager = self.client.field_manager();
        let Some(managed_fields) = ports::take_over(&live.managed_fields, &object, wish, manager) else {
            return Ok(None);
        };
        let body = json!({"metadata": {"resourceVersion": live.resource_version, "managedFields": managed_fields}});
        let taken = self.client.merge::<C>(key, None, &body).await?;
        info!(child = named::<C>(key), "took over ports that another writer owned");
        Ok(Some(unchanged(&taken)))
    }
}

fn unchanged<T: Object>(object: &T) -> Precondition {
    let metadata = object.metadata();
    Precondition::Unchanged { uid: metadata.uid.clone(), version: metadata.resource_version.clone() }
}

/// Returns true if an apply was refused, or has left ports that are not in `body`.
fn needs_take_over<K: Marker>(answer: &Result<Child<K>, api::Error>, body: &Value) -> bool {
    match answer {
        Ok(child) => compare::drift(body, child.metadata(), &child.0.spec).is_some_and(|path| path.contains(".ports[")),
        Err(error) => error.status().is_some_and(|status| status.code == 422),
    }
}
