//! A stored spec, its children and what the status says in; what is neither done nor said out. Written from the user's side: it
//! shares no code with the operator.

use serde_json::Value;

use crate::state::Objects;

/// Fields of a spec by where they stand in a child: the resource, and the path in it.
const PLACES: [(&str, &str, &str); 38] = [
    ("image", "deployments", "/spec/template/spec/containers/0/image"),
    ("imagePullPolicy", "deployments", "/spec/template/spec/containers/0/imagePullPolicy"),
    ("command", "deployments", "/spec/template/spec/containers/0/command"),
    ("args", "deployments", "/spec/template/spec/containers/0/args"),
    ("env", "deployments", "/spec/template/spec/containers/0/env"),
    ("envFrom", "deployments", "/spec/template/spec/containers/0/envFrom"),
    ("resources", "deployments", "/spec/template/spec/containers/0/resources"),
    ("livenessProbe", "deployments", "/spec/template/spec/containers/0/livenessProbe"),
    ("readinessProbe", "deployments", "/spec/template/spec/containers/0/readinessProbe"),
    ("startupProbe", "deployments", "/spec/template/spec/containers/0/startupProbe"),
    ("lifecycle", "deployments", "/spec/template/spec/containers/0/lifecycle"),
    ("volumeMounts", "deployments", "/spec/template/spec/containers/0/volumeMounts"),
    ("securityContext", "deployments", "/spec/template/spec/containers/0/securityContext"),
    ("port", "deployments", "/spec/template/spec/containers/0/ports/0/containerPort"),
    ("imagePullSecrets", "deployments", "/spec/template/spec/imagePullSecrets"),
    ("volumes", "deployments", "/spec/template/spec/volumes"),
    ("initContainers", "deployments", "/spec/template/spec/initContainers"),
    ("serviceAccountName", "deployments", "/spec/template/spec/serviceAccountName"),
    ("automountServiceAccountToken", "deployments", "/spec/template/spec/automountServiceAccountToken"),
    ("terminationGracePeriodSeconds", "deployments", "/spec/template/spec/terminationGracePeriodSeconds"),
    ("nodeSelector", "deployments", "/spec/template/spec/nodeSelector"),
    ("affinity", "deployments", "/spec/template/spec/affinity"),
    ("tolerations", "deployments", "/spec/template/spec/tolerations"),
    ("topologySpreadConstraints", "deployments", "/spec/template/spec/topologySpreadConstraints"),
    ("priorityClassName", "deployments", "/spec/template/spec/priorityClassName"),
    ("podSecurityContext", "deployments", "/spec/template/spec/securityContext"),
    ("podLabels", "deployments", "/spec/template/metadata/labels"),
    ("podAnnotations", "deployments", "/spec/template/metadata/annotations"),
    ("replicas", "deployments", "/spec/replicas"),
    ("strategy", "deployments", "/spec/strategy"),
    ("minReadySeconds", "deployments", "/spec/minReadySeconds"),
    ("progressDeadlineSeconds", "deployments", "/spec/progressDeadlineSeconds"),
    ("revisionHistoryLimit", "deployments", "/spec/revisionHistoryLimit"),
    ("paused", "deployments", "/spec/paused"),
    ("service", "services", "/spec"),
    ("podDisruptionBudget", "poddisruptionbudgets", "/spec"),
    ("autoscaling", "horizontalpodautoscalers", "/spec"),
    ("http", "ingresses", "/spec"),
];

/// Fields of these that go elsewhere, in another form: annotations, rules of an `Ingress`, a metric of an autoscaler.
const ELSEWHERE: [&str; 7] = [
    "service.annotations",
    "http.annotations",
    "http.hosts",
    "http.paths",
    "http.tls",
    "http.parentRefs",
    "autoscaling.targetCPUUtilizationPercentage",
];

/// What an Application is told to be.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// Of the condition `Ready`.
    pub(crate) ready: bool,
    pub(crate) degraded: bool,
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Told {
    /// Returns true if the message names one of these fields, by the word for it that children have.
    pub(crate) fn names(&self, fields: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        let word = |field: &&str| field.trim_start_matches("pod").trim_end_matches('s').to_lowercase();
        fields.iter().any(|field| message.contains(&word(field)))
    }
}

