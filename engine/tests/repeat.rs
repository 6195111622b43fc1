//! Writes whose answers are lost, against an API server: what may have been executed is not sent again unless that is
//! harmless.

mod support;

use std::time::Duration;

use bytes::Bytes;
use engine::transport::{self, Error, Repeatable, Request, Response, Service};
use serde_json::{Value, json};
use support::{Proxy, Space, config_map, shared, until};
use tower::ServiceExt as _;

/// A request whose answer is lost: it reaches the server, and when `executed` says that it has taken effect, its connection is
/// reset. What is sent again finds a good connection.
async fn lose_the_answer(
    proxy: &Proxy,
    service: &Service,
    request: Request,
    executed: impl Fn() -> bool,
) -> Result<Response, Error> {
    // The connections are there before, since a handshake can't be held.
    for _ in 0..4 {
        let warm = http::Request::get("/version").body(Bytes::new()).expect("a request");
        service.clone().oneshot(warm).await.expect("an answer");
    }
    proxy.hold();
    let answer = tokio::spawn(service.clone().oneshot(request));
    until("the server has executed it", executed).await;
    proxy.reset();
    proxy.release();
    answer.await.expect("no panic")
}

fn request(method: &str, path: &str, content: &str, body: &Value, said: Option<Repeatable>) -> Request {
    let request = http::Request::builder().method(method).uri(path).header("content-type", content);
    let mut request = request.body(Bytes::from(body.to_string())).expect("a request");
    if let Some(said) = said {
        request.extensions_mut().insert(said);
    }
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_whose_answer_is_lost_makes_one_object_and_not_two() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "post-once");
    let (proxy, config) = Proxy::start(&space.config).await;
    let service = transport::connect(&config).expect("a usable configuration");
    let mut body = config_map("", "x");
    body["metadata"] = json!({"generateName": "once-"});
    let path = "/api/v1/namespaces/post-once/configmaps";
    for round in 1..=5 {
        let post = request("POST", path, "application/json", &body, None);
        let result = lose_the_answer(&proxy, &service, post, || space.state().len() == round).await;
        let error = result.expect_err("nobody knows what became of it");
        assert!(error.is_lost() && !error.is_unsent(), "{error:?}");
        // Long enough for every repetition that there might be.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(space.state().len(), round, "{:?}", space.state());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_with_a_precondition_whose_answer_is_lost_is_sent_again_and_not_executed_again() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "patch-twice");
    space.create("app", "1").await;
    let (proxy, config) = Proxy::start(&space.config).await;
    let service = transport::connect(&config).expect("a usable configuration");
    let path = "/api/v1/namespaces/patch-twice/configmaps/app";
    let (_, version, _) = space.state().remove("app").expect("it is there");
    let body = json!({"metadata": {"resourceVersion": version}, "data": {"value": "2"}});
    let merge = request("PATCH", path, "application/merge-patch+json", &body, Some(Repeatable::Yes));
    let executed = || space.state()["app"].2 == "2";
    let answer = lose_the_answer(&proxy, &service, merge, executed).await.expect("the second answer");
    assert_eq!(answer.status(), 409, "the first was executed, so the second was not");
    assert_eq!(space.state()["app"].2, "2");
}
