//! What the operator lets the authors of Applications reach. A spec in, why it is refused out.
//!
//! The operator writes pods with rights of its own, so that whoever may create an Application has what a pod can have,
//! even if RBAC lets the author create no pod. Three ways lead out of the author's namespace, or to another identity, and
//! are closed until whoever runs the operator opens them: service accounts, whose rights may be anything; volumes, which
//! may be the node's own disk; and privileges, with which a container is the node. Configuration and Secrets that become
//! environment variables, and pull secrets, stay open: they are the namespace's own, and an application without its
//! database's password is of no use. Admission (Pod Security, quotas, policies) judges the pods all the same.

use std::collections::BTreeSet;

use serde_json::Value;

use super::ApplicationSpec;

/// Kinds of volumes, as the fields of Kubernetes' `Volume` are called.
pub const VOLUME_KINDS: [&str; 30] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "hostPath",
    "image",
    "iscsi",
    "nfs",
    "persistentVolumeClaim",
    "photonPersistentDisk",
    "portworxVolume",
    "projected",
    "quobyte",
    "rbd",
    "scaleIO",
    "secret",
    "storageos",
    "vsphereVolume",
];

/// Stands for every kind of volume.
pub const EVERY_VOLUME: &str = "all";

/// Capabilities that the Pod Security Standard `baseline` lets a container add.
const BASELINE_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// `SELinux` types that `baseline` lets a container have.
const BASELINE_SELINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

/// Kernel parameters that `baseline` lets a pod set: those that are the pod's own.
const BASELINE_SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
];

/// What Applications may reach; by default nothing that is not their namespace's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Whether pods may act as a `ServiceAccount`, and have its token.
    pub service_accounts: bool,
    /// Kinds of volumes by the names of their fields in `Volume`, such as `emptyDir`; `all` stands for every kind.
    pub volumes: BTreeSet<String>,
    /// Whether pods may ask for more than the Pod Security Standard `baseline` lets them have.
    pub privileged: bool,
}

impl Allowed {
    /// Why `spec` is refused, and what to do about it; `None` if it isn't.
    pub fn refusal(&self, spec: &ApplicationSpec) -> Option<String> {
        self.identity(spec).or_else(|| self.volume(spec)).or_else(|| self.privilege(spec))
    }

    fn identity(&self, spec: &ApplicationSpec) -> Option<String> {
        let field = match spec {
            ApplicationSpec { service_account_name: Some(_), .. } => "spec.serviceAccountName",
            ApplicationSpec { automount_service_account_token: Some(true), .. } => "spec.automountServiceAccountToken",
            _ => return None,
        };
        (!self.service_accounts).then(|| refusal(field, "is", "--allow-service-accounts"))
    }

    fn volume(&self, spec: &ApplicationSpec) -> Option<String> {
        if self.volumes.contains(EVERY_VOLUME) {
            return None;
        }
        spec.volumes.as_ref()?.entries().iter().find_map(|volume| {
            // A volume without a kind is an emptyDir.
            let kind = volume.as_object()?.keys().find(|field| *field != "name").map_or("emptyDir", String::as_str);
            let name = volume["name"].as_str().unwrap_or_default();
            let what = format!("spec.volumes[{name}], a volume of kind {kind},");
            (!self.volumes.contains(kind)).then(|| refusal(&what, "is", &format!("--allow-volumes={kind}")))
        })
    }

