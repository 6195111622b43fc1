//! The whole stack over real sockets.

mod certificates;
mod probes;
mod proxied;
mod rotation;
mod secured;
mod server;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use http_body_util::BodyExt as _;
use tower::Service as _;

use self::server::{plain, read_request, scripted, text, write};
use super::*;
use crate::config::{Credential, Source, Tls};

/// Far more than anything here takes, far less than a person's patience.
const SOON: Duration = Duration::from_secs(5);

fn config(server: &str) -> Config {
    Config {
        server: server.parse().unwrap(),
        default_namespace: "default".to_owned(),
        tls: Tls::default(),
        credential: Credential::None,
        impersonation: None,
        proxy: None,
        disable_compression: false,
    }
}

fn to(address: SocketAddr) -> Service {
    connect(&config(&format!("http://{address}"))).unwrap()
}

fn request(method: &str, uri: &str) -> Request {
    http::Request::builder().method(method).uri(uri).body(Bytes::new()).unwrap()
}

async fn get(service: &mut Service, uri: &str) -> Result<Response, Error> {
    tokio::time::timeout(SOON, service.call(request("GET", uri))).await.expect("hangs")
}

async fn body(response: Response) -> Result<String, Error> {
    let collected = tokio::time::timeout(SOON, response.into_body().collect()).await;
    Ok(String::from_utf8(collected.expect("hangs")?.to_bytes().to_vec()).unwrap())
}

/// An error with its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[test]
fn the_seam_can_be_cloned_and_shared() {
    fn check<T: Clone + Send + Sync + 'static>() {}
    check::<Service>();
}

