//! Bad input in the fields of an Application: the API server refuses it, with a sentence that says what is wrong.
//!
//! There is no operator, and nothing but the definition in `crds/` that could refuse.

mod support;

use std::fs;

use serde_json::{Value, json};
use testbed::Options;

use crate::support::{World, path};

/// What is wrong with a field, and what the API server says to it.
fn bad_input() -> Vec<(Value, &'static str)> {
    let probe = |probe: Value| json!({"livenessProbe": probe});
    vec![
        (json!({"imagePullPolicy": "Sometimes"}), "spec.imagePullPolicy: Unsupported value"),
        (json!({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}), "spec.imagePullSecrets[1]: Duplicate value"),
        (
            json!({"imagePullSecrets": [{"name": ""}]}),
            "imagePullSecrets[0].name in body should be at least 1 chars long",
        ),
        (json!({"command": "sh"}), "spec.command in body must be of type array"),
        (json!({"args": vec!["a"; 257]}), "spec.args: Too many: 257: must have at most 256 items"),
        (json!({"env": [{"value": "a"}]}), "spec.env[0].name: Required value"),
        (json!({"env": [{"name": "A"}, {"name": "A"}]}), "spec.env[1]: Duplicate value"),
        (
            json!({"env": [{"name": "A", "value": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}),
            "give either value or valueFrom, not both",
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"apiVersion": "", "fieldPath": "metadata.name"}}}]}),
            "fieldRef.apiVersion in body should be at least 1 chars long",
        ),
        (json!({"envFrom": {}}), "spec.envFrom in body must be of type array"),
        (json!({"resources": {"limits": {"cpu": true}}}), "spec.resources.limits.cpu"),
        (probe(json!({})), "a probe needs exactly one of exec, httpGet, tcpSocket and grpc"),
        (
            probe(json!({"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}})),
            "a probe needs exactly one of exec, httpGet, tcpSocket and grpc",
        ),
        (
            probe(json!({"tcpSocket": {"port": 1}, "successThreshold": 2})),
            "successThreshold must be 1 for all but readinessProbe",
        ),
        (
            json!({"readinessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 0}}),
            "spec.readinessProbe.periodSeconds in body should be greater than or equal to 1",
        ),
        (json!({"startupProbe": {"httpGet": {}}}), "spec.startupProbe.httpGet.port: Required value"),
        (json!({"lifecycle": {"preStop": {"sleep": {}}}}), "spec.lifecycle.preStop.sleep.seconds: Required value"),
        (json!({"volumes": [{"emptyDir": {}}]}), "spec.volumes[0].name: Required value"),
        (
            json!({"volumeMounts": [{"name": "a", "mountPath": "/a"}]}),
            "each of volumeMounts needs a volume of the same name in volumes",
        ),
        (json!({"initContainers": [{"image": "a"}]}), "spec.initContainers[0].name: Required value"),
        (json!({"serviceAccountName": ""}), "spec.serviceAccountName in body should be at least 1 chars long"),
        (json!({"automountServiceAccountToken": "yes"}), "must be of type boolean"),
        (json!({"terminationGracePeriodSeconds": -1}), "should be greater than or equal to 0"),
        (json!({"nodeSelector": {"a": 1}}), "spec.nodeSelector.a in body must be of type string"),
        (json!({"affinity": []}), "spec.affinity in body must be of type object"),
        (json!({"tolerations": {}}), "spec.tolerations in body must be of type array"),
        (json!({"topologySpreadConstraints": [{"maxSkew": 1}]}), "topologyKey: Required value"),
        (json!({"priorityClassName": "a".repeat(254)}), "spec.priorityClassName: Too long"),
        (json!({"podLabels": {"app": "mine"}}), "the labels app and label are the operator's own"),
        (json!({"podAnnotations": {"a": true}}), "spec.podAnnotations.a in body must be of type string"),
        (json!({"podSecurityContext": {"fsGroup": "a"}}), "spec.podSecurityContext.fsGroup in body must be of type"),
        (json!({"securityContext": {"privileged": "no"}}), "spec.securityContext.privileged in body must be of type"),
        (json!({"securityProfile": "Tight"}), "spec.securityProfile: Unsupported value"),
        (json!({"strategy": {"type": "Canary"}}), "spec.strategy.type: Unsupported value"),
        (
            json!({"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}),
            "rollingUpdate is of no use with type Recreate",
        ),
        (json!({"minReadySeconds": 600}), "progressDeadlineSeconds (600 by default) must be greater"),
        (json!({"progressDeadlineSeconds": 0}), "should be greater than or equal to 1"),
        (json!({"revisionHistoryLimit": -1}), "should be greater than or equal to 0"),
        (json!({"paused": "yes"}), "spec.paused in body must be of type boolean"),
        (json!({"service": {"type": "ExternalName"}}), "spec.service.type: Unsupported value"),
        (json!({"service": {"ports": []}}), "spec.service.ports in body should have at least 1 items"),
        (json!({"service": {"ports": [{"port": 1}, {"port": 2}]}}), "each of several ports needs a name"),
        (json!({"service": {"ports": [{"port": 0}]}}), "should be greater than or equal to 1"),
        (
            json!({"service": {"type": "ClusterIP", "externalTrafficPolicy": "Local"}}),
            "externalTrafficPolicy is of no use with type ClusterIP",
        ),
        (json!({"service": {"loadBalancerClass": "a"}}), "need type: LoadBalancer"),
        (
            json!({"service": {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 1}}}}),
            "sessionAffinityConfig needs sessionAffinity: ClientIP",
        ),
        (
            json!({"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}}),
            "give either minAvailable or maxUnavailable, not both",
        ),
        (json!({"port": null, "service": {}}), "service needs something to offer: give port, or service.ports"),
        (json!({"autoscaling": {}}), "spec.autoscaling.maxReplicas: Required value"),
        (
            json!({"autoscaling": {"minReplicas": 3, "maxReplicas": 2}}),
            "minReplicas must not be greater than maxReplicas",
        ),
    ]
}

/// The same of what brings a change of the pods about.
fn bad_rollouts() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"migrations": [{"args": ["a"]}]}), "spec.migrations[0].name: Required value"),
        (json!({"migrations": [{"name": "Schema", "args": ["a"]}]}), "name must consist of lower-case letters, digits"),
        (
            json!({"migrations": [{"name": "a", "args": ["a"]}, {"name": "a", "args": ["b"]}]}),
            "spec.migrations[1]: Duplicate value",
        ),
        (json!({"migrations": [{"name": "a"}]}), "a migration needs command, args or an image of its own"),
        (json!({"migrations": [{"name": "a", "image": "a b"}]}), "must be an image reference without spaces"),
        (
            json!({"migrations": [{"name": "a", "command": "sh"}]}),
            "spec.migrations[0].command in body must be of type array",
        ),
        (
            json!({"migrations": [{"name": "a", "args": ["a"], "env": [{"name": "A"}, {"name": "A"}]}]}),
            "spec.migrations[0].env[1]: Duplicate value",
        ),
        (
            json!({"migrations": [{"name": "a", "args": ["a"], "backoffLimit": -1}]}),
            "spec.migrations[0].backoffLimit in body should be greater than or equal to 0",
        ),
        (
            json!({"migrations": [{"name": "a", "args": ["a"], "activeDeadlineSeconds": 0}]}),
            "spec.migrations[0].activeDeadlineSeconds in body should be greater than or equal to 1",
        ),
        (json!({"rollback": {}}), "rollback needs onFailure (None or Automatic), or toRevision"),
        (json!({"rollback": {"onFailure": "Always"}}), "spec.rollback.onFailure: Unsupported value"),
        (
            json!({"rollback": {"toRevision": 0}}),
            "spec.rollback.toRevision in body should be greater than or equal to 1",
        ),
    ]
}