    fn privilege(&self, spec: &ApplicationSpec) -> Option<String> {
        if self.privileged {
            return None;
        }
        let pod = spec.pod_security_context.as_ref().map(super::Verbatim::value);
        let own = spec.security_context.as_ref().map(super::Verbatim::value);
        let others = spec.init_containers.iter().flat_map(super::Verbatim::entries);
        let of_pod = pod.and_then(|context| excess(context, "spec.podSecurityContext"));
        let of_own = || own.and_then(|context| excess(context, "spec.securityContext"));
        let of_others = || others.into_iter().find_map(of_init_container);
        let probes = [
            ("livenessProbe", spec.liveness_probe.as_ref().map(super::Verbatim::value)),
            ("readinessProbe", spec.readiness_probe.as_ref().map(super::Verbatim::value)),
            ("startupProbe", spec.startup_probe.as_ref().map(super::Verbatim::value)),
            ("lifecycle", spec.lifecycle.as_ref().map(super::Verbatim::value)),
        ];
        let elsewhere = probes
            .into_iter()
            .find_map(|(field, probe)| has_host(probe?).then(|| format!("spec.{field}, with a host of its own,")));
        let annotations = spec.pod_annotations.as_ref().and_then(|annotations| annotations.value().as_object());
        let unconfined = annotations.into_iter().flatten().find_map(|(key, value)| {
            // The API server still makes the field of it.
            let is_profile = key.starts_with("container.apparmor.security.beta.kubernetes.io/");
            (is_profile && value == "unconfined").then(|| format!("spec.podAnnotations[{key}]"))
        });
        let field = of_pod.or_else(of_own).or_else(of_others).or(elsewhere).or(unconfined)?;
        Some(refusal(&field, "is more than the Pod Security Standard baseline grants, and", "--allow-privileged"))
    }
}

fn refusal(what: &str, verb: &str, flag: &str) -> String {
    format!("{what} {verb} not allowed by this operator: leave it out, or have the operator run with {flag}")
}

/// What an init container has beyond `baseline`.
fn of_init_container(container: &Value) -> Option<String> {
    let path = format!("spec.initContainers[{}]", container["name"].as_str().unwrap_or_default());
    let ports = container["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    if ports.iter().any(|port| port["hostPort"].as_i64().unwrap_or_default() != 0) {
        return Some(format!("{path}.ports.hostPort"));
    }
    let probes = ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"];
    if let Some(field) = probes.into_iter().find(|field| has_host(&container[*field])) {
        return Some(format!("{path}.{field}, with a host of its own,"));
    }
    excess(&container["securityContext"], &format!("{path}.securityContext"))
}

/// Returns true if a probe or a hook goes to another host than the pod: the kubelet would ask it from the node's own network.
fn has_host(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(field, value)| match value {
            Value::String(host) => field == "host" && !host.is_empty(),
            nested => has_host(nested),
        }),
        _ => false,
    }
}

