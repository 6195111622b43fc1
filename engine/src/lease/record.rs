//! The Lease as the API server has it: what is read of it, and what is written into it. Pure.
//!
//! Fields and meaning are client-go's, so that its electors, and people with kubectl, can read it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use serde::Deserialize;
use serde_json::{Value, json};

use super::core::{Kind, Write};
use crate::object::{Metadata, Object, Resource};

/// What an elector reads of a Lease. The times that it states are not among it: they are of another clock.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Lease {
    pub(super) metadata: Metadata,
    #[serde(default)]
    pub(super) spec: Spec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Spec {
    pub(super) holder_identity: Option<String>,
    pub(super) lease_duration_seconds: Option<u32>,
    pub(super) lease_transitions: Option<i64>,
}

impl Object for Lease {
    const RESOURCE: Resource =
        Resource { group: "coordination.k8s.io", version: "v1", kind: "Lease", plural: "leases" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl Spec {
    /// Who holds it; empty if nobody does.
    pub(super) fn holder(&self) -> &str {
        self.holder_identity.as_deref().unwrap_or_default()
    }

    /// How long it is valid once it was seen; `None` where it does not say.
    pub(super) fn duration(&self) -> Option<Duration> {
        self.lease_duration_seconds.filter(|seconds| *seconds > 0).map(|seconds| Duration::from_secs(seconds.into()))
    }
}

/// The body of `write`, for an apply where nothing is there, and for a merge else: what it does not name stays, such as the
/// fields of a coordinated election (KEP-4355).
pub(super) fn body(write: &Write, identity: &str, lease_duration: Duration, name: &str, now: Timestamp) -> Value {
    let now = MicroTime(now);
    let mut spec = json!({
        "holderIdentity": identity,
        "leaseDurationSeconds": lease_duration.as_secs(),
        "leaseTransitions": write.transitions,
        "renewTime": now,
    });
    match write.kind {
        Kind::Renew => {}
        Kind::Acquire => spec["acquireTime"] = json!(now),
        // As client-go releases: nobody, for a second, which its electors of old wait for.
        Kind::Release => {
            spec["holderIdentity"] = json!("");
            spec["leaseDurationSeconds"] = json!(1);
            spec["acquireTime"] = json!(now);
        }
    }
    match &write.version {
        Some(version) => json!({"metadata": {"resourceVersion": version}, "spec": spec}),
        None => json!({
            "apiVersion": Lease::RESOURCE.api_version(),
            "kind": Lease::RESOURCE.kind,
            "metadata": {"name": name},
            "spec": spec,
        }),
    }
}