/// The same of `http` and `configRollout`.
fn bad_http() -> Vec<(Value, &'static str)> {
    vec![
        (json!({"configRollout": {"mode": "Restart"}}), "spec.configRollout.mode: Unsupported value"),
        (
            json!({"configRollout": {"minInterval": "soon"}}),
            "minInterval must be between 1s and 24h, such as 30s or 5m",
        ),
        (json!({"configRollout": {"minInterval": "48h"}}), "minInterval must be between 1s and 24h, such as 30s or 5m"),
        (
            json!({"http": {"hosts": ["https://a.example.com"]}}),
            "a host is a name in lower-case letters, without scheme",
        ),
        (json!({"http": {"hosts": ["a.example.com", "a.example.com"]}}), "spec.http.hosts[1]: Duplicate value"),
        (json!({"http": {"hosts": []}}), "spec.http.hosts in body should have at least 1 items"),
        (json!({"http": {"paths": [{"path": "api"}]}}), "a path begins with / and has neither spaces"),
        (json!({"http": {"paths": [{"path": "/a/../b"}]}}), "a path begins with / and has neither spaces"),
        (json!({"http": {"paths": [{"pathType": "Regex"}]}}), "spec.http.paths[0].pathType: Unsupported value"),
        (json!({"http": {"paths": [{}, {"path": "/", "pathType": "Prefix"}]}}), "spec.http.paths[1]: Duplicate value"),
        (json!({"http": {"parentRefs": [{"namespace": "a"}]}}), "spec.http.parentRefs[0].name: Required value"),
        (json!({"http": {"parentRefs": [{"name": "a", "port": 0}]}}), "should be greater than or equal to 1"),
        (
            json!({"http": {"parentRefs": [{"name": "a"}], "ingressClassName": "b"}}),
            "parentRefs make an HTTPRoute, and ingressClassName is of an Ingress",
        ),
        (
            json!({"http": {"parentRefs": [{"name": "a"}], "tls": {"secretName": "b"}}}),
            "leave tls.secretName out, and write tls: {} where the Gateway serves https",
        ),
        (
            json!({"http": {"parentRefs": [{"name": "a"}], "paths": [{"pathType": "ImplementationSpecific"}]}}),
            "pathType ImplementationSpecific is of an Ingress",
        ),
        (json!({"http": {"ingressClassName": ""}}), "spec.http.ingressClassName in body should be at least 1 chars"),
        (json!({"http": {"tls": {"secretName": ""}}}), "spec.http.tls.secretName in body should be at least 1 chars"),
        (json!({"http": {"annotations": {"a": 1}}}), "spec.http.annotations.a in body must be of type string"),
        (json!({"port": null, "http": {}}), "http needs a TCP port of a Service to lead to: give port, or one in"),
        (
            json!({"http": {}, "service": {"ports": [{"port": 53, "protocol": "UDP"}]}}),
            "http needs a TCP port of a Service to lead to",
        ),
    ]
}

