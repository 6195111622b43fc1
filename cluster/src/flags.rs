//! Renders each component's command line. Pure: it touches neither files nor processes.

use std::path::{Path, PathBuf};

use crate::Component;

/// What the command lines are made from.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) folder: PathBuf,
    pub(crate) etcd_port: u16,
    pub(crate) server_port: u16,
    pub(crate) audit: bool,
    /// Whether the controller manager runs, without which no namespace gets a service account.
    pub(crate) service_accounts: bool,
    pub(crate) stages: Vec<PathBuf>,
    pub(crate) extra: Vec<(Component, String)>,
}

/// Which requests the API server logs: all, each one once, when it has been answered.
pub(crate) const AUDIT_POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted, Panic]
rules: [{level: Metadata}]
";

impl Layout {
    pub(crate) fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.server_port)
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.folder.join("tokens.csv")
    }

    pub(crate) fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    pub(crate) fn audit_policy(&self) -> PathBuf {
        self.folder.join("audit-policy.yaml")
    }

    pub(crate) fn log(&self, component: Component) -> PathBuf {
        self.folder.join(format!("{component}.log"))
    }

    /// The API server makes this certificate, with the key beside it, when it starts.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("certificates/apiserver.crt")
    }

    fn key(&self) -> String {
        show(&self.folder.join("certificates/apiserver.key"))
    }

    /// The arguments of a component, those of the caller last, so that they win.
    pub(crate) fn flags(&self, component: Component) -> Vec<String> {
        let mut flags = match component {
            Component::Etcd => self.etcd(),
            Component::ApiServer => self.api_server(),
            Component::ControllerManager => self.controller_manager(),
            Component::Scheduler => self.scheduler(),
            Component::Kwok => self.kwok(),
        };
        let extra: Vec<&String> = self.extra.iter().filter(|(of, _)| *of == component).map(|(_, flag)| flag).collect();
        // Of a flag that takes a list, one given twice would add to the other.
        flags.retain(|flag| extra.iter().all(|extra| name(extra) != name(flag)));
        flags.extend(extra.into_iter().cloned());
        flags
    }

    fn etcd(&self) -> Vec<String> {
        let clients = format!("http://127.0.0.1:{}", self.etcd_port);
        vec![
            flag("data-dir", &show(&self.folder.join("etcd"))),
            flag("listen-client-urls", &clients),
            flag("advertise-client-urls", &clients),
            // It has no peers, but insists on a port for them.
            flag("listen-peer-urls", "http://127.0.0.1:0"),
            // What a power cut would lose is not worth the wait on each write. A kill loses nothing.
            "--unsafe-no-fsync".into(),
            // As kubeadm has it: without it, the API server has no bookmark to send of what nobody touches.
            flag("watch-progress-notify-interval", "5s"),
            flag("log-level", "warn"),
        ]
    }

    fn api_server(&self) -> Vec<String> {
        let mut flags = vec![
            flag("etcd-servers", &format!("http://127.0.0.1:{}", self.etcd_port)),
            flag("bind-address", "127.0.0.1"),
            flag("secure-port", &self.server_port.to_string()),
            // Otherwise it looks for the address of a network, and doesn't start without one.
            flag("advertise-address", "127.0.0.1"),
            // A loopback address is refused as an endpoint of the `kubernetes` Service.
            flag("endpoint-reconciler-type", "none"),
            flag("cert-dir", &show(&self.folder.join("certificates"))),
            // It signs with the key that it makes for its certificate: no tool is needed for one.
            flag("service-account-key-file", &self.key()),
            flag("service-account-signing-key-file", &self.key()),
            flag("service-account-issuer", &self.server()),
            flag("service-cluster-ip-range", "10.0.0.0/16"),
            flag("token-auth-file", &show(&self.tokens())),
            flag("authorization-mode", "RBAC"),
            // Real clusters often have it, and it refuses owner references that others let pass.
            flag("enable-admission-plugins", "OwnerReferencesPermissionEnforcement"),
            // Nobody balances load over this one server: it need not linger when told to stop.
            flag("shutdown-delay-duration", "0s"),
        ];
        if !self.service_accounts {
            // Or no pod could be created: it would name a service account that nobody makes.
            flags.push(flag("disable-admission-plugins", "ServiceAccount"));
        }
        if self.audit {
            flags.extend([
                flag("audit-policy-file", &show(&self.audit_policy())),
                flag("audit-log-path", &show(&self.audit_log())),
                // In megabytes; at 100, the default, a test with many requests would lose the first.
                flag("audit-log-maxsize", "100000"),
            ]);
        }
        flags
    }

    fn controller_manager(&self) -> Vec<String> {
        let mut flags = self.client();
        flags.extend([
            flag("service-account-private-key-file", &self.key()),
            flag("root-ca-file", &show(&self.certificate())),
            // With the defaults of 20 and 30 it, and not what is under test, is the bottleneck.
            flag("kube-api-qps", "1000"),
            flag("kube-api-burst", "2000"),
            flag("use-service-account-credentials", "false"),
            // KWOK writes a node's status about once a minute; after the default of 50 s without one, its pods count as not
            // ready, and nothing makes them ready again.
            flag("node-monitor-grace-period", "10m"),
        ]);
        flags
    }

    fn scheduler(&self) -> Vec<String> {
        let mut flags = self.client();
        // As for the controller manager; the defaults are 50 and 100.
        flags.extend([flag("kube-api-qps", "1000"), flag("kube-api-burst", "2000")]);
        flags
    }

    /// The only one of its kind, without a port of its own.
    fn client(&self) -> Vec<String> {
        let kubeconfig = show(&self.kubeconfig());
        vec![
            flag("kubeconfig", &kubeconfig),
            // Otherwise each asks for these in a cluster that it isn't in, and waits.
            flag("authentication-kubeconfig", &kubeconfig),
            flag("authorization-kubeconfig", &kubeconfig),
            flag("leader-elect", "false"),
            flag("secure-port", "0"),
        ]
    }

    fn kwok(&self) -> Vec<String> {
        let mut flags = vec![flag("kubeconfig", &show(&self.kubeconfig())), flag("manage-all-nodes", "true")];
        flags.extend(self.stages.iter().map(|stage| flag("config", &show(stage))));
        flags
    }
}