/// What of a stored spec is in no child.
pub(crate) fn dropped(spec: &Value, objects: &Objects, application: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (field, resource, pointer) in PLACES {
        let Some(wish) = spec.get(field) else { continue };
        let suffix =
            crate::state::CHILDREN.iter().find(|(other, _)| *other == resource).map_or("", |(_, suffix)| *suffix);
        let child = objects.get(resource, &format!("{application}-{suffix}"));
        // Without a port there is no Ingress, and of an HTTPRoute the cluster knows nothing.
        if resource == "ingresses" && child.is_none() {
            continue;
        }
        let live = child.and_then(|child| child.pointer(pointer)).unwrap_or(&Value::Null);
        missing(wish, live, field, &mut found);
    }
    found
}

/// What of `wish` is not in `live`, beside which there may be anything.
fn missing(wish: &Value, live: &Value, path: &str, found: &mut Vec<String>) {
    if ELSEWHERE.contains(&path) || says_nothing(wish) && (live.is_null() || is_filled_in(path)) {
        return;
    }
    match (wish, live) {
        (Value::Object(wish), Value::Object(live)) => {
            for (field, wish) in wish {
                missing(wish, live.get(field).unwrap_or(&Value::Null), &format!("{path}.{field}"), found);
            }
        }
        (Value::Array(wish), Value::Array(live)) if wish.len() <= live.len() => {
            for (index, wish) in wish.iter().enumerate() {
                let live = live.iter().find(|live| is_called_alike(wish, live)).unwrap_or(&live[index]);
                missing(wish, live, &format!("{path}[{index}]"), found);
            }
        }
        _ if wish == live || number(wish).is_some_and(|wish| number(live) == Some(wish)) => {}
        _ => found.push(format!("{path}: {wish} is {live} in the child")),
    }
}

/// Whether two entries of a list that others may add to are the same one.
fn is_called_alike(one: &Value, other: &Value) -> bool {
    ["mountPath", "name"].iter().any(|key| !one[*key].is_null() && one[*key] == other[*key])
}

/// Returns true for what Kubernetes stores as if it were absent.
fn says_nothing(wish: &Value) -> bool {
    match wish {
        Value::Null => true,
        Value::Bool(holds) => !holds,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(entries) => entries.is_empty(),
        Value::Object(fields) => fields.values().all(says_nothing),
    }
}

/// Returns true where Kubernetes fills in a value of its own for one that says nothing.
fn is_filled_in(path: &str) -> bool {
    !path.contains("Account") && path != "replicas" && path.rsplit('.').next() != Some("value")
}

/// A quantity as a number, as far as it matters here: in units of 10⁻⁹, or a text that is none.
fn number(value: &Value) -> Option<i128> {
    const UNITS: [(&str, i128, u32); 16] = [
        ("Ki", 1_024, 1),
        ("Mi", 1_024, 2),
        ("Gi", 1_024, 3),
        ("Ti", 1_024, 4),
        ("Pi", 1_024, 5),
        ("Ei", 1_024, 6),
        ("n", 1, 0),
        ("u", 1_000, 1),
        ("m", 1_000, 2),
        ("k", 1_000, 4),
        ("M", 1_000, 5),
        ("G", 1_000, 6),
        ("T", 1_000, 7),
        ("P", 1_000, 8),
        ("E", 1_000, 9),
        ("", 1_000, 3),
    ];
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (digits, base, exponent) =
        UNITS.iter().find_map(|(suffix, base, exponent)| Some((text.strip_suffix(suffix)?, *base, *exponent)))?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = 10_i128.checked_pow(u32::try_from(part.len()).ok()?)?;
    let number: i128 = format!("{whole}{part}").parse().ok()?;
    let unit = if base == 1_024 { base.pow(exponent) * 1_000_000_000 } else { base.pow(exponent) };
    number.checked_mul(unit)?.checked_div(scale)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::schema::of_spec;

    /// Fields that no child has: what they ask for is how and when the others become true.
    const NOWHERE: [&str; 4] = ["configRollout", "migrations", "rollback", "securityProfile"];

    #[test]
    fn each_field_of_a_spec_has_its_place_in_a_child_or_is_known_to_have_none() {
        let schema = of_spec();
        let fields: BTreeSet<&str> =
            schema["properties"].as_object().expect("fields").keys().map(String::as_str).collect();
        let known = PLACES.iter().map(|(field, _, _)| *field).chain(NOWHERE);
        assert_eq!(known.collect::<BTreeSet<_>>(), fields);
    }
}
