//! Against a collector on loopback, and against one that is not there or does not answer.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span, span::SpanKind};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tower::ServiceExt as _;
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{Instrument as _, debug_span, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::config::Tls;
use crate::metrics::Format;
use crate::shutdown;
use crate::trace;

/// What a collector was sent.
#[derive(Default)]
struct Told {
    heads: Vec<String>,
    resources: Vec<ResourceSpans>,
}

impl Told {
    fn spans(&self) -> Vec<Span> {
        let scopes = self.resources.iter().flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }
}

/// A collector that takes everything.
async fn collector() -> (SocketAddr, Arc<Mutex<Told>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let told = Arc::new(Mutex::new(Told::default()));
    let notes = told.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(take(socket, notes.clone()));
        }
    });
    (address, told)
}

async fn take(mut socket: TcpStream, told: Arc<Mutex<Told>>) -> Option<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).ok()?.to_lowercase();
        let length = head.split("content-length: ").nth(1)?.split('\r').next()?.parse().ok()?;
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await.ok()?;
        let request = ExportTraceServiceRequest::decode(&*body).ok()?;
        {
            let mut told = told.lock().ok()?;
            told.heads.push(head);
            told.resources.extend(request.resource_spans);
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok()?;
    }
}

fn settings(collector: SocketAddr) -> Settings {
    Settings {
        endpoint: format!("http://{collector}/v1/traces").parse().expect("a URL"),
        authority: None,
        timeout: Duration::from_secs(20),
        buffer: 100,
        batch: 10,
        delay: Duration::from_hours(1),
    }
}

fn begin(settings: &Settings) -> (Traces, Export, DefaultGuard) {
    let (traces, export) = channel(settings, "me", "1.2.3").expect("it can be made");
    let guard = set_default(tracing_subscriber::registry().with(traces.layer()));
    (traces, export, guard)
}

fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// The number of spans that have this fate.
fn counted(traces: &Traces, series: &str) -> u64 {
    let metrics = Metrics::default();
    traces.observed_by(&metrics);
    let text = metrics.render_as(Format::Prometheus).expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix(series)).expect("it is shown");
    line.trim().parse().expect("a number")
}

/// A server that notes in what name of a trace it was asked.
async fn asked() -> (transport::Service, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let parents = Arc::new(Mutex::new(Vec::new()));
    let notes = parents.clone();
    let handler = move |request: http::Request<()>| {
        let parent = request.headers().get(trace::HEADER).map_or("", |parent| parent.to_str().expect("text"));
        notes.lock().expect("unpoisoned").push(parent.to_owned());
        let mut response = http::Response::default();
        *response.status_mut() = if request.uri().path() == "/gone" { 404 } else { 200 }.try_into().expect("a status");
        response
    };
    let (trigger, shutdown) = shutdown::channel();
    tokio::spawn(async move {
        transport::serve(listener, handler, shutdown).await;
        drop(trigger);
    });
    let config = config::of_server(format!("http://{address}").parse().expect("a URL"), Tls::default());
    (transport::connect(&config.expect("a configuration")).expect("usable"), parents)
}

fn get(service: &transport::Service, path: &str) -> impl Future<Output = ()> + use<> {
    let request = http::Request::get(path).body(bytes::Bytes::new()).expect("a request");
    let service = service.clone();
    async move { drop(service.oneshot(request).await.expect("an answer")) }
}

