//! What users wish for: the fields of `spec`, their limits, and the rules that cross them.
//!
//! What Kubernetes has a name for bears that name here, with Kubernetes' own type.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::DeploymentStrategy;
use k8s_openapi::api::core::v1::{
    Affinity, Container, EnvFromSource, EnvVar, Lifecycle, LocalObjectReference, PodSecurityContext, Probe,
    ResourceRequirements, SecurityContext, Toleration, TopologySpreadConstraint, Volume, VolumeMount,
};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Verbatim;
use super::around::{Autoscaling, PodDisruptionBudget, Service};
use super::config::ConfigRollout;
use super::http::Http;
use super::rollout::{Migration, Rollback};

/// What is to run.
//
// Decoding is laxer than the schema: an object stored before the schema existed may lack anything,
// and must still be readable, or its old finalizer could never be removed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default, transform = spec_rules)]
pub struct ApplicationSpec {
    /// Container image to run, such as `nginx:1.29` or `ghcr.io/example/shop@sha256:…`.
    //
    // A reference has at most 255 characters of name, 128 of tag and 135 of digest (sha512).
    #[schemars(
        length(min = 1, max = 520),
        extend("x-kubernetes-validations" = [{
            "rule": "!self.matches('[[:space:]]')",
            "message": "must be an image reference without spaces, such as nginx:1.29"
        }])
    )]
    pub image: String,

    /// Number of pods to keep running; 0 stops the application without removing it.
    //
    // The bound is there for slips of the keyboard: a whole cluster is tested up to 150,000 pods.
    #[serde(default = "default_replicas")]
    #[schemars(range(min = 0, max = 10_000))]
    pub replicas: i32,

    /// TCP port on which the container listens. The Service offers the same port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,

    /// When the image is pulled: `Always`, `IfNotPresent` or `Never`. Kubernetes' default is `Always` for a tag `latest`.
    #[schemars(extend("enum" = ["Always", "IfNotPresent", "Never"]))]
    pub image_pull_policy: Option<String>,

    /// Secrets of this namespace with the credentials for the image's registry.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub image_pull_secrets: Option<Verbatim<Vec<LocalObjectReference>>>,

    /// Program to run in place of the image's own (its `ENTRYPOINT`).
    pub command: Option<Verbatim<Vec<String>>>,

    /// Arguments of the program, in place of the image's own (its `CMD`).
    pub args: Option<Verbatim<Vec<String>>>,

    /// Environment variables of the container.
    #[schemars(
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]),
        transform = env_rules
    )]
    pub env: Option<Verbatim<Vec<EnvVar>>>,

    /// `ConfigMaps` and Secrets of this namespace whose entries become environment variables.
    pub env_from: Option<Verbatim<Vec<EnvFromSource>>>,

    /// CPU and memory that the container asks for (`requests`) and may use at most (`limits`).
    #[schemars(transform = resource_rules)]
    pub resources: Option<Verbatim<ResourceRequirements>>,

    /// Restarts the container when it fails.
    #[schemars(transform = restarting_probe_rules)]
    pub liveness_probe: Option<Verbatim<Probe>>,

    /// Keeps the pod out of the Service while it fails.
    #[schemars(transform = probe_rules)]
    pub readiness_probe: Option<Verbatim<Probe>>,

    /// Holds back the other probes until it has succeeded once.
    #[schemars(transform = restarting_probe_rules)]
    pub startup_probe: Option<Verbatim<Probe>>,

    /// What is run after the container has started, and before it is stopped.
    pub lifecycle: Option<Verbatim<Lifecycle>>,

    /// Volumes of the pod. The operator has to allow their kinds: see its flag `--allow-volumes`.
    //
    // The bound keeps the rule that looks for each mount's volume within the API server's budget.
    #[schemars(
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"], "maxItems" = 64)
    )]
    pub volumes: Option<Verbatim<Vec<Volume>>>,

    /// Where the volumes are mounted in the container.
    #[schemars(
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["mountPath"], "maxItems" = 64)
    )]
    pub volume_mounts: Option<Verbatim<Vec<VolumeMount>>>,

    /// Containers that run before the application's, one after the other; with `restartPolicy: Always`, beside it.
    #[schemars(
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"], "maxItems" = 32)
    )]
    pub init_containers: Option<Verbatim<Vec<Container>>>,

    /// `ServiceAccount` that the pods act as. The operator has to allow it: see its flag `--allow-service-accounts`.
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: Option<String>,

    /// Whether the pods get a token of the API server; `false` by default. The operator has to allow it: see its flag
    /// `--allow-service-accounts`.
    pub automount_service_account_token: Option<bool>,

    /// Seconds between the request to stop and the kill; Kubernetes' default is 30.
    //
    // A week: a longer wait is a slip of the keyboard, which would keep a node from being drained.
    #[schemars(range(min = 0, max = 604_800))]
    pub termination_grace_period_seconds: Option<i64>,

    /// Labels that a node must have.
    pub node_selector: Option<Verbatim<BTreeMap<String, String>>>,

    /// Rules of which nodes the pods may stand on, and beside which other pods.
    pub affinity: Option<Verbatim<Affinity>>,

    /// Taints of nodes that the pods put up with.
    pub tolerations: Option<Verbatim<Vec<Toleration>>>,

    /// How the pods are spread over nodes and zones. A constraint without `labelSelector` counts the Application's pods.
    #[schemars(
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["topologyKey", "whenUnsatisfiable"])
    )]
    pub topology_spread_constraints: Option<Verbatim<Vec<TopologySpreadConstraint>>>,

    /// `PriorityClass` of the pods.
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,

    /// Further labels of the pods.
    #[schemars(extend("x-kubernetes-validations" = [{
        "rule": "!('app' in self) && !('label' in self)",
        "message": "the labels app and label are the operator's own: choose other names"
    }]))]
    pub pod_labels: Option<Verbatim<BTreeMap<String, String>>>,

    /// Annotations of the pods.
    pub pod_annotations: Option<Verbatim<BTreeMap<String, String>>>,

    /// Security settings of the pod; they go before those of `securityProfile`. What the Pod Security Standard `baseline`
    /// forbids, the operator has to allow: see its flag `--allow-privileged`.
    pub pod_security_context: Option<Verbatim<PodSecurityContext>>,

    /// Security settings of the container; they go before those of `securityProfile`. What the Pod Security Standard
    /// `baseline` forbids, the operator has to allow: see its flag `--allow-privileged`.
    pub security_context: Option<Verbatim<SecurityContext>>,

    /// How far the pods are secured where the spec says nothing else; `Auto` by default.
    pub security_profile: Option<SecurityProfile>,

    /// How old pods are replaced by new ones; Kubernetes' default is a `RollingUpdate`.
    #[schemars(transform = strategy_rules)]
    pub strategy: Option<Verbatim<DeploymentStrategy>>,

    /// Seconds for which a new pod has to be ready before it counts as available; 0 by default.
    #[schemars(range(min = 0, max = 86_400))]
    pub min_ready_seconds: Option<i32>,

    /// Seconds without progress after which a rollout counts as stalled; Kubernetes' default is 600.
    #[schemars(range(min = 1, max = 86_400))]
    pub progress_deadline_seconds: Option<i32>,

    /// Old `ReplicaSets` and revisions that are kept to go back to; 10 by default. Those that may be needed are kept anyway.
    #[schemars(range(min = 0, max = 100))]
    pub revision_history_limit: Option<i32>,

    /// Whether changes of the pods wait; scaling does not.
    pub paused: Option<bool>,

    /// What happens if new pods don't become available, and which revision runs in place of the spec's.
    pub rollback: Option<Rollback>,

    /// Programs that are run, one after the other, before pods of a new revision: each as a Job, once a revision, in what
    /// the application runs in. The old pods serve until all have succeeded, and stay if one fails.
    //
    // The bound keeps a slip from making a rollout endless; nobody has as many.
    #[schemars(
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"], "maxItems" = 16)
    )]
    pub migrations: Option<Vec<Migration>>,

    /// Replaces the pods when the configuration that they refer to changes; `{}` is enough.
    pub config_rollout: Option<ConfigRollout>,

    /// How the pods are offered; a Service of type `NodePort` for `port` by default.
    //
    // Boxed, as the parts that follow and as `Verbatim`: most Applications have none, and all are kept in memory.
    pub service: Option<Box<Service>>,

    /// Under which names and paths it is reached from outside.
    pub http: Option<Box<Http>>,

    /// Keeps enough pods while nodes are drained; `{}` lets one go at a time.
    pub pod_disruption_budget: Option<Box<PodDisruptionBudget>>,

    /// Lets `replicas` follow the load.
    pub autoscaling: Option<Box<Autoscaling>>,
}

