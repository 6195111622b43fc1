//! Servers on loopback that behave as told: with hyper over plain TCP or TLS, by hand, or falling silent.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

pub(super) type Answer = http::Response<Full<Bytes>>;

/// An answer with this body.
pub(super) fn text(body: impl Into<Bytes>) -> Answer {
    Answer::new(Full::new(body.into()))
}

/// Hands each connection to `script`, with its number from 0.
pub(super) async fn scripted<F>(script: impl Fn(usize, TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (socket, _) = listener.accept().await.unwrap();
            tokio::spawn(script(number, socket));
        }
    });
    address
}

/// Answers HTTP/1.1 over plain TCP.
pub(super) async fn plain(handler: impl Fn(&http::Request<Incoming>) -> Answer + Send + Sync + 'static) -> SocketAddr {
    let handler = Arc::new(handler);
    scripted(move |_, socket| converse(socket, false, handler.clone())).await
}

/// Answers over TLS, in the protocol that was negotiated. The body is the request's version, and `known` after it
/// where the client showed a certificate.
pub(super) async fn secure(settings: ServerConfig) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(settings));
    scripted(move |_, socket| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(socket).await else {
                return;
            };
            let session = stream.get_ref().1;
            let h2 = session.alpn_protocol() == Some(b"h2");
            let known = if session.peer_certificates().is_some() { " known" } else { "" };
            let answer = move |request: &http::Request<Incoming>| text(format!("{:?}{known}", request.version()));
            converse(stream, h2, Arc::new(answer)).await;
        }
    })
    .await
}

async fn converse<S, H>(stream: S, h2: bool, handler: Arc<H>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Fn(&http::Request<Incoming>) -> Answer + Send + Sync + 'static,
{
    let answer = service_fn(move |request| {
        let response = handler(&request);
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let stream = TokioIo::new(stream);
    if h2 {
        let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(stream, answer).await;
    } else {
        let _ = http1::Builder::new().serve_connection(stream, answer).await;
    }
}

/// Forwards to `server` until told to fall silent: then bytes vanish, and nothing is closed.
pub(super) async fn silenced(server: SocketAddr) -> (SocketAddr, watch::Sender<bool>) {
    let (silence, silent) = watch::channel(false);
    let address = scripted(move |_, client| {
        let mut silent = silent.clone();
        async move {
            let mut client = client;
            let mut upstream = TcpStream::connect(server).await.unwrap();
            let forwarding = tokio::io::copy_bidirectional(&mut client, &mut upstream);
            let told = async { silent.wait_for(|silent| *silent).await.is_ok() };
            tokio::select! {
                _ = forwarding => return,
                _ = told => {}
            }
            std::future::pending::<()>().await;
        }
    })
    .await;
    (address, silence)
}

/// Reads one request without a body, up to the empty line; gives its first line.
pub(super) async fn read_request(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().lines().next().unwrap().to_owned()
}

/// Writes bytes as they are.
pub(super) async fn write(socket: &mut TcpStream, text: &str) {
    socket.write_all(text.as_bytes()).await.unwrap();
    socket.flush().await.unwrap();
}
