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
async fn connections_are_limited_and_places_are_given_back() {
    let (_server, address, _trigger) = start().await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut late = tokio::spawn(async move { ask(address, &closing("/healthz")).await });
    let short = Duration::from_millis(300);
    assert!(tokio::time::timeout(short, &mut late).await.is_err(), "there is no place for it");
    silent.pop();
    let answer = tokio::time::timeout(SOON, late).await.expect("no place is given back").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
