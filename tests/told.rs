//! What an operator tells of itself: traces to a collector, its state to who debugs it, its metrics.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Attribute};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Value, json};

use crate::support::{Space, wait_for};

/// The spans that a collector was sent, each with the name of who tells.
type Told = Arc<Mutex<Vec<(String, Span)>>>;

/// A collector on loopback, and what it was sent.
fn collector() -> (SocketAddr, Told) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let told = Told::default();
    let notes = told.clone();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let notes = notes.clone();
            thread::spawn(move || take(socket, &notes));
        }
    });
    (address, told)
}

/// Takes requests until the connection ends.
fn take(mut socket: TcpStream, told: &Told) -> Option<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).ok()?;
            head.extend(byte);
        }
        let head = String::from_utf8(head).ok()?.to_lowercase();
        assert!(head.contains("x-key: secret\r\n"), "the header that the environment asks for: {head}");
        let length = head.split("content-length: ").nth(1)?.split('\r').next()?.parse().ok()?;
        let mut body = vec![0; length];
        socket.read_exact(&mut body).ok()?;
        for resource in ExportTraceServiceRequest::decode(&*body).ok()?.resource_spans {
            let service = text(&resource.resource?.attributes, "service.name");
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            told.lock().ok()?.extend(spans.map(|span| (service.clone(), span)));
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}

fn text(attributes: &[KeyValue], name: &str) -> String {
    let value = attributes.iter().find(|attribute| attribute.key == name).and_then(|found| found.value.clone()?.value);
    if let Some(Attribute::StringValue(text)) = value { text } else { String::new() }
}

#[test]
fn a_collector_is_told_of_reconciles_and_their_requests_and_the_last_ones_at_the_end() {
    let Some(space) = Space::new("traced") else { return };
    let (address, told) = collector();
    let mut operator = space.world.operator_in(
        &["--namespace", &space.name, "--log-format=json"],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{address}")),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret"),
            // Nothing goes out before the end.
            ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2048"),
            // Of which a server on loopback knows nothing.
            ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ],
    );
    space.application("web", &json!({"image": "nginx:1.29", "replicas": 1, "port": 80}));
    space.wait_until_ready("web");

    let state: Value = serde_json::from_str(&operator.controllers()).expect("JSON");
    let controller = &state["controllers"][0];
    let of = |resource: &str| {
        let sources = controller["sources"].as_array().expect("a list");
        sources.iter().find(|source| source["resource"] == resource).cloned().unwrap_or_default()
    };
    assert_eq!((&controller["controller"], &controller["leading"]), (&json!("application"), &json!(true)));
    let (applications, deployments) = (of("applications.minetto.dev"), of("deployments.apps"));
    assert_eq!((&applications["synced"], &applications["objects"]), (&json!(true), &json!(1)), "{state:#}");
    assert!(deployments["events"].as_u64() > Some(0), "{state:#}");
    assert!(!state.to_string().contains("nginx"), "what is in objects is not shown");

    let metrics = operator.metrics();
    let value = |series: &str| {
        let found = metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok());
        found.unwrap_or_else(|| panic!("{series} is missing in {metrics}"))
    };
    let host = space.world.cluster.server().trim_start_matches("https://").trim_end_matches('/').to_owned();
    assert!(value(&format!("engine_open_connections{{host=\"{host}\"}}")) >= 2.0);
    assert!(value("engine_writes_suppressed_total{resource=\"deployments.apps\"}") > 0.0);
    assert!(told.lock().expect("unpoisoned").is_empty(), "nothing yet");

    operator.terminate();
    assert!(operator.wait().success());
    wait_for("the last spans", || (!told.lock().ok()?.is_empty()).then_some(()));
    let told = told.lock().expect("unpoisoned");
    assert!(told.iter().all(|(service, _)| service == "application-operator"));
    let attribute = |span: &Span, name| text(&span.attributes, name);
    let write = told.iter().map(|(_, span)| span).find(|span| {
        attribute(span, "http.request.method") == "PATCH" && attribute(span, "url.path").ends_with("/web-deployment")
    });
    let write = write.expect("the Deployment was applied");
    let parent = told.iter().map(|(_, span)| span).find(|span| span.span_id == write.parent_span_id);
    let parent = parent.expect("it belongs to a reconcile");
    assert_eq!((&*parent.name, &parent.trace_id), ("reconcile", &write.trace_id));
    assert_eq!((attribute(parent, "object"), attribute(parent, "namespace")), ("web".to_owned(), space.name.clone()));
    let trace: String = write.trace_id.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert!(operator.log().contains(&trace), "the log names the same trace");
    assert!(!told.iter().any(|(_, span)| span.name == "GET" && span.parent_span_id.is_empty()), "no watch is a trace");
}
