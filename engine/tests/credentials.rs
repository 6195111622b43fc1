//! Who we are to an API server: a command that tells tokens, and another identity that is taken on.

mod support;

use bytes::Bytes;
use engine::config::{Config, Credential, Exec, ExecInteractive, ExecVersion, Impersonation, Source};
use engine::transport;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use support::shared;
use tower::ServiceExt as _;

/// Whom the server takes for the sender.
async fn who_am_i(service: &transport::Service) -> Value {
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let request = http::Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
        .header("content-type", "application/json")
        .body(Bytes::from(body.to_string()))
        .expect("a request");
    let response = service.clone().oneshot(request).await.expect("an answer");
    assert!(response.status().is_success(), "{}", response.status());
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let review: Value = serde_json::from_slice(&body).expect("JSON");
    review["status"]["userInfo"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_asked_for_again_and_no_request_is_the_worse_for_it() {
    let Some(cluster) = shared() else { return };
    let mut config = Config::from_kubeconfig(cluster.kubeconfig(), None).expect("the cluster's kubeconfig");
    let runs = std::env::temp_dir().join(format!("engine-credentials-{}", std::process::id()));
    let _ = std::fs::remove_file(&runs);
    // The first token is nobody's, as one that was revoked; the second is good.
    let answer = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"%s"}}"#;
    let script = format!(
        "echo run >> {file}; if [ $(wc -l < {file}) -eq 1 ]; then token=revoked; else token=$TOKEN; fi; printf '{answer}' $token",
        file = runs.display()
    );
    config.credential = Credential::Exec(Exec {
        version: ExecVersion::V1,
        command: "sh".into(),
        args: vec!["-c".to_owned(), script],
        env: vec![("TOKEN".to_owned(), cluster.token().to_owned().into())],
        install_hint: None,
        interactive: ExecInteractive::Never,
        cluster: None,
    });
    let service = transport::connect(&config).expect("a usable configuration");
    let reviews = futures_util::future::join_all((0..50).map(|_| who_am_i(&service))).await;
    assert!(reviews.iter().all(|user| user["groups"].to_string().contains("system:masters")), "{reviews:?}");
    let told = std::fs::read_to_string(&runs).expect("the command has run");
    assert_eq!(told.lines().count(), 2, "once for all, and once more for all");
    let _ = std::fs::remove_file(&runs);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_identity_is_what_the_server_sees() {
    let Some(cluster) = shared() else { return };
    let mut config = Config::from_kubeconfig(cluster.kubeconfig(), None).expect("the cluster's kubeconfig");
    let token = std::env::temp_dir().join(format!("engine-credentials-token-{}", std::process::id()));
    std::fs::write(&token, cluster.token()).expect("a file");
    config.credential = Credential::Token(Source::File(token.clone()));
    config.impersonation = Some(Impersonation {
        user: "jane".to_owned(),
        uid: Some("u-1".to_owned()),
        groups: vec!["dev".to_owned(), "ops".to_owned()],
        extra: vec![("example.com/team a".to_owned(), vec!["x".to_owned(), "y".to_owned()])],
    });
    let user = who_am_i(&transport::connect(&config).expect("a usable configuration")).await;
    assert_eq!((&user["username"], &user["uid"]), (&json!("jane"), &json!("u-1")));
    let groups = user["groups"].as_array().expect("groups");
    assert!(groups.contains(&json!("dev")) && groups.contains(&json!("ops")), "{groups:?}");
    assert!(!groups.contains(&json!("system:masters")), "{groups:?}");
    assert_eq!(user["extra"]["example.com/team a"], json!(["x", "y"]));
    let _ = std::fs::remove_file(&token);
}
