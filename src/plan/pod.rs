//! The pod template of an Application. Pure.
//!
//! A change of what this renders for a given Application restarts its pods: tests/golden.rs holds it still.

use serde_json::{Value, json};

use super::rollout::Runs;
use super::security::Security;
use super::{object, put, set};
use crate::application::{Application, ApplicationSpec, Verbatim};
use crate::observe::Live;

/// The label that the Deployment selects its pods by. The Go operator's name for it: a selector can't be changed later.
pub(super) const DEPLOYMENT_LABEL: &str = "label";

/// The label that the Service selects pods by.
pub(super) const SERVICE_LABEL: &str = "app";

/// Both labels, with the Application's name as their value.
pub(super) fn labels(name: &str) -> Value {
    json!({(DEPLOYMENT_LABEL): name, (SERVICE_LABEL): name})
}

pub(super) fn template(application: &Application, enforces_restricted: bool) -> Value {
    let (name, spec) = (&*application.metadata.name, &application.spec);
    let mut labels = spec.pod_labels.as_ref().map_or_else(|| json!({}), |labels| labels.value().clone());
    for label in [DEPLOYMENT_LABEL, SERVICE_LABEL] {
        labels[label] = name.into();
    }
    let mut metadata = object([("labels", labels)]);
    set(&mut metadata, "annotations", spec.pod_annotations.as_ref());
    object([("metadata", metadata), ("spec", pod(name, spec, enforces_restricted))])
}

/// The port that the pods listen on which run: a Service that went ahead of them would lead nowhere. Where none may be made yet,
/// those of the `live` Deployment do.
pub(super) fn port(application: &Application, runs: &Runs, live: Option<&Live>) -> Option<i32> {
    match (runs, live) {
        (Runs::Former(template), _) => port_of(application, template),
        (Runs::Nothing, Some(live)) => {
            let spec: Value = serde_json::from_str(live.spec.get()).ok()?;
            port_of(application, &spec["template"])
        }
        (Runs::Nothing, None) | (Runs::Wished(_), _) => application.spec.port,
    }
}

fn port_of(application: &Application, template: &Value) -> Option<i32> {
    let own = container_name(&application.metadata.name);
    let container = template["spec"]["containers"].as_array()?.iter().find(|container| container["name"] == *own)?;
    container["ports"][0]["containerPort"].as_i64().and_then(|port| i32::try_from(port).ok())
}

fn container_name(application: &str) -> String {
    format!("{application}-container")
}

fn pod(name: &str, spec: &ApplicationSpec, enforces_restricted: bool) -> Value {
    let security = Security::of(spec.security_profile, enforces_restricted);
    let mut pod = object([
        ("containers", vec![container(name, spec, &security)].into()),
        // An application that talks to no API server needs no token for one.
        ("automountServiceAccountToken", spec.automount_service_account_token.unwrap_or(false).into()),
    ]);
    let user = spec.pod_security_context.as_ref().map(Verbatim::value);
    put(&mut pod, "securityContext", security.pod(user));
    let init_containers = spec.init_containers.as_ref().map(|containers| {
        containers.entries().iter().map(|container| secured(container, &security)).collect::<Vec<_>>()
    });
    set(&mut pod, "initContainers", init_containers);
    set(&mut pod, "imagePullSecrets", spec.image_pull_secrets.as_ref());
    set(&mut pod, "volumes", spec.volumes.as_ref());
    // Seen on 1.37: the server copies the name to its former field, and back from there once the name is removed. Who
    // owns both can remove both.
    for field in ["serviceAccountName", "serviceAccount"] {
        set(&mut pod, field, spec.service_account_name.as_ref());
    }
    set(&mut pod, "terminationGracePeriodSeconds", spec.termination_grace_period_seconds);
    set(&mut pod, "nodeSelector", spec.node_selector.as_ref());
    set(&mut pod, "affinity", spec.affinity.as_ref());
    set(&mut pod, "tolerations", spec.tolerations.as_ref());
    set(&mut pod, "topologySpreadConstraints", spread(name, spec));
    set(&mut pod, "priorityClassName", spec.priority_class_name.as_ref());
    pod
}

fn container(name: &str, spec: &ApplicationSpec, security: &Security) -> Value {
    let mut container = json!({"name": container_name(name), "image": spec.image});
    let ports = spec.port.map(|port| json!([{"containerPort": port, "protocol": "TCP"}]));
    put(&mut container, "ports", ports);
    set(&mut container, "imagePullPolicy", spec.image_pull_policy.as_ref());
    set(&mut container, "command", spec.command.as_ref());
    set(&mut container, "args", spec.args.as_ref());
    set(&mut container, "env", spec.env.as_ref());
    set(&mut container, "envFrom", spec.env_from.as_ref());
    set(&mut container, "resources", spec.resources.as_ref());
    set(&mut container, "livenessProbe", spec.liveness_probe.as_ref());
    set(&mut container, "readinessProbe", spec.readiness_probe.as_ref());
    set(&mut container, "startupProbe", spec.startup_probe.as_ref());
    set(&mut container, "lifecycle", spec.lifecycle.as_ref());
    set(&mut container, "volumeMounts", spec.volume_mounts.as_ref());
    put(&mut container, "securityContext", security.container(spec.security_context.as_ref().map(Verbatim::value)));
    container
}

/// An init container with the security settings that it leaves out.
fn secured(container: &Value, security: &Security) -> Value {
    let mut container = container.clone();
    let settings = security.container(container.get("securityContext"));
    put(&mut container, "securityContext", settings);
    container
}

/// The constraints, each of which counts the Application's own pods where it says nothing of which: without a selector,
/// Kubernetes counts none.
fn spread(name: &str, spec: &ApplicationSpec) -> Option<Value> {
    let constraints = spec.topology_spread_constraints.as_ref()?.entries().iter().cloned();
    let selected = constraints.map(|mut constraint| {
        if constraint.get("labelSelector").is_none() {
            constraint["labelSelector"] = json!({"matchLabels": {(DEPLOYMENT_LABEL): name}});
        }
        constraint
    });
    Some(selected.collect())
}