/// The first field of the security context of a pod or a container that `baseline` forbids.
fn excess(context: &Value, path: &str) -> Option<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let is_foreign = |known: &[&str], value: &Value| !known.contains(&text(value).as_str());
    let selinux = &context["seLinuxOptions"];
    let excesses = [
        ("privileged", context["privileged"] == true),
        (
            "capabilities.add",
            list(&context["capabilities"]["add"]).iter().any(|added| is_foreign(&BASELINE_CAPABILITIES, added)),
        ),
        ("procMount", !matches!(text(&context["procMount"]).as_str(), "" | "Default")),
        ("seccompProfile", context["seccompProfile"]["type"] == "Unconfined"),
        ("appArmorProfile", context["appArmorProfile"]["type"] == "Unconfined"),
        ("windowsOptions.hostProcess", context["windowsOptions"]["hostProcess"] == true),
        ("seLinuxOptions.type", is_foreign(&BASELINE_SELINUX_TYPES, &selinux["type"])),
        ("seLinuxOptions", !text(&selinux["user"]).is_empty() || !text(&selinux["role"]).is_empty()),
        ("sysctls", list(&context["sysctls"]).iter().any(|sysctl| is_foreign(&BASELINE_SYSCTLS, &sysctl["name"]))),
    ];
    excesses.iter().find(|(_, given)| *given).map(|(field, _)| format!("{path}.{field}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is said to a spec with these fields.
    fn refused(allowed: &Allowed, spec: &Value) -> Option<String> {
        let refusal = allowed.refusal(&serde_json::from_value(spec.clone()).unwrap());
        refusal.map(|refusal| refusal.split(' ').next().unwrap_or_default().to_owned())
    }

    #[test]
    fn what_leads_out_of_the_namespace_is_refused_until_it_is_allowed() {
        let context = |field: &str, value: Value| json!({"securityContext": {field: value}});
        let closed = [
            (json!({"serviceAccountName": "admin"}), "spec.serviceAccountName"),
            (json!({"automountServiceAccountToken": true}), "spec.automountServiceAccountToken"),
            (json!({"volumes": [{"name": "disk", "hostPath": {"path": "/"}}]}), "spec.volumes[disk],"),
            (json!({"volumes": [{"name": "tmp"}]}), "spec.volumes[tmp],"),
            (context("privileged", json!(true)), "spec.securityContext.privileged"),
            (context("capabilities", json!({"add": ["CHOWN", "SYS_ADMIN"]})), "spec.securityContext.capabilities.add"),
            (context("procMount", json!("Unmasked")), "spec.securityContext.procMount"),
            (context("seccompProfile", json!({"type": "Unconfined"})), "spec.securityContext.seccompProfile"),
            (context("appArmorProfile", json!({"type": "Unconfined"})), "spec.securityContext.appArmorProfile"),
            (context("seLinuxOptions", json!({"type": "spc_t"})), "spec.securityContext.seLinuxOptions.type"),
            (context("seLinuxOptions", json!({"user": "root"})), "spec.securityContext.seLinuxOptions"),
            (
                context("windowsOptions", json!({"hostProcess": true})),
                "spec.securityContext.windowsOptions.hostProcess",
            ),
            (
                json!({"podSecurityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}),
                "spec.podSecurityContext.sysctls",
            ),
            (
                json!({"initContainers": [{"name": "a"}, {"name": "b", "securityContext": {"privileged": true}}]}),
                "spec.initContainers[b].securityContext.privileged",
            ),
            (
                json!({"initContainers": [{"name": "a", "ports": [{"containerPort": 1, "hostPort": 1}]}]}),
                "spec.initContainers[a].ports.hostPort",
            ),
            (json!({"livenessProbe": {"httpGet": {"host": "10.0.0.1", "port": 80}}}), "spec.livenessProbe,"),
            (json!({"lifecycle": {"preStop": {"tcpSocket": {"host": "node", "port": 80}}}}), "spec.lifecycle,"),
            (
                json!({"initContainers": [{"name": "a", "startupProbe": {"tcpSocket": {"host": "node", "port": 1}}}]}),
                "spec.initContainers[a].startupProbe,",
            ),
            (
                json!({"podAnnotations": {"container.apparmor.security.beta.kubernetes.io/a-container": "unconfined"}}),
                "spec.podAnnotations[container.apparmor.security.beta.kubernetes.io/a-container]",
            ),
        ];
        let all = Allowed { service_accounts: true, volumes: ["all".to_owned()].into(), privileged: true };
        for (spec, field) in closed {
            assert_eq!(refused(&Allowed::default(), &spec).as_deref(), Some(field), "{spec}");
            assert_eq!(refused(&all, &spec), None, "{spec}");
        }
    }

    #[test]
    fn what_is_the_namespaces_own_is_open() {
        for spec in [
            json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}),
            json!({"envFrom": [{"secretRef": {"name": "s"}}], "imagePullSecrets": [{"name": "s"}]}),
            json!({"automountServiceAccountToken": false}),
            json!({"securityContext": {"runAsUser": 0, "capabilities": {"add": ["CHOWN"], "drop": ["ALL"]}}}),
            json!({"podSecurityContext": {"fsGroup": 1, "seccompProfile": {"type": "RuntimeDefault"}}}),
        ] {
            assert_eq!(refused(&Allowed::default(), &spec), None, "{spec}");
        }
    }

    #[test]
    fn the_kinds_of_volumes_are_those_of_kubernetes() {
        let schema = schemars::schema_for!(k8s_openapi::api::core::v1::Volume).to_value();
        let fields = schema["properties"].as_object().unwrap().keys().filter(|field| *field != "name");
        assert!(fields.eq(VOLUME_KINDS));
    }

    #[test]
    fn volumes_are_allowed_by_kind() {
        let allowed = Allowed { volumes: ["emptyDir".to_owned()].into(), ..Allowed::default() };
        assert_eq!(refused(&allowed, &json!({"volumes": [{"name": "a"}, {"name": "b", "emptyDir": {}}]})), None);
        let mixed = json!({"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "secret": {}}]});
        assert_eq!(refused(&allowed, &mixed).as_deref(), Some("spec.volumes[b],"));
    }
}
