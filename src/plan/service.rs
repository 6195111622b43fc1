//! The Service of an Application. Pure.

use serde_json::{Value, json};

use super::{object, pod, set};
use crate::application::Application;

/// The Service, in front of pods that listen on `port`; `None` for an Application that offers nothing.
pub(super) fn render(application: &Application, port: Option<i32>) -> Option<Value> {
    let (name, spec) = (&*application.metadata.name, application.spec.service.clone().unwrap_or_default());
    let kind = spec.kind.as_deref().unwrap_or("NodePort");
    let mut service = object([
        ("type", kind.into()),
        ("selector", json!({(pod::SERVICE_LABEL): name})),
        ("ports", ports(application, port)?.into()),
    ]);
    // Local keeps the client's address, as the Go operator's did.
    let policy = spec.external_traffic_policy.as_deref().unwrap_or("Local");
    set(&mut service, "externalTrafficPolicy", (kind != "ClusterIP").then_some(policy));
    set(&mut service, "internalTrafficPolicy", spec.internal_traffic_policy);
    set(&mut service, "sessionAffinity", spec.session_affinity);
    set(&mut service, "sessionAffinityConfig", spec.session_affinity_config);
    set(&mut service, "loadBalancerClass", spec.load_balancer_class);
    set(&mut service, "loadBalancerSourceRanges", spec.load_balancer_source_ranges);
    let mut metadata = json!({"labels": {(pod::SERVICE_LABEL): name}});
    set(&mut metadata, "annotations", spec.annotations);
    Some(object([("metadata", metadata), ("spec", service)]))
}

/// The port that HTTP requests are led to: of several the one called `http`, else the first; `None` if there is none.
pub(super) fn http_port(application: &Application, port: Option<i32>) -> Option<i64> {
    let ports = ports(application, port)?;
    let mut tcp = ports.iter().filter(|port| port["protocol"] == "TCP");
    let port = tcp.clone().find(|port| port["name"] == "http").or_else(|| tcp.next())?;
    port["port"].as_i64()
}

fn ports(application: &Application, port: Option<i32>) -> Option<Vec<Value>> {
    let spec = &application.spec;
    let Some(ports) = spec.service.as_ref().and_then(|service| service.ports.as_ref()) else {
        let port = port?;
        return Some(vec![json!({"name": "http", "port": port, "targetPort": port, "protocol": "TCP"})]);
    };
    // Written out, since ports are told apart by it.
    let with_protocol = |port: &Value| {
        let mut port = port.clone();
        if port["protocol"].is_null() {
            port["protocol"] = json!("TCP");
        }
        port
    };
    Some(ports.entries().iter().map(with_protocol).collect())
}
