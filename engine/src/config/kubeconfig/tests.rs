//! What a kubeconfig means, field by field.

use super::*;
use crate::config::environment::tests::of;

const FILE: &str = "/home/me/.kube/config";

/// As kubectl and the usual local clusters write it, with fields that mean nothing to us.
const REAL: &str = r"
apiVersion: v1
kind: Config
preferences: {}
clusters:
- cluster:
    certificate-authority-data: |
      Y2VydGlm
      aWNhdGU=
    extensions:
    - extension:
        provider: minikube.sigs.k8s.io
      name: cluster_info
    server: https://127.0.0.1:6443
  name: kind
- cluster:
    certificate-authority: ca.crt
    server: https://proxy.example.com/k8s/clusters/c-1
    tls-server-name: kubernetes.default
  name: rancher
contexts:
- context:
    cluster: kind
    namespace: shop
    user: admin
  name: kind-admin
- context: {cluster: rancher, user: robot}
  name: robot
current-context: kind-admin
users:
- name: admin
  user:
    client-certificate-data: Y2VydA==
    client-key-data: a2V5
- name: robot
  user:
    tokenFile: secrets/token
    token: ignored
";

fn with(text: &str, context: Option<&str>) -> Result<Config, Error> {
    let files = [(FILE, text), ("/home/me/.kube/ca.crt", "authority"), ("/etc/ca.crt", "absolute")];
    load(&[FILE.into()], context, &of(&[], &files))
}

/// A file with one context, whose cluster and user have these fields.
fn one(cluster: &str, user: &str) -> Result<Config, Error> {
    with(
        &format!(
            "current-context: x\n\
             contexts: [{{name: x, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{{cluster}}}}}]\n\
             users: [{{name: u, user: {{{user}}}}}]\n"
        ),
        None,
    )
}

fn message(cluster: &str, user: &str) -> String {
    one(cluster, user).unwrap_err().to_string()
}

#[test]
fn the_current_context_is_read() {
    let config = with(REAL, None).unwrap();
    assert_eq!(config.server, "https://127.0.0.1:6443/");
    assert_eq!(config.default_namespace, "shop");
    assert_eq!(config.tls.authority.as_deref(), Some(&b"certificate"[..]));
    let identity = config.tls.identity.unwrap();
    assert_eq!(identity.certificate_chain, b"cert");
    assert_eq!(identity.key.expose(), b"key");
    assert!(matches!(config.credential, Credential::None));
}

#[test]
fn another_context_can_be_asked_for_and_paths_start_at_the_file() {
    let config = with(REAL, Some("robot")).unwrap();
    assert_eq!(config.server.path(), "/k8s/clusters/c-1");
    assert_eq!(config.default_namespace, "default");
    assert_eq!(config.tls.authority.as_deref(), Some(&b"authority"[..]));
    assert_eq!(config.tls.server_name.as_deref(), Some("kubernetes.default"));
    let Credential::TokenFile(path) = config.credential else { panic!("the file wins") };
    assert_eq!(path, Path::new("/home/me/.kube/secrets/token"));

    let absolute = one("server: 'https://a', certificate-authority: /etc/ca.crt", "").unwrap();
    assert_eq!(absolute.tls.authority.as_deref(), Some(&b"absolute"[..]));
}

#[test]
fn a_config_shows_no_secret() {
    let config =
        one("server: 'https://a'", "token: hunter2, client-key-data: aHVudGVyMg==, client-certificate-data: YQ==");
    let shown = format!("{:?}", config.unwrap());
    assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
}

#[test]
fn every_unsupported_field_is_named() {
    let server = "server: 'https://a'";
    for (user, field) in [
        ("exec: {command: aws}", "exec"),
        ("auth-provider: {name: gcp}", "auth-provider"),
        ("username: me, password: hunter2", "username"),
        ("as: somebody", "as"),
    ] {
        let text = message(server, user);
        assert!(text.contains(&format!("uses {field}")), "{text}");
        assert!(text.contains("user \"u\" in /home/me/.kube/config"), "{text}");
    }
    let text = message("server: 'https://a', proxy-url: 'http://p'", "");
    assert!(text.contains("cluster \"c\"") && text.contains("proxy-url"), "{text}");
}

#[test]
fn null_and_empty_fields_count_as_absent() {
    let empty = "exec: null, username: '', password: '', token: '', client-key-data: null";
    let config = one("server: 'https://a', proxy-url: '', certificate-authority-data: ''", empty);
    let config = config.unwrap();
    assert!(config.tls.authority.is_none() && config.tls.identity.is_none());
    assert!(matches!(config.credential, Credential::None));
}

#[test]
fn what_contradicts_itself_or_lacks_its_half_is_refused() {
    let server = "server: 'https://a'";
    for (cluster, user, problem) in [
        (server, "client-key-data: YQ==", "no client-certificate"),
        (server, "client-certificate-data: YQ==", "no client-key"),
        ("server: 'https://a', insecure-skip-tls-verify: true, certificate-authority: ca.crt", "", "exclude"),
        (server, "client-key-data: '?', client-certificate-data: YQ==", "client-key-data is not base64"),
        ("server: 'localhost:8080'", "", "must begin with https:// or http://"),
        ("server: 'https://me:pw@a'", "", "must not carry"),
        ("", "", "has no server"),
        ("server: 'http://a'", "token: t", "unencrypted"),
    ] {
        let text = message(cluster, user);
        assert!(text.contains(problem), "{text}");
        assert!(!text.contains("me:pw"), "{text}");
    }
}

#[test]
fn names_that_lead_nowhere_are_told_with_their_origin() {
    let error = with(REAL, Some("nope")).unwrap_err().to_string();
    assert_eq!(error, format!("the command names the context \"nope\", which {FILE} does not have"));
    let dangling = "current-context: x\ncontexts: [{name: x, context: {cluster: gone}}]";
    let error = with(dangling, None).unwrap_err().to_string();
    let origin = format!("context \"x\" in {FILE}");
    assert_eq!(error, format!("{origin} names the cluster \"gone\", which {FILE} does not have"));
    let unselected = REAL.replace("current-context: kind-admin", "current-context: ''");
    let error = with(&unselected, None).unwrap_err().to_string();
    assert_eq!(error, format!("{FILE} has no current-context; its contexts are: kind-admin, robot"));
}

#[test]
fn an_empty_kubeconfig_is_one_without_contexts() {
    let text = "apiVersion: v1\nclusters: null\ncontexts: null\ncurrent-context: \"\"\nusers: null\n";
    assert!(matches!(with(text, None), Err(Error::NoContext { .. })));
}

#[test]
fn a_syntax_error_tells_its_place_and_shows_no_content() {
    let error = with("users:\n- name: u\n  user:\n    token: [hunter2]\n", None).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(matches!(error, Error::Syntax { line: 4, .. }), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}
