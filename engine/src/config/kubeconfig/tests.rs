//! What a kubeconfig means, field by field.

use super::*;
use crate::config::environment::tests::of;
use crate::config::{ExecInteractive, ExecVersion};

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

fn inline(source: Option<&Source>) -> &[u8] {
    let Some(Source::Inline(bytes)) = source else { panic!("{source:?}") };
    bytes.expose()
}

fn file(source: Option<&Source>) -> &Path {
    let Some(Source::File(path)) = source else { panic!("{source:?}") };
    path
}

fn message(cluster: &str, user: &str) -> String {
    one(cluster, user).unwrap_err().to_string()
}

#[test]
fn the_current_context_is_read() {
    let config = with(REAL, None).unwrap();
    assert_eq!(config.server, "https://127.0.0.1:6443/");
    assert_eq!(config.default_namespace, "shop");
    assert_eq!(inline(config.tls.authority.as_ref()), b"certificate");
    let identity = config.tls.identity.unwrap();
    assert_eq!(inline(Some(&identity.certificate_chain)), b"cert");
    assert_eq!(inline(Some(&identity.key)), b"key");
    assert!(matches!(config.credential, Credential::None));
}

#[test]
fn another_context_can_be_asked_for_and_paths_start_at_the_file() {
    let config = with(REAL, Some("robot")).unwrap();
    assert_eq!(config.server.path(), "/k8s/clusters/c-1");
    assert_eq!(config.default_namespace, "default");
    assert_eq!(file(config.tls.authority.as_ref()), Path::new("/home/me/.kube/ca.crt"));
    assert_eq!(config.tls.server_name.as_deref(), Some("kubernetes.default"));
    let Credential::Token(token) = config.credential else { panic!("the file wins") };
    assert_eq!(file(Some(&token)), Path::new("/home/me/.kube/secrets/token"));

    let absolute = one("server: 'https://a', certificate-authority: /etc/ca.crt", "").unwrap();
    assert_eq!(file(absolute.tls.authority.as_ref()), Path::new("/etc/ca.crt"));
}

#[test]
fn a_config_shows_no_secret() {
    let config =
        one("server: 'https://a'", "token: hunter2, client-key-data: aHVudGVyMg==, client-certificate-data: YQ==");
    let shown = format!("{:?}", config.unwrap());
    assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
}

#[test]
fn what_is_not_supported_is_named_with_what_to_do_instead() {
    let text = message("server: 'https://a'", "auth-provider: {name: gcp}");
    assert!(text.contains("user \"u\" in /home/me/.kube/config uses auth-provider"), "{text}");
    assert!(text.contains("use exec"), "{text}");
}

#[test]
fn a_cluster_may_be_behind_a_proxy_and_want_no_compression() {
    let config = one("server: 'https://a', proxy-url: 'http://p:3128', disable-compression: true", "").unwrap();
    let proxy = config.proxy.unwrap();
    assert_eq!((proxy.protocol, &*proxy.host, proxy.port), (crate::config::ProxyProtocol::Http, "p", 3128));
    assert!(config.disable_compression);
    let text = message("server: 'https://a', proxy-url: 'ftp://hunter2'", "");
    assert!(text.starts_with("cluster \"c\"") && text.contains("proxy-url") && !text.contains("hunter2"), "{text}");
}

#[test]
fn a_name_and_a_password_are_a_credential() {
    let config = one("server: 'https://a'", "username: me, password: hunter2").unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    let Credential::Basic(login) = config.credential else { panic!("{:?}", config.credential) };
    assert_eq!((&*login.username, login.password.expose()), ("me", &b"hunter2"[..]));
}

#[test]
fn another_identity_can_be_taken_on() {
    let user = "as: jane, as-uid: u-1, as-groups: [dev, ops], as-user-extra: {Scopes/a b: [x, y]}";
    let impersonation = one("server: 'https://a'", user).unwrap().impersonation.unwrap();
    assert_eq!((&*impersonation.user, impersonation.uid.as_deref()), ("jane", Some("u-1")));
    assert_eq!(impersonation.groups, ["dev", "ops"]);
    assert_eq!(impersonation.extra, [("Scopes/a b".to_owned(), vec!["x".to_owned(), "y".to_owned()])]);
    assert!(message("server: 'https://a'", "as-groups: [dev]").contains("without as"));
}

