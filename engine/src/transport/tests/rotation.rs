//! Certificates that are replaced while the process runs: the server's authority, our own, those that a command tells.

use std::convert::Infallible;
use std::path::PathBuf;

use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::certificates::{Authority, Certified, server, strict};
use super::server::{read_request, scripted, secure, write};
use super::*;
use crate::config::{Exec, ExecInteractive, ExecVersion, Identity};

/// A folder of files; removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("engine-rotation-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> Source {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        Source::File(path)
    }

    fn identity(&self, certified: &Certified) -> Identity {
        Identity {
            certificate_chain: self.write("tls.crt", &certified.certificate),
            key: self.write("tls.key", &certified.key),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_server_with_a_new_authority_is_believed_as_soon_as_its_file_says_so() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let acceptor = |authority: &Authority| TlsAcceptor::from(Arc::new(server(&authority.certify("127.0.0.1"), &[])));
    let present = Arc::new(Mutex::new(acceptor(&old)));
    let shown = present.clone();
    let address = scripted(move |_, socket| {
        let acceptor = shown.lock().unwrap().clone();
        async move {
            let Ok(mut stream) = acceptor.accept(socket).await else { return };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                head.push(byte);
            }
            let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    })
    .await;
    let folder = Folder::new("authority");
    let mut config = config(&format!("https://{address}"));
    config.tls.authority = Some(folder.write("ca.crt", &old.pem()));
    let mut service = connect(&config).unwrap();
    get(&mut service, "/version").await.unwrap();

    *present.lock().unwrap() = acceptor(&new);
    let error = get(&mut service, "/version").await.unwrap_err();
    assert!(error.is_connect() && chain(&error).contains("UnknownIssuer"), "{}", chain(&error));

    folder.write("ca.crt", "half a file");
    let changed = Instant::now();
    while changed.elapsed() < Duration::from_millis(1200) {
        assert!(get(&mut service, "/version").await.is_err(), "what can't be read changes nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    folder.write("ca.crt", &new.pem());
    while let Err(error) = get(&mut service, "/version").await {
        assert!(changed.elapsed() < SOON, "{}", chain(&error));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_new_client_certificate_is_shown_and_connections_of_the_old_one_end_with_their_watches() {
    let (authority, clients) = (Authority::new("us"), Authority::new("clients"));
    let (first, second) = (clients.certify("first"), clients.certify("second"));
    let second_der = pem::certificates(second.certificate.as_bytes()).unwrap().remove(0);
    let acceptor = TlsAcceptor::from(Arc::new(strict(&authority.certify("127.0.0.1"), &clients)));
    let (closed, mut closings) = tokio::sync::mpsc::unbounded_channel();
    let release = Arc::new(tokio::sync::Notify::new());
    let released = release.clone();
    let address = scripted(move |_, socket| {
        let (acceptor, closed, second_der) = (acceptor.clone(), closed.clone(), second_der.clone());
        let released = released.clone();
        async move {
            let stream = acceptor.accept(socket).await.unwrap();
            let is_second = stream.get_ref().1.peer_certificates().unwrap()[0] == second_der;
            let who = if is_second { "second" } else { "first" };
            let service = service_fn(move |request: http::Request<Incoming>| {
                let released = released.clone();
                // The head comes at once; the body of a watch does when it is released.
                let body = async move {
                    if request.uri().query().is_some() {
                        released.notified().await;
                    }
                    Ok::<_, Infallible>(Frame::data(Bytes::from_static(who.as_bytes())))
                };
                let response = http::Response::new(StreamBody::new(stream::once(Box::pin(body))));
                std::future::ready(Ok::<_, Infallible>(response))
            });
            let http2 = http2::Builder::new(TokioExecutor::new());
            let _ = http2.serve_connection(TokioIo::new(stream), service).await;
            let _ = closed.send(who);
        }
    })
    .await;
    let folder = Folder::new("identity");
    let mut config = config(&format!("https://{address}"));
    config.tls.authority = Some(Source::Inline(authority.pem().into_bytes().into()));
    config.tls.identity = Some(folder.identity(&first));
    let service = connect(&config).unwrap();
    let ask = |path: &'static str| {
        let mut service = service.clone();
        async move { body(get(&mut service, path).await?).await }
    };
    assert_eq!(ask("/version").await.unwrap(), "first");
    let watch = get(&mut service.clone(), "/version?watch=1").await.unwrap();
    let watch = tokio::spawn(body(watch));

    folder.identity(&second);
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(1)).await;
    tokio::time::resume();
    assert_eq!(ask("/version").await.unwrap(), "second", "the next request already");
    let closing = tokio::time::timeout(SOON, closings.recv()).await.expect("idle connections end at once");
    assert_eq!(closing, Some("first"));
    assert!(!watch.is_finished(), "a watch is not cut");
    release.notify_one();
    assert_eq!(watch.await.unwrap().unwrap(), "first");
    let closing = tokio::time::timeout(SOON, closings.recv()).await.expect("its connection ends with it");
    assert_eq!(closing, Some("first"));
}

#[tokio::test]
async fn a_certificate_that_a_command_tells_is_shown() {
    let (authority, clients) = (Authority::new("us"), Authority::new("clients"));
    let me = clients.certify("me");
    let answer = serde_json::json!({
        "kind": "ExecCredential",
        "apiVersion": ExecVersion::V1.as_str(),
        "status": {"clientCertificateData": me.certificate, "clientKeyData": me.key},
    });
    let folder = Folder::new("told");
    let Source::File(path) = folder.write("answer", &answer.to_string()) else { panic!("a file") };
    let address = secure(strict(&authority.certify("127.0.0.1"), &clients)).await;
    let mut config = config(&format!("https://{address}"));
    config.tls.authority = Some(Source::Inline(authority.pem().into_bytes().into()));
    config.credential = Credential::Exec(Exec {
        version: ExecVersion::V1,
        command: "cat".into(),
        args: vec![path.display().to_string()],
        env: Vec::new(),
        install_hint: None,
        interactive: ExecInteractive::Never,
        cluster: None,
    });
    let response = get(&mut connect(&config).unwrap(), "/version").await.unwrap();
    assert_eq!(body(response).await.unwrap(), "HTTP/2.0 known");
}

#[tokio::test]
async fn certificates_of_a_command_that_are_none_are_told_and_not_shown() {
    let address = scripted(|_, mut socket| async move {
        read_request(&mut socket).await;
        write(&mut socket, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    let answer = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",
                     "status":{"clientCertificateData":"hunter2","clientKeyData":"hunter2"}}"#;
    let mut config = config(&format!("http://{address}"));
    config.credential = Credential::Exec(Exec {
        version: ExecVersion::V1,
        command: "echo".into(),
        args: vec![answer.to_owned()],
        env: Vec::new(),
        install_hint: None,
        interactive: ExecInteractive::Never,
        cluster: None,
    });
    let error = get(&mut connect(&config).unwrap(), "/version").await.unwrap_err();
    let text = format!("{} {error:?}", chain(&error));
    assert!(error.is_unsent() && text.contains("client certificate") && !text.contains("hunter2"), "{text}");
}
