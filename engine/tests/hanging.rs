//! Servers that leave a cache without an answer, for longer than anyone would wait: each is a script, and the clock stands still
//! but where all wait.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use engine::object::{Key, Metadata, ResourceVersion};
use engine::transport::{self, Request, Service};
use engine::watch::{End, Reason};
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, Full};
use tower::service_fn;

use self::support::{ConfigMap, Reflected, client, refusal};

/// Pain 4: a connection that is open, and brings nothing, froze the cache. Here the server is told by nobody that the other
/// end is gone, and pings are answered: the stream alone stands still.
#[tokio::test(start_paused = true)]
async fn a_stream_that_stands_still_is_left_after_75_seconds_though_its_connection_lives() {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = opened.clone();
    let service = Service::new(service_fn(move |request: Request| {
        let (uri, number) = (request.uri().to_string(), count.clone());
        async move {
            let list = r#"{"metadata":{"resourceVersion":"5"},"items":[]}"#;
            let body =
                |text: &'static str| Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {});
            Ok(match () {
                () if uri.contains("sendInitialEvents") => refusal(422, "Invalid"),
                () if uri.contains("watch=1") => {
                    number.fetch_add(1, Ordering::SeqCst);
                    let nothing = futures_util::stream::pending::<Result<http_body::Frame<Bytes>, transport::Error>>();
                    http::Response::new(http_body_util::StreamBody::new(nothing).boxed_unsync())
                }
                () => http::Response::new(body(list).boxed_unsync()),
            })
        }
    }));
    let reflected = Reflected::start(client(&service), "still");
    reflected.reader.synced().await;
    while opened.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let started = tokio::time::Instant::now();
    while opened.load(Ordering::SeqCst) == 1 {
        assert!(started.elapsed() < Duration::from_secs(200), "it is never left");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = started.elapsed();
    assert!((74..77).contains(&took.as_secs()), "{took:?}");
    // Once more, and everything is listed again: the server may have gone back in time.
    while reflected.stats().lists(Reason::Ended(End::Silent)) == 0 {
        assert!(started.elapsed() < Duration::from_secs(200));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A read that hangs, of an own write that the watch does not bring, held up the watch.
#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_say_what_became_of_a_write_holds_up_no_event() {
    let (events, stream) = tokio::sync::mpsc::unbounded_channel::<&'static str>();
    let (stream, asked) = (Arc::new(std::sync::Mutex::new(Some(stream))), Arc::new(AtomicUsize::new(0)));
    let asks = asked.clone();
    let service = Service::new(service_fn(move |request: Request| {
        let (uri, stream, asks) = (request.uri().to_string(), stream.clone(), asks.clone());
        async move {
            let body = Full::new(Bytes::from_static(br#"{"metadata":{"resourceVersion":"5"},"items":[]}"#));
            Ok(match () {
                () if uri.contains("sendInitialEvents") => refusal(422, "Invalid"),
                () if uri.contains("watch=1") => {
                    let mut stream = stream.lock().expect("no panic").take().expect("one watch");
                    let events = futures_util::stream::poll_fn(move |context| stream.poll_recv(context));
                    let frames = events.map(|event| Ok(http_body::Frame::data(Bytes::from_static(event.as_bytes()))));
                    http::Response::new(http_body_util::StreamBody::new(frames).boxed_unsync())
                }
                () if uri.contains("limit=") => {
                    http::Response::new(body.map_err(|never| match never {}).boxed_unsync())
                }
                () => {
                    asks.fetch_add(1, Ordering::SeqCst);
                    std::future::pending().await
                }
            })
        }
    }));
    let reflected = Reflected::start(client(&service), "hanging");
    reflected.reader.synced().await;
    let metadata = Metadata {
        name: "own".into(),
        namespace: "hanging".into(),
        resource_version: ResourceVersion("6".into()),
        ..Metadata::default()
    };
    reflected.reader.remember(ConfigMap { metadata, data: std::collections::BTreeMap::new() });
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let sent = tokio::time::Instant::now();
    let event = concat!(
        r#"{"type":"ADDED","object":{"metadata":{"name":"new","namespace":"hanging","uid":"u","resourceVersion":"6"}}}"#,
        "\n"
    );
    events.send(event).expect("it is read");
    while reflected.value(&Key::new("hanging", "new")).is_none() {
        assert!(sent.elapsed() < Duration::from_mins(1), "the event is never taken in");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(sent.elapsed() < Duration::from_secs(1), "{:?}", sent.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_to_wait_is_left_in_peace_for_as_long() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let when = asked.clone();
    let service = Service::new(service_fn(move |_: Request| {
        when.lock().expect("no panic").push(tokio::time::Instant::now());
        let mut answer = refusal(429, "TooManyRequests");
        answer.headers_mut().insert("retry-after", http::HeaderValue::from_static("17"));
        async { Ok(answer) }
    }));
    let _reflected = Reflected::start(client(&service), "busy");
    let started = tokio::time::Instant::now();
    while asked.lock().expect("no panic").len() < 4 {
        assert!(started.elapsed() < Duration::from_secs(200), "it is never asked again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let asked = asked.lock().expect("no panic");
    for pair in asked.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_secs(17), "{:?}", pair[1] - pair[0]);
    }
}