#[test]
fn a_command_can_tell_the_credential() {
    let cluster = "server: 'https://a', certificate-authority: ca.crt, tls-server-name: n, extensions: \
                   [{name: other, extension: 1}, {name: client.authentication.k8s.io/exec, extension: {audience: z}}]";
    let exec = "exec: {apiVersion: client.authentication.k8s.io/v1, command: bin/login, args: [token, hunter2], \
                env: [{name: KEY, value: hunter2}], installHint: get it, provideClusterInfo: true, \
                interactiveMode: Never}";
    let config = one(cluster, exec).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    let Credential::Exec(exec) = config.credential else { panic!("{:?}", config.credential) };
    assert_eq!(exec.version, ExecVersion::V1);
    assert_eq!(exec.command, Path::new("/home/me/.kube/bin/login"));
    assert_eq!(exec.args, ["token", "hunter2"]);
    assert_eq!((&*exec.env[0].0, exec.env[0].1.expose()), ("KEY", &b"hunter2"[..]));
    assert_eq!((exec.install_hint.as_deref(), exec.interactive), (Some("get it"), ExecInteractive::Never));
    let info = serde_json::json!({
        "server": "https://a", "tls-server-name": "n", "config": {"audience": "z"},
        "certificate-authority-data": "YXV0aG9yaXR5",
    });
    assert_eq!(exec.cluster, Some(info));

    let older = "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: login}";
    let Credential::Exec(exec) = one(cluster, older).unwrap().credential else { panic!("it is a command") };
    assert_eq!((exec.version, exec.interactive), (ExecVersion::V1Beta1, ExecInteractive::IfAvailable));
    assert_eq!(exec.command, Path::new("login"), "to be found in $PATH");
    assert!(exec.cluster.is_none() && exec.args.is_empty() && exec.env.is_empty());
}

#[test]
fn what_stands_in_the_file_wins_over_a_command() {
    let exec = "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: login}";
    let credential = |user: &str| one("server: 'https://a'", &format!("{user}, {exec}")).unwrap().credential;
    assert!(matches!(credential("token: t"), Credential::Token(_)));
    assert!(matches!(credential("username: me"), Credential::Basic(_)));
    assert!(matches!(credential("client-certificate-data: YQ==, client-key-data: YQ=="), Credential::None));
}

#[test]
fn a_command_that_cannot_be_run_is_told() {
    for (exec, problem) in [
        ("command: login", "no apiVersion"),
        ("apiVersion: client.authentication.k8s.io/v1alpha1, command: login", "/v1alpha1\"; client"),
        ("apiVersion: client.authentication.k8s.io/v1beta1", "no command"),
        ("apiVersion: client.authentication.k8s.io/v1, command: login", "no interactiveMode"),
        ("apiVersion: client.authentication.k8s.io/v1, command: login, interactiveMode: Maybe", "\"Maybe\""),
        ("apiVersion: client.authentication.k8s.io/v1beta1, command: login, env: [{name: '', value: x}]", "env"),
    ] {
        let text = message("server: 'https://a'", &format!("exec: {{{exec}}}"));
        assert!(text.starts_with("user \"u\"") && text.contains(problem), "{text}");
    }
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
        ("server: 'https://bücher.example'", "", "the host of its server is not ASCII: write its punycode form"),
        ("server: 'https://a', proxy-url: 'http://bücher'", "", "the host of its proxy-url is not ASCII"),
        ("", "", "has no server"),
        ("server: 'http://a'", "token: t", "unencrypted"),
        (server, "token: t, username: u", "only one is allowed"),
        (server, "username: 'a:b'", "colon"),
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
    let error = with(text, None).unwrap_err();
    assert_eq!(error.to_string(), format!("{FILE} has no current-context; its contexts are: none"));
}

#[test]
fn a_syntax_error_tells_its_place_and_shows_no_content() {
    let error = with("users:\n- name: u\n  user:\n    token: [hunter2]\n", None).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(matches!(error, Error::Syntax { line: 4, .. }), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}