#[tokio::test]
async fn a_request_is_a_child_of_what_asked_for_it_under_the_ids_that_the_server_was_told() {
    let (address, told) = collector().await;
    let (traces, export, _guard) = begin(&settings(address));
    let (end, ended) = shutdown::channel();
    let sending = tokio::spawn(export.run(ended));
    let (service, parents) = asked().await;

    let reconcile = info_span!(parent: None, "reconcile");
    let context = trace::Context::root().of_span(&reconcile);
    assert!(context.is_sampled());
    let work = async {
        get(&service, "/things?secret=1").await;
        get(&service, "/gone").instrument(info_span!("look")).await;
    };
    context.scope(work).instrument(reconcile).await;
    end.give();
    sending.await.expect("it ends");

    let told = told.lock().expect("unpoisoned");
    let attributes = &told.resources[0].resource.as_ref().expect("who tells").attributes;
    assert_eq!((text(attributes, "service.name"), text(attributes, "service.version")), (Some("me"), Some("1.2.3")));
    assert!(told.heads[0].starts_with("post /v1/traces http/1.1") && told.heads[0].contains("x-protobuf"));
    let spans = told.spans();
    let of = |what: &dyn Fn(&Span) -> bool| spans.iter().find(|span| what(span)).expect("it was told");
    let path = |wanted| move |span: &Span| text(&span.attributes, "url.path") == Some(wanted);
    let (root, look) = (of(&|span| span.name == "reconcile"), of(&|span| span.name == "look"));
    let (good, bad) = (of(&path("/things")), of(&path("/gone")));
    assert_eq!((spans.len(), root.parent_span_id.len()), (4, 0));
    assert_eq!(hex(&root.trace_id), context.trace_id().to_string());
    assert_eq!(hex(&root.span_id), context.span_id().to_string());
    assert_eq!((&good.parent_span_id, &bad.parent_span_id), (&root.span_id, &look.span_id));
    assert_eq!(look.parent_span_id, root.span_id);
    for (span, parent) in [good, bad].into_iter().zip(&*parents.lock().expect("unpoisoned")) {
        assert_eq!(*parent, format!("00-{}-{}-01", context.trace_id(), hex(&span.span_id)));
        assert_eq!((&*span.name, span.kind), ("GET", SpanKind::Client as i32));
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
    }
    // 2 is an error.
    assert_eq!((good.status.clone().unwrap_or_default().code, bad.status.clone().unwrap_or_default().code), (0, 2));
    assert_eq!(counted(&traces, "engine_trace_spans_exported_total"), 4);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[tokio::test]
async fn what_belongs_to_no_reconcile_and_what_is_only_for_debugging_is_not_told() {
    let (address, told) = collector().await;
    let (_, export, _guard) = begin(&settings(address));
    let (service, parents) = asked().await;
    get(&service, "/watch").await;
    drop(info_span!("visible").entered());
    drop(debug_span!("hidden").entered());
    let (end, ended) = shutdown::channel();
    end.give();
    export.run(ended).await;
    let names: Vec<_> = told.lock().expect("unpoisoned").spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["visible"]);
    assert_eq!(*parents.lock().expect("unpoisoned"), [""], "nor is the server told of a trace");
}

#[tokio::test]
async fn a_batch_goes_out_when_it_is_full_and_the_rest_at_the_end() {
    let (address, told) = collector().await;
    let (_, export, _guard) = begin(&settings(address));
    let (end, ended) = shutdown::channel();
    let sending = tokio::spawn(export.run(ended));
    let count = || told.lock().expect("unpoisoned").spans().len();
    for number in 0..13 {
        drop(info_span!("span", number).entered());
    }
    let full = async {
        while count() < 10 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), full).await.expect("a full batch is sent");
    assert_eq!(count(), 10, "three wait for their batch to fill, or for the hour to pass");
    // More than one batch, of which nothing is gathered yet.
    for number in 0..25 {
        drop(info_span!("span", number).entered());
    }
    end.give();
    sending.await.expect("it ends");
    assert_eq!(count(), 38);
}

#[tokio::test]
async fn spans_beyond_the_buffer_are_dropped_and_counted_and_nothing_waits() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let (traces, export, _guard) = begin(&settings(nobody));
    for _ in 0..1_000 {
        drop(info_span!("span").entered());
    }
    assert_eq!(counted(&traces, "engine_trace_spans_dropped_total{reason=\"buffer_full\"}"), 900);
    // Nobody is there to take them: the first batch finds out, and the others are not tried at the end.
    let (end, ended) = shutdown::channel();
    end.give();
    export.run(ended).await;
    assert_eq!(counted(&traces, "engine_trace_spans_dropped_total{reason=\"export_failed\"}"), 100);
    assert_eq!(counted(&traces, "engine_trace_spans_exported_total"), 0);
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_nothing_up_but_its_own_spans() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let silent = Settings {
        timeout: Duration::from_millis(200),
        delay: Duration::from_millis(1),
        ..settings(listener.local_addr().expect("an address"))
    };
    let (traces, export, _guard) = begin(&silent);
    let (end, ended) = shutdown::channel();
    let sending = tokio::spawn(export.run(ended));
    let failed = || counted(&traces, "engine_trace_spans_dropped_total{reason=\"export_failed\"}");
    drop(info_span!("first").entered());
    let started = Instant::now();
    while failed() == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "it is given up");
        // What ends meanwhile waits for nothing: this is the thread that sends.
        drop(info_span!("another").entered());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    end.give();
    sending.await.expect("it ends");
    assert_eq!(counted(&traces, "engine_trace_spans_exported_total"), 0);
    drop(listener);
}
