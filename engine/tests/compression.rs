//! Compressed watches against an API server, which sends each event, or several that wait, as a gzip member of its own:
//! the cache has an event as soon as it is sent, and loses none when the stream is cut inside of a member.

mod support;

use std::io::Read as _;

use bytes::Bytes;
use engine::transport::{self, Request};
use flate2::bufread::GzDecoder;
use http_body_util::BodyExt as _;
use support::{PATIENCE, Reflected, Requests, Space, client, shared, until};
use tower::ServiceExt as _;

/// The members at the beginning of `stream` that are complete, each decompressed.
fn members(mut stream: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while !stream.is_empty() {
        let (mut text, mut decoder) = (String::new(), GzDecoder::new(stream));
        if decoder.read_to_string(&mut text).is_err() {
            break;
        }
        found.push(text);
        stream = decoder.into_inner();
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_compresses_each_event_of_a_watch_on_its_own_and_the_cache_has_it_at_once() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "compressed");
    space.fill(3).await;

    // Who asks for an encoding gets the bytes as they were sent.
    let path = "/api/v1/namespaces/compressed/configmaps?watch=1&allowWatchBookmarks=true&sendInitialEvents=true\
                &resourceVersionMatch=NotOlderThan&timeoutSeconds=60";
    let request = http::Request::get(path).header("accept-encoding", "gzip").body(Bytes::new()).expect("a request");
    let service = transport::connect(&space.config).expect("a usable configuration");
    let response = service.oneshot(request as Request).await.expect("an answer");
    assert_eq!(response.headers()["content-encoding"], "gzip");

    let (service, requests) = Requests::of(transport::connect(&space.config).expect("a usable configuration"));
    let reflected = Reflected::start(client(&service), space.name);
    reflected.reader.synced().await;
    for name in ["one", "two", "three"] {
        space.create(name, name).await;
        until("the event", || reflected.value(&space.key(name)).as_deref() == Some(name)).await;
    }
    assert_eq!(requests.all().len(), 1, "one watch brought it all: {:?}", requests.all());
    assert_eq!(reflected.state(), space.state());

    let (mut sent, mut body) = (Vec::new(), response.into_body());
    while !members(&sent).iter().any(|member| member.contains(r#""name":"three""#)) {
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await.expect("an event comes when it happens");
        sent.extend_from_slice(&frame.expect("the watch goes on").expect("a frame").into_data().expect("data"));
    }
    let members = members(&sent);
    assert!(members.len() >= 4, "the initial events, and each that came by itself: {members:#?}");
    assert!(members.iter().all(|member| member.ends_with('\n')), "an event is never split: {members:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_stream_that_is_cut_inside_of_a_member_is_resumed_and_loses_nothing() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "cut-compressed");
    space.fill(5).await;
    let (proxy, reflected, requests) = support::behind_proxy(&space).await;
    for round in 0..8 {
        // Inside of the record that carries the event, each time at another place.
        proxy.cut_after(40 + 37 * round);
        space.update("app-0", &format!("round {round}")).await;
        until("the event after the cut", || proxy.cuts() > round && reflected.state() == space.state()).await;
    }
    reflected.assert_history();
    assert_eq!(requests.lists(), 1, "resumed, never listed again: {:?}", requests.all());
}
