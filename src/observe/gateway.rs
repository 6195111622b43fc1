//! Whether the cluster serves the Gateway API, by the definition of its `HTTPRoute`.
//!
//! A definition is watched, and not asked for now and then, so that a cluster without it costs no request, and one that gets
//! it is served at once.

use engine::api::Scope;
use engine::object::{Metadata, Object, Resource};
use engine::store::Reader;
use serde::Deserialize;

/// Name of the `CustomResourceDefinition` of `HTTPRoute`.
pub const ROUTE_DEFINITION: &str = "httproutes.gateway.networking.k8s.io";

/// The `CustomResourceDefinition` of `HTTPRoute`, of which no more is kept than that it is there.
#[derive(Debug, Deserialize)]
pub struct RouteDefinition {
    /// What every object has.
    pub metadata: Metadata,
}

impl Object for RouteDefinition {
    const RESOURCE: Resource = Resource {
        group: "apiextensions.k8s.io",
        version: "v1",
        kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions",
    };
    const METADATA_ONLY: bool = true;
    const NAMESPACED: bool = false;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl RouteDefinition {
    /// That one definition, and no other.
    pub fn scope() -> Scope {
        Scope::all().field("metadata.name", ROUTE_DEFINITION)
    }
}

/// Whether there can be an `HTTPRoute`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gateway {
    /// The cluster knows the Gateway API, and its `HTTPRoutes` are in the cache.
    #[default]
    Served,
    /// The cluster does not know it.
    Absent,
    /// The cluster has not said so far.
    Unknown,
}

impl Gateway {
    /// What the definition's cache says, and whether that of `HTTPRoutes` is filled.
    pub(super) fn of(definition: &Reader<RouteDefinition>, are_routes_listed: bool) -> Self {
        let is_there = definition.list().iter().any(|entry| !entry.metadata().is_terminating());
        match (definition.is_synced(), is_there) {
            (true, false) => Self::Absent,
            (true, true) if are_routes_listed => Self::Served,
            _ => Self::Unknown,
        }
    }
}