/// How far pods are secured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SecurityProfile {
    /// As `Baseline`; as `Restricted` where the namespace enforces the Pod Security Standard `restricted`.
    #[default]
    Auto,
    /// What the Pod Security Standard `restricted` asks for, and so no root: the image has to name another user.
    Restricted,
    /// No privilege escalation, and the runtime's seccomp profile: what nearly every image can do with.
    Baseline,
    /// Nothing is set.
    None,
}

impl ApplicationSpec {
    /// Why this can't be run; `None` if it can. Only what was stored before the present schema is at fault.
    pub fn fault(&self) -> Option<String> {
        if self.image.is_empty() || self.image.contains(char::is_whitespace) {
            Some("spec.image must be an image reference without spaces, such as nginx:1.29".to_owned())
        } else if let Some(port) = self.port.filter(|port| !(1..=65535).contains(port)) {
            Some(format!("spec.port must be between 1 and 65535, not {port}"))
        } else if self.replicas < 0 {
            Some(format!("spec.replicas must be 0 or more, not {}", self.replicas))
        } else {
            None
        }
    }
}

/// One pod: what someone means who says nothing about number.
fn default_replicas() -> i32 {
    1
}

/// Adds a rule to a schema, and what is said where it does not hold.
pub(super) fn add_rule(schema: &mut Value, rule: &str, message: &str) {
    let rules = &mut schema["x-kubernetes-validations"];
    if !rules.is_array() {
        *rules = json!([]);
    }
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({"rule": rule, "message": message}));
    }
}