#[test]
fn bad_input_in_any_field_is_refused_with_a_sentence() {
    let Some(world) = World::start(Options::api_only()) else { return };
    let space = world.space("bad-input");
    let mut amiss = Vec::new();
    for (spec, sentence) in bad_input().into_iter().chain(bad_rollouts()).chain(bad_http()) {
        let mut whole = json!({"image": "nginx", "port": 80});
        for (field, value) in spec.as_object().expect("a spec") {
            whole[field] = value.clone();
        }
        // What is left out says so by null.
        whole.as_object_mut().expect("a spec").retain(|_, value| !value.is_null());
        let application = json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application",
            "metadata": {"name": "bad"}, "spec": whole});
        let (code, said) = world.api.ask("POST", &path("applications", &space.name), &application);
        let message = said["message"].as_str().unwrap_or_default();
        if code != 422 || !message.contains(sentence) {
            amiss.push(format!("{spec}: {code} {message}"));
        }
    }
    assert!(amiss.is_empty(), "{}", amiss.join("\n"));
    // A field that nobody knows is pruned, and kubectl refuses it before that.
    if !testbed::has_kubectl() {
        return;
    }
    let unknown = "apiVersion: minetto.dev/v1alpha1\nkind: Application\nmetadata: {name: bad}\n\
        spec: {image: nginx, replica: 2}\n";
    let file = world.cluster.folder().join("unknown.yaml");
    fs::write(&file, unknown).expect("a file in the cluster's folder");
    let said = space.kubectl_refused(&["apply", "-f", file.to_str().expect("a path in UTF-8")]);
    assert!(said.contains("unknown field \"spec.replica\""), "{said}");
}
