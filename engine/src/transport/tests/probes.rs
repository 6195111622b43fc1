//! The server for probes and metrics.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::shutdown::{Trigger, channel};

/// A server, its address, and what stops it.
async fn start() -> (JoinHandle<()>, SocketAddr, Trigger) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (trigger, shutdown) = channel();
    let answer = |request: http::Request<()>| {
        assert!(request.uri().path() != "/panic", "as asked for");
        let found = request.uri().path() == "/healthz";
        let status = if found { 200 } else { 404 };
        http::Response::builder().status(status).body("a body".to_owned()).unwrap()
    };
    (tokio::spawn(serve(listener, answer, shutdown)), address, trigger)
}

/// All that comes back until the server closes.
async fn ask(address: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    read(socket).await
}

async fn read(mut socket: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset ends it as well as a close.
    let _ = socket.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

fn closing(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn probes_are_answered_and_a_panic_costs_one_connection() {
    let (_server, address, _trigger) = start().await;
    let answer = ask(address, &closing("/healthz")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\na body"), "{answer}");
    assert!(ask(address, &closing("/other")).await.starts_with("HTTP/1.1 404"));
    assert_eq!(ask(address, &closing("/panic")).await, "");
    assert!(ask(address, "no HTTP\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    assert!(ask(address, &closing("/healthz")).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn the_server_stops_when_it_is_told_to() {
    let (server, address, trigger) = start().await;
    let mut kept = TcpStream::connect(address).await.unwrap();
    kept.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    kept.read_u8().await.unwrap();
    trigger.give();
    tokio::time::timeout(SOON, server).await.expect("does not stop").unwrap();
    read(kept).await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_finish_its_request_is_sent_away() {
    let (_server, address, _trigger) = start().await;
    for begun in ["", "GET /healthz HTTP/1.1\r\nhost:"] {
        let started = tokio::time::Instant::now();
        let waited = tokio::time::timeout(Duration::from_secs(30), ask(address, begun)).await;
        assert!(waited.is_ok(), "{begun:?} is waited for");
        assert!(started.elapsed() >= Duration::from_secs(1), "{begun:?} had no time");
    }
}

#[tokio::test]
async fn those_who_hold_every_connection_and_ask_nothing_keep_no_probe_out() {
    let (_server, address, _trigger) = start().await;
    let mut silent = Vec::new();
    for _ in 0..80 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let answer = tokio::time::timeout(SOON, ask(address, &closing("/healthz"))).await.expect("no place is made");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // The first ones made room, the last ones did not have to.
    let first = tokio::time::timeout(SOON, silent[0].read(&mut [0])).await.expect("it is closed");
    assert!(matches!(first, Ok(0) | Err(_)), "{first:?}");
    let short = Duration::from_millis(100);
    assert!(tokio::time::timeout(short, silent[79].read(&mut [0])).await.is_err(), "it may still ask");
}

#[tokio::test]
async fn an_answer_to_head_has_no_body_and_a_head_that_is_too_long_is_refused() {
    let (_server, address, _trigger) = start().await;
    let answer = ask(address, &closing("/healthz").replacen("GET", "HEAD", 1)).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"), "{answer}");
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(8 * 1024));
    let answer = ask(address, &long).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}
