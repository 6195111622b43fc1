//! What stands around the pods: how they are offered, kept and scaled. Fields, limits and rules, as in `spec`.

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscalerBehavior, MetricSpec};
use k8s_openapi::api::core::v1::{ServicePort, SessionAffinityConfig};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::json;

use super::Verbatim;
use super::spec::{add_rule, change};

/// How the pods are offered.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default, transform = service_rules)]
pub struct Service {
    /// Who reaches it: `ClusterIP` the cluster alone, `NodePort` also who reaches a node, `LoadBalancer` also who reaches the
    /// cloud's balancer; `NodePort` by default.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["ClusterIP", "NodePort", "LoadBalancer"]))]
    pub kind: Option<String>,

    /// What it offers, in place of `spec.port` under the name `http`.
    #[schemars(
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["port", "protocol"], "maxItems" = 64),
        transform = port_rules
    )]
    pub ports: Option<Verbatim<Vec<ServicePort>>>,

    /// Annotations of the Service, as clouds' load balancers are told by.
    pub annotations: Option<Verbatim<BTreeMap<String, String>>>,

    /// Whether connections of one client go to one pod: `ClientIP`, or `None`, Kubernetes' default.
    #[schemars(extend("enum" = ["ClientIP", "None"]))]
    pub session_affinity: Option<String>,

    /// How long a client stays with a pod.
    pub session_affinity_config: Option<Verbatim<SessionAffinityConfig>>,

    /// Whether connections from outside go to any pod (`Cluster`), or only to those on the node that they come to (`Local`,
    /// the default), which keeps the client's address.
    #[schemars(extend("enum" = ["Cluster", "Local"]))]
    pub external_traffic_policy: Option<String>,

    /// The same for connections from within; `Cluster` is Kubernetes' default.
    #[schemars(extend("enum" = ["Cluster", "Local"]))]
    pub internal_traffic_policy: Option<String>,

    /// Kind of load balancer, where the cluster has several.
    #[schemars(length(min = 1, max = 253))]
    pub load_balancer_class: Option<String>,

    /// Networks that the load balancer lets in, such as `10.0.0.0/8`; all by default.
    pub load_balancer_source_ranges: Option<Verbatim<Vec<String>>>,
}

/// How many pods are to be left while nodes are drained.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default, transform = budget_rules)]
pub struct PodDisruptionBudget {
    /// Pods that have to stay, as a number or a percentage. At the number of pods or above, no node can be drained.
    pub min_available: Option<Verbatim<IntOrString>>,

    /// Pods that may be missing, as a number or a percentage; 1 by default.
    pub max_unavailable: Option<Verbatim<IntOrString>>,

    /// Whether pods that are not ready may be evicted: `AlwaysAllow`, the default, or `IfHealthyBudget`.
    #[schemars(extend("enum" = ["AlwaysAllow", "IfHealthyBudget"]))]
    pub unhealthy_pod_eviction_policy: Option<String>,
}

/// How `replicas` follows the load.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default, transform = autoscaling_rules)]
pub struct Autoscaling {
    /// Fewest pods; 1 by default.
    #[schemars(range(min = 1, max = 10_000))]
    pub min_replicas: Option<i32>,

    /// Most pods.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_replicas: i32,

    /// CPU that the pods are to use on average, in percent of what they ask for in `resources.requests.cpu`; 80 by default
    /// where `metrics` are left out.
    #[schemars(rename = "targetCPUUtilizationPercentage", range(min = 1, max = 1_000))]
    #[serde(rename = "targetCPUUtilizationPercentage")]
    pub target_cpu_utilization_percentage: Option<i32>,

    /// What the load is measured by, beside the CPU or in place of it.
    #[schemars(extend("maxItems" = 32))]
    pub metrics: Option<Verbatim<Vec<MetricSpec>>>,

    /// How fast pods are added and removed.
    pub behavior: Option<Verbatim<HorizontalPodAutoscalerBehavior>>,
}

fn service_rules(schema: &mut Schema) {
    change(schema, |service| {
        add_rule(
            service,
            "!has(self.externalTrafficPolicy) || !has(self.type) || self.type != 'ClusterIP'",
            "externalTrafficPolicy is of no use with type ClusterIP: leave one of them out",
        );
        add_rule(
            service,
            "(!has(self.loadBalancerClass) && !has(self.loadBalancerSourceRanges)) || \
             (has(self.type) && self.type == 'LoadBalancer')",
            "loadBalancerClass and loadBalancerSourceRanges need type: LoadBalancer",
        );
        add_rule(
            service,
            "!has(self.sessionAffinityConfig) || (has(self.sessionAffinity) && self.sessionAffinity == 'ClientIP')",
            "sessionAffinityConfig needs sessionAffinity: ClientIP",
        );
    });
}

fn port_rules(schema: &mut Schema) {
    change(schema, |ports| {
        ports["minItems"] = json!(1);
        let fields = &mut ports["items"]["properties"];
        fields["protocol"]["default"] = json!("TCP");
        fields["protocol"]["enum"] = json!(["SCTP", "TCP", "UDP"]);
        for (field, least) in [("port", 1), ("nodePort", 0)] {
            fields[field]["minimum"] = json!(least);
            fields[field]["maximum"] = json!(65535);
        }
        add_rule(
            ports,
            "self.size() < 2 || self.all(port, has(port.name) && port.name != '')",
            "each of several ports needs a name",
        );
    });
}

fn budget_rules(schema: &mut Schema) {
    change(schema, |budget| {
        add_rule(
            budget,
            "!has(self.minAvailable) || !has(self.maxUnavailable)",
            "give either minAvailable or maxUnavailable, not both",
        );
    });
}

fn autoscaling_rules(schema: &mut Schema) {
    change(schema, |autoscaling| {
        add_rule(
            autoscaling,
            "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
            "minReplicas must not be greater than maxReplicas",
        );
    });
}
