//! The simulator's port: who comes in, and what is left when it closes.

use std::sync::Arc;

use simulator::Simulator;
use simulator::port::Port;

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
        let config = engine::config::Config::from_kubeconfig(&file, None).expect("a configuration");
        runtime.block_on(async {
            let service = engine::transport::connect(&config).expect("a usable configuration");
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
