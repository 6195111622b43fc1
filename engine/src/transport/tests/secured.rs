//! TLS: who is believed, who is shown, what is spoken, and what happens when the line goes silent.

use std::convert::Infallible;
use std::sync::atomic::AtomicBool;

use futures_util::StreamExt as _;
use futures_util::stream::{self, FuturesUnordered};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::certificates::{Authority, Certified, self_signed, server, strict};
use super::server::{scripted, secure, silenced, text};
use super::*;
use crate::config::Identity;

/// A configuration for `address` that believes in `authority` (PEM).
fn trusting(address: SocketAddr, authority: &str) -> Config {
    let mut config = config(&format!("https://{address}"));
    config.tls.authority = Some(Source::Inline(authority.as_bytes().to_vec().into()));
    config
}

/// What a server says that is asked once.
async fn asked(config: &Config) -> Result<String, Error> {
    body(get(&mut connect(config).unwrap(), "/version").await?).await
}

/// What a server with these settings says to one who believes in `authority`.
async fn answer(settings: ServerConfig, authority: &str) -> Result<String, Error> {
    asked(&trusting(secure(settings).await, authority)).await
}

#[tokio::test]
async fn http2_is_spoken_where_the_server_has_it_and_http1_where_not() {
    let authority = Authority::new("us");
    let certified = authority.certify("127.0.0.1");
    for (protocols, expected) in [(&["h2", "http/1.1"][..], "HTTP/2.0"), (&["http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")]
    {
        let said = answer(server(&certified, protocols), &authority.pem()).await.unwrap();
        assert_eq!(said, expected, "{protocols:?}");
    }
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_talked_to() {
    let certified = Authority::new("them").certify("127.0.0.1");
    let error = answer(server(&certified, &["h2"]), &Authority::new("us").pem()).await.unwrap_err();
    assert!(error.is_connect(), "{}", chain(&error));
    assert!(chain(&error).contains("UnknownIssuer"), "{}", chain(&error));
}

#[tokio::test]
async fn a_server_must_carry_the_name_that_is_expected() {
    let authority = Authority::new("us");
    let certified = authority.certify("kubernetes.default");
    let address = secure(server(&certified, &["h2"])).await;
    let mut config = trusting(address, &authority.pem());
    let error = asked(&config).await.unwrap_err();
    assert!(error.is_connect() && chain(&error).contains("not valid for name"), "{}", chain(&error));
    config.tls.server_name = Some("kubernetes.default".to_owned());
    assert_eq!(asked(&config).await.unwrap(), "HTTP/2.0");
}

#[tokio::test]
async fn a_bundle_of_a_servers_certificate_and_its_authoritys_will_do() {
    // An API server writes the certificate that it makes for itself in this form.
    let authority = Authority::new("us");
    let certified = authority.certify("127.0.0.1");
    let bundle = format!("{}{}", certified.certificate, authority.pem());
    let chain = Certified { certificate: bundle.clone(), key: certified.key.clone() };
    assert_eq!(answer(server(&chain, &["h2"]), &bundle).await.unwrap(), "HTTP/2.0");

    let several = format!("{}{}", Authority::new("them").pem(), authority.pem());
    assert_eq!(answer(server(&certified, &["h2"]), &several).await.unwrap(), "HTTP/2.0");
}

#[tokio::test]
async fn a_certificate_may_be_its_own_authority_unless_it_is_one_for_others_too() {
    let alone = self_signed("127.0.0.1", false);
    assert_eq!(answer(server(&alone, &["h2"]), &alone.certificate).await.unwrap(), "HTTP/2.0");

    let authority = self_signed("127.0.0.1", true);
    let error = answer(server(&authority, &["h2"]), &authority.certificate).await.unwrap_err();
    assert!(error.is_connect() && chain(&error).contains("CaUsedAsEndEntity"), "{}", chain(&error));
}

#[tokio::test]
async fn without_verification_any_server_is_believed() {
    let certified = Authority::new("them").certify("elsewhere");
    let mut config = config(&format!("https://{}", secure(server(&certified, &["h2"])).await));
    config.tls.insecure_skip_verify = true;
    assert_eq!(asked(&config).await.unwrap(), "HTTP/2.0");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_there_is_one() {
    let (authority, clients) = (Authority::new("us"), Authority::new("clients"));
    let certified = authority.certify("127.0.0.1");
    let mut config = trusting(secure(strict(&certified, &clients)).await, &authority.pem());
    assert!(asked(&config).await.is_err(), "the server insists on one");

    let me = clients.certify("me");
    let identity =
        Identity { certificate_chain: Source::Inline(me.certificate.into()), key: Source::Inline(me.key.into()) };
    config.tls.identity = Some(identity);
    assert_eq!(asked(&config).await.unwrap(), "HTTP/2.0 known");
}

/// A server whose every answer is one line, and then nothing, for ever.
async fn watched(settings: ServerConfig) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(settings));
    scripted(move |_, socket| {
        let acceptor = acceptor.clone();
        async move {
            let stream = TokioIo::new(acceptor.accept(socket).await.unwrap());
            let answer = service_fn(|_| async {
                let line = Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"line\n")));
                let frames = stream::unfold(Some(line), |line| async move {
                    match line {
                        Some(line) => Some((line, None)),
                        None => std::future::pending().await,
                    }
                });
                Ok::<_, Infallible>(http::Response::new(StreamBody::new(Box::pin(frames))))
            });
            let server = http2::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(stream, answer).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_line_that_goes_silent_under_a_watch_is_noticed_and_a_quiet_one_is_kept() {
    let authority = Authority::new("us");
    let address = watched(server(&authority.certify("127.0.0.1"), &["h2"])).await;
    let (address, silence) = silenced(address).await;
    // Short, but with room for a machine that is busy with something else.
    let limits = Limits { ping: Duration::from_millis(200), pong: Duration::from_millis(600), ..Limits::default() };
    let noticeable = limits.ping + limits.pong;
    let config = trusting(address, &authority.pem());
    let mut service = stack(&config, Options::default(), limits).unwrap();
    let mut frames = get(&mut service, "/api/v1/pods?watch=1").await.unwrap().into_body();
    frames.frame().await.unwrap().unwrap();

    // Nothing is sent, but pings are answered.
    let quiet = timeout(noticeable * 2, frames.frame()).await;
    assert!(quiet.is_err(), "a quiet watch was ended: {quiet:?}");

    silence.send_replace(true);
    let started = Instant::now();
    let noticed = timeout(SOON, frames.frame()).await.expect("never noticed");
    let error = noticed.unwrap().unwrap_err();
    assert!(error.is_lost(), "{}", chain(&error));
    assert!(started.elapsed() < noticeable * 2, "{:?}", started.elapsed());
}

#[test]
fn silence_is_noticed_within_twenty_seconds() {
    let limits = Limits::default();
    let promised = Duration::from_secs(20);
    assert!(limits.ping + limits.pong < promised && limits.connect < promised);
}

/// A server that speaks HTTP/2, and answers with what `handler` makes of a request on the n-th connection.
async fn http2_server<F>(
    authority: &Authority,
    streams: u32,
    handler: impl Fn(usize, http::Request<hyper::body::Incoming>) -> F + Clone + Send + 'static,
) -> SocketAddr
where
    F: Future<Output = http::Response<UnsyncBoxBody<Bytes, Infallible>>> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(Arc::new(server(&authority.certify("127.0.0.1"), &["h2"])));
    scripted(move |number, socket| {
        let (acceptor, handler) = (acceptor.clone(), handler.clone());
        async move {
            let Ok(stream) = acceptor.accept(socket).await else { return };
            let service = service_fn(move |request| {
                let answer = handler(number, request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let mut connection = http2::Builder::new(TokioExecutor::new());
            let _ = connection.max_concurrent_streams(streams).serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await
}

#[tokio::test]
async fn any_number_of_watches_leaves_room_for_a_write() {
    let authority = Authority::new("us");
    let address = http2_server(&authority, 100, |_, request| async move {
        let body = if request.uri().query().is_some_and(|query| query.contains("watch=1")) {
            StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>()).boxed_unsync()
        } else {
            Full::new(Bytes::from_static(b"ok")).boxed_unsync()
        };
        http::Response::new(body)
    })
    .await;
    let service = connect(&trusting(address, &authority.pem())).unwrap();
    let mut open = Vec::new();
    for number in 0..130 {
        let path = format!("/{number}?watch=1");
        open.push(timeout(SOON, get(&mut service.clone(), &path)).await.expect("room for a watch").unwrap());
    }
    let write = timeout(SOON, service.clone().call(request("PATCH", "/x"))).await;
    write.expect("room for a write").unwrap();
}

#[tokio::test]
async fn a_server_that_answers_pings_and_no_requests_is_left() {
    let authority = Authority::new("us");
    let address = http2_server(&authority, 100, |connection, _| async move {
        if connection == 0 {
            std::future::pending::<()>().await;
        }
        text("ok").map(BodyExt::boxed_unsync)
    })
    .await;
    let limits = Limits { head: Duration::from_millis(300), ..Limits::default() };
    let service = stack(&trusting(address, &authority.pem()), Options::default(), limits).unwrap();
    assert!(get(&mut service.clone(), "/x").await.unwrap_err().is_timeout());
    // More than there are connections that take turns.
    for _ in 0..6 {
        get(&mut service.clone(), "/x").await.expect("the next connection answers");
    }
}

#[tokio::test]
async fn a_connection_that_hangs_holds_up_half_of_the_requests_and_no_more() {
    let authority = Authority::new("us");
    let hangs = Arc::new(AtomicBool::new(false));
    let told = hangs.clone();
    let address = http2_server(&authority, 100, move |connection, _| {
        let told = told.clone();
        async move {
            if connection == 0 && told.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            text("ok").map(BodyExt::boxed_unsync)
        }
    })
    .await;
    let service = connect(&trusting(address, &authority.pem())).unwrap();
    // Each connection is made before one hangs.
    for _ in 0..2 {
        get(&mut service.clone(), "/x").await.unwrap();
    }
    hangs.store(true, Ordering::SeqCst);
    let requests = (0..8).map(|_| {
        let mut service = service.clone();
        async move { service.call(request("PATCH", "/x")).await }
    });
    let mut answers: FuturesUnordered<_> = requests.collect();
    for _ in 0..4 {
        timeout(SOON, answers.next()).await.expect("the other connection answers").unwrap().unwrap();
    }
    assert!(timeout(Duration::from_millis(200), answers.next()).await.is_err(), "half of them hang");
}