/// The flag without its value.
fn name(flag: &str) -> &str {
    flag.split('=').next().unwrap_or(flag)
}

fn flag(name: &str, value: &str) -> String {
    format!("--{name}={value}")
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        Layout {
            folder: "/run/blue".into(),
            etcd_port: 1,
            server_port: 2,
            audit: true,
            service_accounts: true,
            stages: vec!["/assets/stages/a.yaml".into(), "/assets/stages/b.yaml".into()],
            extra: vec![(Component::ApiServer, "--v=4".into())],
        }
    }

    #[test]
    fn every_address_is_of_this_machine() {
        for component in Component::ALL {
            for flag in layout().flags(component) {
                let url = flag.contains("://") || flag.contains("-address=");
                assert!(!url || flag.contains("127.0.0.1"), "{component} {flag}");
            }
        }
    }

    #[test]
    fn a_flag_of_the_caller_takes_the_place_of_ours() {
        let extra = vec![(Component::ApiServer, "--etcd-servers=http://127.0.0.1:9".to_owned())];
        let flags = Layout { extra, ..layout() }.flags(Component::ApiServer);
        let etcd: Vec<_> = flags.iter().filter(|flag| flag.starts_with("--etcd-servers")).collect();
        assert_eq!(etcd, ["--etcd-servers=http://127.0.0.1:9"]);
    }

    #[test]
    fn flags_of_the_caller_come_last_and_only_for_their_component() {
        assert_eq!(layout().flags(Component::ApiServer).last().unwrap(), "--v=4");
        assert!(!layout().flags(Component::Etcd).contains(&"--v=4".into()));
    }

    #[test]
    fn nothing_is_logged_without_audit() {
        let flags = Layout { audit: false, ..layout() }.flags(Component::ApiServer);
        assert!(!flags.iter().any(|flag| flag.contains("audit")));
    }

    #[test]
    fn kwok_is_given_every_stage() {
        let flags = layout().flags(Component::Kwok);
        assert!(flags.contains(&"--config=/assets/stages/a.yaml".into()));
        assert!(flags.contains(&"--config=/assets/stages/b.yaml".into()));
    }
}