#[tokio::test]
async fn a_path_is_completed_with_the_servers_address_and_base() {
    let address = plain(|request| {
        let agent = request.headers()["user-agent"].to_str().unwrap();
        text(format!("{} {} {agent}", request.headers()["host"].to_str().unwrap(), request.uri()))
    })
    .await;
    for base in ["/k8s/clusters/c-1", "/k8s/clusters/c-1/"] {
        let config = config(&format!("http://{address}{base}"));
        let options = Options::default().user_agent("me/1");
        let mut service = connect_with(&config, options).unwrap();
        let response = get(&mut service, "/api/v1/pods?limit=1").await.unwrap();
        let expected = format!("{address} /k8s/clusters/c-1/api/v1/pods?limit=1 me/1");
        assert_eq!(body(response).await.unwrap(), expected);
    }
    let response = get(&mut to(address), "/version").await.unwrap();
    let expected = format!("{address} /version engine/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(body(response).await.unwrap(), expected);
}

#[tokio::test]
async fn frames_are_handed_on_as_they_come() {
    let (next, mut wanted) = tokio::sync::mpsc::unbounded_channel::<()>();
    let wanted_once = Arc::new(Mutex::new(Some(async move { wanted.recv().await.unwrap() })));
    let address = scripted(move |_, mut socket| {
        let wanted = wanted_once.lock().unwrap().take().unwrap();
        async move {
            read_request(&mut socket).await;
            write(&mut socket, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n").await;
            wanted.await;
            write(&mut socket, "3\r\ntwo\r\n0\r\n\r\n").await;
        }
    })
    .await;
    let mut frames = get(&mut to(address), "/api/v1/pods?watch=1").await.unwrap().into_body();
    let first = tokio::time::timeout(SOON, frames.frame()).await.expect("held back");
    assert_eq!(first.unwrap().unwrap().into_data().unwrap(), "one");
    next.send(()).unwrap();
    let second = tokio::time::timeout(SOON, frames.frame()).await.expect("held back");
    assert_eq!(second.unwrap().unwrap().into_data().unwrap(), "two");
    assert!(frames.frame().await.is_none());
}

#[tokio::test]
async fn a_body_that_ends_too_early_is_an_error() {
    let address = scripted(|_, mut socket| async move {
        read_request(&mut socket).await;
        write(&mut socket, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\none").await;
    })
    .await;
    let response = get(&mut to(address), "/api/v1/pods").await.unwrap();
    let error = body(response).await.unwrap_err();
    assert!(error.is_lost() && matches!(error, Error::Cut(_)), "{}", chain(&error));
}

/// A server whose first connections end after a request that they answer with nothing; and how many requests it read.
async fn dropping(times: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    let address = scripted(move |number, mut socket| {
        let counter = counter.clone();
        async move {
            read_request(&mut socket).await;
            counter.fetch_add(1, Ordering::SeqCst);
            if number >= times {
                write(&mut socket, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            }
        }
    })
    .await;
    (address, seen)
}

#[tokio::test]
async fn a_get_survives_a_lost_connection_within_a_second() {
    let (address, seen) = dropping(1).await;
    let started = Instant::now();
    assert_eq!(get(&mut to(address), "/version").await.unwrap().status(), 200);
    assert_eq!(seen.load(Ordering::SeqCst), 2);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_write_is_sent_once_even_if_its_connection_is_lost() {
    for method in ["POST", "PATCH", "PUT", "DELETE"] {
        let (address, seen) = dropping(1).await;
        let error = to(address).call(request(method, "/api/v1/pods")).await.err().unwrap();
        assert!(error.is_lost() && !error.is_unsent(), "{}", chain(&error));
        assert_eq!(seen.load(Ordering::SeqCst), 1, "{method}");
    }
}

#[tokio::test]
async fn a_connection_that_is_refused_is_told_at_once() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let started = Instant::now();
    let error = get(&mut to(gone), "/version").await.err().unwrap();
    assert!(error.is_connect() && error.is_unsent(), "{}", chain(&error));
    let text = format!("cannot connect to http://{gone}: tcp connect error: Connection refused (os error 111)");
    assert_eq!(chain(&error), text);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_retry_is_hidden_from_the_caller_and_shown_to_the_observer() {
    let first = Arc::new(Mutex::new(true));
    let address = plain(move |_| {
        let mut answer = text("");
        if std::mem::take(&mut *first.lock().unwrap()) {
            *answer.status_mut() = http::StatusCode::TOO_MANY_REQUESTS;
            answer.headers_mut().insert("retry-after", "0".parse().unwrap());
            answer.headers_mut().insert("x-kubernetes-pf-flowschema-uid", "schema".parse().unwrap());
            answer.headers_mut().insert("x-kubernetes-pf-prioritylevel-uid", "level".parse().unwrap());
        }
        answer
    })
    .await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = seen.clone();
    let observer: Observer = Arc::new(move |attempt| {
        let Attempt { method, result, flow_schema, priority_level, .. } = attempt;
        let status = result.map_or(0, |status| status.as_u16());
        notes.lock().unwrap().push(format!("{method} {status} {flow_schema:?} {priority_level:?}"));
    });
    let options = Options::default().observer(observer);
    let mut service = connect_with(&config(&format!("http://{address}")), options).unwrap();
    let response = service.call(request("POST", "/api/v1/pods")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(*seen.lock().unwrap(), [r#"POST 429 Some("schema") Some("level")"#, "POST 200 None None"]);
}

#[tokio::test]
async fn connections_are_counted_while_they_are_open() {
    let address = scripted(|number, mut socket| async move {
        read_request(&mut socket).await;
        write(&mut socket, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        // The first stays until its client leaves; the second is ended here.
        if number == 0 {
            let _ = tokio::io::AsyncReadExt::read(&mut socket, &mut [0]).await;
        }
    })
    .await;
    let connections = Connections::default();
    let options = Options::default().connections(&connections);
    let mut service = connect_with(&config(&format!("http://{address}")), options).unwrap();
    assert_eq!(connections.open(), 0);
    get(&mut service, "/version").await.unwrap();
    assert_eq!(connections.open(), 1, "kept for later");
    let expected = async |count| {
        while connections.open() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // The other pool's turn.
    get(&mut service, "/version").await.unwrap();
    let in_time = Duration::from_secs(20);
    tokio::time::timeout(in_time, expected(1)).await.expect("the one that was ended is counted no more");
    drop(service);
    tokio::time::timeout(in_time, expected(0)).await.expect("nothing is left");
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_is_given_up() {
    let address = scripted(|_, socket| async move {
        let _held = socket;
        std::future::pending::<()>().await;
    })
    .await;
    let short = Duration::from_millis(100);
    let limits = Limits { connect: short, head: short * 2, ..Limits::default() };

    let mut plain = stack(&config(&format!("http://{address}")), Options::default(), limits).unwrap();
    let error = get(&mut plain, "/version").await.err().unwrap();
    assert!(error.is_timeout() && !error.is_unsent(), "{}", chain(&error));

    let mut secured = config(&format!("https://{address}"));
    secured.tls.insecure_skip_verify = true;
    let mut secured = stack(&secured, Options::default(), limits).unwrap();
    let error = get(&mut secured, "/version").await.err().unwrap();
    assert!(error.is_connect(), "the TLS handshake counts as connecting: {}", chain(&error));
    assert!(chain(&error).contains("no connection within 100ms"), "{}", chain(&error));
}

#[test]
fn what_cannot_be_used_is_named_before_anything_is_sent() {
    let told = |change: fn(&mut Config)| {
        let mut config = config("https://127.0.0.1:1");
        config.tls.insecure_skip_verify = true;
        change(&mut config);
        chain(&connect(&config).err().unwrap())
    };
    let text = told(|config| {
        config.tls.insecure_skip_verify = false;
        config.tls.authority = Some(Source::Inline(b"no PEM".to_vec().into()));
    });
    assert_eq!(text, "cannot use the certificate authority of this configuration: it holds no certificate");
    let text = told(|config| config.tls.server_name = Some("not a name".to_owned()));
    assert!(text.contains("TLS server name"), "{text}");
    let text = told(|config| config.server = "/only/a/path".parse().unwrap());
    assert!(text.contains("server"), "{text}");
    let text = told(|config| {
        let certificate_chain = Source::Inline(certificates::self_signed("me", false).certificate.into());
        let key = Source::Inline(b"hunter2".to_vec().into());
        config.tls.identity = Some(crate::config::Identity { certificate_chain, key });
    });
    assert!(text.contains("client key") && !text.contains("hunter2"), "{text}");
}
