//! A seed in; whole specs out: some that are written down, and mixtures of their fields.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::mutation::small;

/// Specs that are written down.
pub(crate) const KNOWN: usize = 8;

/// A spec that has nearly every field.
pub(crate) fn whole() -> Value {
    let application: Value = serde_saphyr::from_str(include_str!("../golden/whole.yaml")).expect("YAML");
    let mut spec = application["spec"].clone();
    // It names the Application.
    spec["affinity"] = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}]}]}}});
    spec
}

/// `number` whole specs, of which the first are those that are written down.
pub(crate) fn specs(number: usize, rng: &mut Rng) -> Vec<Value> {
    let known = known();
    // Each field with all values that it has anywhere.
    let mut fields: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (field, value) in known.iter().filter_map(Value::as_object).flatten() {
        fields.entry(field.clone()).or_default().push(value.clone());
    }
    let mixed = std::iter::repeat_with(|| {
        let mut spec = small();
        for (field, values) in &fields {
            if rng.u8(..4) == 0 {
                spec[field] = values[rng.usize(..values.len())].clone();
            }
        }
        completed(spec)
    });
    known.clone().into_iter().chain(mixed).take(number).collect()
}

/// The spec with what the rules of the definition ask for beside some of its fields.
fn completed(mut spec: Value) -> Value {
    if spec.get("volumeMounts").is_some() || spec.get("initContainers").is_some() {
        spec["volumes"] = whole()["volumes"].clone();
    }
    // A migration would have to be played.
    spec.as_object_mut().expect("a spec").remove("migrations");
    spec
}

fn known() -> [Value; KNOWN] {
    let with = |fields: Value| {
        let mut spec = small();
        for (field, value) in fields.as_object().expect("fields") {
            spec[field] = value.clone();
        }
        spec.as_object_mut().expect("a spec").retain(|_, value| !value.is_null());
        spec
    };
    [
        small(),
        whole(),
        with(json!({"port": null})),
        with(json!({"port": 9090, "image": "nginx:1.30", "strategy": {"type": "Recreate"}, "replicas": 0,
            "service": {"type": "ClusterIP"}, "securityProfile": "None", "minReadySeconds": 3})),
        with(json!({"port": null, "service": {"ports": [{"name": "dns", "port": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 5353}],
            "sessionAffinity": "ClientIP"}, "podDisruptionBudget": {"maxUnavailable": 2}})),
        with(json!({"env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s",
            "key": "k", "optional": true}}}], "resources": {"requests": {"cpu": "100m"}},
            "securityContext": {"runAsUser": 7, "capabilities": {"drop": ["CHOWN"]}},
            "autoscaling": {"maxReplicas": 5}, "http": {"hosts": ["a.example.com"]}, "podLabels": {"a": "b"}})),
        with(json!({"livenessProbe": {"exec": {"command": ["true"]}}, "readinessProbe": {"grpc": {"port": 80}},
            "initContainers": [{"name": "other", "image": "busybox:1", "args": ["a"]}], "command": ["sh"],
            "volumes": [{"name": "data", "emptyDir": {"medium": "Memory"}}, {"name": "tmp", "emptyDir": {}}],
            "volumeMounts": [{"name": "data", "mountPath": "/tmp", "readOnly": true}],
            "strategy": {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 0}}})),
        with(json!({"nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}], "paused": true,
            "terminationGracePeriodSeconds": 0, "podAnnotations": {"a": ""}, "args": [""], "automountServiceAccountToken": true,
            "podSecurityContext": {"runAsNonRoot": true, "sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]},
            "service": {"type": "LoadBalancer", "annotations": {"a": "b"}, "loadBalancerSourceRanges": ["10.0.0.0/8"]}})),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_specs_and_another_makes_others() {
        let specs = |seed| specs(20, &mut Rng::with_seed(seed));
        assert_eq!(specs(1), specs(1));
        assert_ne!(specs(1)[KNOWN..], specs(2)[KNOWN..]);
        assert_eq!(specs(1)[..KNOWN], known());
    }
}
