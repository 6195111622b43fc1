//! Settings of the leader election, with the names of Kubernetes' own components.

use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Parser};
use engine::lease::{self, Timing};

use super::value;

/// Which replica acts.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
pub struct Election {
    /// Act only as the elected one of several replicas; where absent, in a cluster yes, and with a kubeconfig no
    #[arg(
        long,
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        env = "APPLICATION_OPERATOR_LEADER_ELECT"
    )]
    pub leader_elect: Option<bool>,

    /// How long after its last sign of life a leader is replaced, in whole seconds
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "15s",
        value_parser = value::duration,
        env = "APPLICATION_OPERATOR_LEADER_ELECT_LEASE_DURATION"
    )]
    pub leader_elect_lease_duration: Duration,

    /// How long a leader acts on without a renewal; shorter than the lease duration
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        value_parser = value::duration,
        env = "APPLICATION_OPERATOR_LEADER_ELECT_RENEW_DEADLINE"
    )]
    pub leader_elect_renew_deadline: Duration,

    /// Time between two renewals, and between two tries; 1.2 times it is shorter than the renew deadline
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "2s",
        value_parser = value::duration,
        env = "APPLICATION_OPERATOR_LEADER_ELECT_RETRY_PERIOD"
    )]
    pub leader_elect_retry_period: Duration,

    /// Name of the Lease
    #[arg(
        long,
        alias = "leader-election-id",
        value_name = "NAME",
        default_value = "application-operator",
        value_parser = value::object_name,
        env = "APPLICATION_OPERATOR_LEADER_ELECT_RESOURCE_NAME"
    )]
    pub leader_elect_resource_name: String,

    /// Namespace of the Lease; where absent, the pod's own in a cluster, and application-operator-system else
    #[arg(
        long,
        alias = "leader-election-namespace",
        value_name = "NAME",
        value_parser = value::namespace,
        env = "APPLICATION_OPERATOR_LEADER_ELECT_RESOURCE_NAMESPACE"
    )]
    pub leader_elect_resource_namespace: Option<String>,
}

impl Election {
    /// The periods.
    ///
    /// # Errors
    ///
    /// If they do not fit together.
    pub fn timing(&self) -> Result<Timing, lease::Error> {
        let Self { leader_elect_lease_duration: lease, leader_elect_renew_deadline: renew, .. } = self;
        Timing::new(*lease, *renew, self.leader_elect_retry_period)
    }
}
