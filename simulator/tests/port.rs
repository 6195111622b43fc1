//! The simulator's port: who comes in, and what is left when it closes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use engine::config::Config;
use engine::shutdown;
use engine::transport::{self, Service};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use simulator::Simulator;
use simulator::port::{Access, Door, Log, Port, serve};
use simulator::user::User;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

#[test]
fn a_port_refuses_who_has_no_token_and_leaves_no_kubeconfig_behind() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let folder = std::env::temp_dir().join(format!("simulator-port-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let simulator = Simulator::new(7, Arc::new(jiff::Timestamp::now));
    let port = runtime.block_on(Port::open(&simulator, &folder)).expect("a port");
    let kubeconfig = std::fs::read_to_string(port.kubeconfig()).expect("a kubeconfig");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(port.kubeconfig()).expect("it").permissions());
    assert_eq!(mode & 0o777, 0o600);

    let code = |kubeconfig: &str| {
        let file = folder.join("other");
        std::fs::write(&file, kubeconfig).expect("a file");
        let config = Config::from_kubeconfig(&file, None).expect("a configuration");
        runtime.block_on(async {
            let service = transport::connect(&config).expect("a usable configuration");
            let request = http::Request::get("/api/v1/namespaces").body(bytes::Bytes::new()).expect("a request");
            tower::ServiceExt::oneshot(service, request).await.expect("an answer").status().as_u16()
        })
    };
    assert_eq!(code(&kubeconfig), 200);
    let token = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("token: ")).expect("a token");
    assert_eq!(code(&kubeconfig.replace(token, "guessed")), 401);

    let path = port.kubeconfig().to_owned();
    runtime.block_on(port.close());
    assert!(!path.exists());
    std::fs::remove_dir_all(folder).expect("it goes");
}

/// A kubeconfig for a user.
fn kubeconfig(access: &Access, folder: &Path, address: SocketAddr, user: &str) -> Config {
    let file = folder.join(user);
    access.write(&file, address, &access.issue(User::named(user)).expect("a token")).expect("a file");
    Config::from_kubeconfig(&file, None).expect("a configuration")
}

async fn ask(service: &Service, method: &str, uri: &str, body: &'static str) -> transport::Response {
    let kind = if body.starts_with("k8s\0") { "application/vnd.kubernetes.protobuf" } else { "application/json" };
    let request = http::Request::builder().method(method).uri(uri).header("content-type", kind);
    let request = request.body(bytes::Bytes::from_static(body.as_bytes())).expect("a request");
    service.clone().oneshot(request).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_logged_when_it_is_answered_and_a_watch_when_it_ends() {
    let folder = std::env::temp_dir().join(format!("simulator-log-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let simulator = Simulator::new(7, Arc::new(jiff::Timestamp::now));
    let access = Arc::new(Access::new().expect("certificates"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let log = folder.join("audit.log");
    let door = Door::new(&simulator, &access).logged(Arc::new(Log::open(&log).expect("a file")));
    let (stop, shutdown) = shutdown::channel();
    let served = tokio::spawn(serve(listener, door, shutdown));
    let jane = transport::connect(&kubeconfig(&access, &folder, address, "jane")).expect("a usable configuration");
    let joe = transport::connect(&kubeconfig(&access, &folder, address, "joe")).expect("a usable configuration");
    let seen = || -> Vec<Value> {
        let lines = std::fs::read_to_string(&log).expect("a log");
        let event = |line: &str| serde_json::from_str::<Value>(line).expect("JSON");
        let short = |event: Value| {
            json!([
                event["user"]["username"],
                event["verb"],
                event["objectRef"]["name"],
                event["responseStatus"]["code"]
            ])
        };
        lines.lines().map(event).map(short).collect()
    };

    let maps = "/api/v1/namespaces/default/configmaps";
    let watch = ask(&jane, "GET", &format!("{maps}?watch=1&timeoutSeconds=60"), "").await;
    assert_eq!(ask(&jane, "POST", maps, r#"{"metadata": {"name": "a"}}"#).await.status(), 201);
    // The same kind in protobuf, as kubectl sends it, with the name `p`.
    let binary = "k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x05\x0a\x03\x0a\x01p";
    assert_eq!(ask(&jane, "POST", maps, binary).await.status(), 201);
    assert_eq!(ask(&joe, "GET", &format!("{maps}/b"), "").await.status(), 404);
    let so_far =
        [json!(["jane", "create", "a", 201]), json!(["jane", "create", "p", 201]), json!(["joe", "get", "b", 404])];
    assert_eq!(seen(), so_far);
    stop.give();
    watch.into_body().collect().await.expect("a watch that ends well");
    served.await.expect("no panic");
    assert_eq!(seen()[3..], [json!(["jane", "watch", null, 200])]);
    std::fs::remove_dir_all(folder).expect("it goes");
}
