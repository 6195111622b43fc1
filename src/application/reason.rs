//! Why a condition is as it is: a fixed set of words.

use std::fmt;

/// Why a condition is as it is. The names are part of the API: scripts and alerts wait for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// All wished pods run the latest spec and are ready.
    Available,
    /// Zero pods are wished and none is left.
    ScaledToZero,
    /// Children were written, and the cluster has not yet reported on them.
    Pending,
    /// Pods of the latest spec are replacing older ones.
    RollingOut,
    /// Pods are being added or removed; none is replaced.
    Scaling,
    /// Nothing is left to be rolled out or scaled.
    RolloutComplete,
    /// The rollout is complete, but pods that were ready no longer are.
    PodsNotReady,
    /// A pod does not run, and says why.
    PodFailing,
    /// The rollout made no progress within its deadline (`ProgressDeadlineExceeded`).
    RolloutStalled,
    /// A quota of the namespace allows no further pods.
    QuotaExceeded,
    /// Pods could not be created for another reason, such as an admission policy.
    ReplicaFailure,
    /// An object that belongs to somebody else stands under the name of a child.
    ChildConflict,
    /// An `HTTPRoute` is asked for, and the cluster does not know the Gateway API.
    GatewayAPIAbsent,
    /// A Gateway refuses the `HTTPRoute`, or can't resolve what it names.
    RouteNotAccepted,
    /// Something that pods take their configuration from is not there, and they can't start without it.
    ConfigMissing,
    /// The spec cannot be run; it was stored before the present schema, or holds what a schema can't tell.
    InvalidSpec,
    /// The spec asks for what this operator was not told to allow.
    NotAllowed,
    /// The API server refused to store a child, and will again until something changes.
    ApplyRejected,
    /// Another writer changes a child back each time; the operator waits longer each time.
    Contested,
    /// A child could not be written for now; the operator tries again.
    ApplyFailed,
    /// The application is being deleted.
    Terminating,
    /// A migration runs, or waits to; the pods stay as they are until it has succeeded.
    Migrating,
    /// A migration has failed; the pods stay as they are.
    MigrationFailed,
    /// A rollout has failed, and the last good revision runs again until the spec asks for other pods.
    RolledBack,
    /// `rollback.toRevision` names the revision that runs.
    RevisionRequested,
    /// No revision was rolled out that could be gone back to.
    RevisionNotFound,
    /// A rollback would go back across a migration.
    MigrationInTheWay,
    /// Nothing stands in the way.
    AsExpected,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 28] = [
        Self::Available,
        Self::ScaledToZero,
        Self::Pending,
        Self::RollingOut,
        Self::Scaling,
        Self::RolloutComplete,
        Self::PodsNotReady,
        Self::PodFailing,
        Self::RolloutStalled,
        Self::QuotaExceeded,
        Self::ReplicaFailure,
        Self::ChildConflict,
        Self::GatewayAPIAbsent,
        Self::RouteNotAccepted,
        Self::ConfigMissing,
        Self::InvalidSpec,
        Self::NotAllowed,
        Self::ApplyRejected,
        Self::Contested,
        Self::ApplyFailed,
        Self::Terminating,
        Self::Migrating,
        Self::MigrationFailed,
        Self::RolledBack,
        Self::RevisionRequested,
        Self::RevisionNotFound,
        Self::MigrationInTheWay,
        Self::AsExpected,
    ];

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::ScaledToZero => "ScaledToZero",
            Self::Pending => "Pending",
            Self::RollingOut => "RollingOut",
            Self::Scaling => "Scaling",
            Self::RolloutComplete => "RolloutComplete",
            Self::PodsNotReady => "PodsNotReady",
            Self::PodFailing => "PodFailing",
            Self::RolloutStalled => "RolloutStalled",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::ReplicaFailure => "ReplicaFailure",
            Self::ChildConflict => "ChildConflict",
            Self::GatewayAPIAbsent => "GatewayAPIAbsent",
            Self::RouteNotAccepted => "RouteNotAccepted",
            Self::ConfigMissing => "ConfigMissing",
            Self::InvalidSpec => "InvalidSpec",
            Self::NotAllowed => "NotAllowed",
            Self::ApplyRejected => "ApplyRejected",
            Self::Contested => "Contested",
            Self::ApplyFailed => "ApplyFailed",
            Self::Terminating => "Terminating",
            Self::Migrating => "Migrating",
            Self::MigrationFailed => "MigrationFailed",
            Self::RolledBack => "RolledBack",
            Self::RevisionRequested => "RevisionRequested",
            Self::RevisionNotFound => "RevisionNotFound",
            Self::MigrationInTheWay => "MigrationInTheWay",
            Self::AsExpected => "AsExpected",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
