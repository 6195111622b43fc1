//! Where objects are, and what an answer of HTTP/1.0 says.

use serde_json::Value;

/// The path of the objects of a kind in a namespace; in all of them, if its name is empty.
pub(crate) fn path(resource: &str, namespace: &str) -> String {
    let version = match resource {
        "applications" => "apis/minetto.dev/v1alpha1",
        "controllerrevisions" | "deployments" | "replicasets" => "apis/apps/v1",
        "jobs" => "apis/batch/v1",
        "endpointslices" => "apis/discovery.k8s.io/v1",
        "poddisruptionbudgets" => "apis/policy/v1",
        "horizontalpodautoscalers" => "apis/autoscaling/v2",
        "ingresses" => "apis/networking.k8s.io/v1",
        "httproutes" => "apis/gateway.networking.k8s.io/v1",
        "events" => "apis/events.k8s.io/v1",
        "leases" => "apis/coordination.k8s.io/v1",
        _ => "api/v1",
    };
    if namespace.is_empty() {
        format!("/{version}/{resource}")
    } else {
        format!("/{version}/namespaces/{namespace}/{resource}")
    }
}

/// The code and the body of an answer; a body that is no JSON as a string.
pub(super) fn parse(answer: &[u8]) -> Option<(u16, Value)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    let body = &answer[end + 4..];
    let text = || Value::String(String::from_utf8_lossy(body).into_owned());
    Some((code, serde_json::from_slice(body).unwrap_or_else(|_| text())))
}