/// Applies `change` to a schema as JSON.
pub(super) fn change(schema: &mut Schema, change: impl FnOnce(&mut Value)) {
    let mut value = std::mem::take(schema).to_value();
    change(&mut value);
    *schema = Schema::try_from(value).unwrap_or_default();
}

fn spec_rules(schema: &mut Schema) {
    change(schema, |spec| {
        add_rule(
            spec,
            "!has(self.volumeMounts) || self.volumeMounts.all(mount, has(self.volumes) && \
             self.volumes.exists(volume, volume.name == mount.name))",
            "each of volumeMounts needs a volume of the same name in volumes",
        );
        add_rule(
            spec,
            "!has(self.service) || has(self.port) || has(self.service.ports)",
            "service needs something to offer: give port, or service.ports",
        );
        add_rule(
            spec,
            "!has(self.http) || (has(self.service) && has(self.service.ports) ? \
             self.service.ports.exists(port, port.protocol == 'TCP') : has(self.port))",
            "http needs a TCP port of a Service to lead to: give port, or one in service.ports",
        );
        add_rule(
            spec,
            "(has(self.minReadySeconds) ? self.minReadySeconds : 0) < \
             (has(self.progressDeadlineSeconds) ? self.progressDeadlineSeconds : 600)",
            "progressDeadlineSeconds (600 by default) must be greater than minReadySeconds, \
             or no rollout could end in time",
        );
    });
}

pub(super) fn env_rules(schema: &mut Schema) {
    change(schema, |env| {
        add_rule(
            &mut env["items"],
            "!has(self.valueFrom) || !has(self.value) || self.value == ''",
            "give either value or valueFrom, not both",
        );
    });
}

/// The three resources are named, since servers before 1.34 reckon that a quantity may have 3 MB: a rule for all that there
/// may be, or for those of init containers as well, would be beyond what they let a definition cost.
fn resource_rules(schema: &mut Schema) {
    let amount = |place: &str| format!("(type({place}) == string ? quantity({place}) : quantity('0').add({place}))");
    let (request, limit) = (amount("self.requests[name]"), amount("self.limits[name]"));
    change(schema, |resources| {
        add_rule(
            resources,
            &format!(
                "!has(self.requests) || !has(self.limits) || ['cpu', 'memory', 'ephemeral-storage'].all(name, \
                 !(name in self.requests) || !(name in self.limits) || !{request}.isGreaterThan({limit}))"
            ),
            "requests of cpu, memory and ephemeral-storage must not be greater than their limits",
        );
    });
}

fn probe_rules(schema: &mut Schema) {
    change(schema, |probe| {
        add_rule(
            probe,
            "[has(self.exec), has(self.httpGet), has(self.tcpSocket), has(self.grpc)].filter(given, given).size() == 1",
            "a probe needs exactly one of exec, httpGet, tcpSocket and grpc",
        );
        for (field, least) in
            [("timeoutSeconds", 1), ("periodSeconds", 1), ("failureThreshold", 1), ("successThreshold", 1)]
        {
            probe["properties"][field]["minimum"] = json!(least);
        }
        probe["properties"]["initialDelaySeconds"]["minimum"] = json!(0);
    });
}

fn restarting_probe_rules(schema: &mut Schema) {
    probe_rules(schema);
    change(schema, |probe| {
        add_rule(
            probe,
            "!has(self.successThreshold) || self.successThreshold == 1",
            "successThreshold must be 1 for all but readinessProbe: leave it out",
        );
    });
}

fn strategy_rules(schema: &mut Schema) {
    change(schema, |strategy| {
        strategy["properties"]["type"]["enum"] = json!(["Recreate", "RollingUpdate"]);
        add_rule(
            strategy,
            "!has(self.rollingUpdate) || !has(self.type) || self.type != 'Recreate'",
            "rollingUpdate is of no use with type Recreate: leave one of them out",
        );
    });
}
