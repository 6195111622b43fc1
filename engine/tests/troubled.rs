//! Servers and networks that fail a cache in ways that users have met, each with an API server behind: told by a layer
//! between, which answers for the server, or by a second API server that is behind the first.

mod support;

use std::collections::VecDeque;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use engine::config::Config;
use engine::store::Origin;
use engine::transport::{self, Request, Response, Service};
use engine::watch::{End, Reason};
use http_body_util::BodyExt as _;
use testbed::{Component, Feature, Options, Server, start_or_say};
use tower::{ServiceExt as _, service_fn};

use self::support::{PATIENCE, Proxy, Reflected, Requests, Space, client, refusal, shared, until};

/// A server that is asked what `ask` makes of each request, or answers what that says.
fn through(
    server: Service,
    ask: impl Fn(Request) -> ControlFlow<Response, Request> + Clone + Send + Sync + 'static,
) -> Service {
    Service::new(service_fn(move |request: Request| {
        let (server, asked) = (server.clone(), ask(request));
        async move {
            match asked {
                Continue(request) => server.oneshot(request).await,
                Break(answer) => Ok(answer),
            }
        }
    }))
}

fn connected(space: &Space<'_>) -> Service {
    transport::connect(&space.config).expect("a usable configuration")
}

async fn in_sync(space: &Space<'_>, reflected: &Reflected) {
    let state = space.state();
    until("the cache to be what the server has", || reflected.state() == state).await;
    reflected.assert_history();
}

/// Pain 3: a 410 by HTTP status at the start of a watch was met with the same watch for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_watch_that_is_refused_with_410_is_followed_by_one_list_and_not_by_a_loop() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "gone");
    space.create("app", "1").await;
    let gone = Arc::new(AtomicBool::new(false));
    let (proxy, config) = Proxy::start(&space.config).await;
    let through_proxy = transport::connect(&config).expect("a usable configuration");
    let is_gone = gone.clone();
    let server = through(through_proxy, move |request| {
        let is_resumption = request.uri().to_string().contains("&resourceVersion=");
        if is_resumption && is_gone.swap(false, Ordering::SeqCst) {
            Break(refusal(410, "Expired"))
        } else {
            Continue(request)
        }
    });
    let (service, requests) = Requests::of(server);
    let reflected = Reflected::start(client(&service), space.name);
    reflected.reader.synced().await;
    gone.store(true, Ordering::SeqCst);
    proxy.reset();
    space.update("app", "2").await;
    in_sync(&space, &reflected).await;
    until("the refusal", || reflected.stats().ends(End::Expired) == 1).await;
    until("the list", || reflected.stats().lists(Reason::Ended(End::Expired)) == 1).await;
    space.update("app", "3").await;
    in_sync(&space, &reflected).await;
    assert_eq!((requests.lists(), reflected.stats().relists()), (2, 1), "{:?}", requests.all());
}

/// Pain 3: a list that takes longer than the server keeps its version never came to an end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_list_whose_pages_always_expire_is_read_whole_in_the_end() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "expiring");
    space.fill(501).await;
    let server = through(connected(&space), |request| {
        let uri = request.uri().to_string();
        match () {
            () if uri.contains("sendInitialEvents") => Break(refusal(422, "Invalid")),
            () if uri.contains("continue=") => Break(refusal(410, "Expired")),
            () => Continue(request),
        }
    });
    let (service, requests) = Requests::of(server);
    let reflected = Reflected::start(client(&service), space.name);
    until("the list", || reflected.reader.is_synced()).await;
    in_sync(&space, &reflected).await;
    let pages = requests.all().iter().filter(|asked| asked.uri.contains("limit=500")).count();
    assert_eq!((reflected.stats().ends(End::Expired), pages), (2, 4), "{:?}", requests.all());
}

/// Pain 5: a server that knows nothing of streamed lists, and says nothing of that, kept caches empty for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_ignores_the_wish_for_a_streamed_list_costs_seconds_and_not_the_start() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "ignorant");
    space.create("app", "1").await;
    let server = through(connected(&space), |mut request| {
        // What an old server makes of it: a watch from now on, from the newest version.
        let uri = request.uri().to_string().replace("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "");
        *request.uri_mut() = uri.replace("&allowWatchBookmarks=true", "").parse().expect("a URL");
        Continue(request)
    });
    let reflected = Reflected::start(client(&server), space.name);
    let took = until("the first list", || reflected.reader.is_synced()).await;
    eprintln!("a server that ignores sendInitialEvents: in sync after {took:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    in_sync(&space, &reflected).await;
    space.update("app", "2").await;
    in_sync(&space, &reflected).await;
    assert_eq!(reflected.stats().relists(), 0);
}

/// What a proxy, or a server behind another, makes of a stream: each document comes twice, and once more after the next ones.
fn repeating(response: Response) -> Response {
    struct Repeated {
        body: transport::Body,
        rest: Vec<u8>,
        past: VecDeque<Vec<u8>>,
    }
    let (parts, body) = response.into_parts();
    let repeated = Repeated { body, rest: Vec::new(), past: VecDeque::new() };
    let stream = futures_util::stream::unfold(repeated, async |mut repeated: Repeated| {
        let data = match repeated.body.frame().await? {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => return Some((Err(error), repeated)),
        };
        let mut sent = Vec::new();
        for byte in data {
            repeated.rest.push(byte);
            if byte == b'\n' {
                let document = std::mem::take(&mut repeated.rest);
                let is_event = !document.starts_with(br#"{"type":"BOOKMARK""#);
                sent.extend(document.repeat(if is_event { 2 } else { 1 }));
                if is_event {
                    repeated.past.push_back(document);
                }
                if repeated.past.len() > 3 {
                    sent.extend(repeated.past.pop_front().unwrap_or_default());
                }
            }
        }
        Some((Ok(http_body::Frame::data(Bytes::from(sent))), repeated))
    });
    http::Response::from_parts(parts, http_body_util::StreamBody::new(stream).boxed_unsync())
}

/// Events that come twice, and late, are told once, and bring nothing back that is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stream_that_repeats_itself_tells_each_change_once_and_brings_nothing_back() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "repeating");
    let server = connected(&space);
    let server = Service::new(service_fn(move |request: Request| {
        let (server, is_watch) = (server.clone(), request.uri().to_string().contains("watch=1"));
        async move {
            let response = server.oneshot(request).await?;
            Ok(if is_watch { repeating(response) } else { response })
        }
    }));
    let reflected = Reflected::start(client(&server), space.name);
    reflected.reader.synced().await;
    let mut done = 0;
    for round in 0..10 {
        let value = round.to_string();
        for name in ["a", "b"] {
            space.create(name, &value).await;
            space.update(name, "changed").await;
        }
        // What is repeated of "a" comes after its end.
        space.delete("a").await;
        space.update("b", "alone").await;
        space.delete("b").await;
        done += 7;
    }
    space.create("last", "1").await;
    in_sync(&space, &reflected).await;
    assert_eq!(reflected.changes().len(), done + 1);
    assert!(reflected.stats().duplicates() > 100, "{}", reflected.stats().duplicates());
    assert_eq!(reflected.stats().relists(), 0);
}

/// An event that etcd or the API server loses: nothing but a comparison can ever find that.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_that_is_lost_upstream_is_made_good_by_an_audit() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "lost");
    for name in ["changed", "deleted", "kept"] {
        space.create(name, "1").await;
    }
    // Everything that happens while nobody watches is lost, as the watch goes on after it.
    let skip = Arc::new(AtomicBool::new(false));
    let newest = Arc::new(std::sync::Mutex::new(String::new()));
    let (skips, version) = (skip.clone(), newest.clone());
    let (proxy, config) = Proxy::start(&space.config).await;
    let server = transport::connect(&config).expect("a usable configuration");
    let server = through(server, move |mut request| {
        let uri = request.uri().to_string();
        if let (Some(from), true) = (uri.find("&resourceVersion="), skips.swap(false, Ordering::SeqCst)) {
            let newest = version.lock().expect("no panic").clone();
            *request.uri_mut() = format!("{}&resourceVersion={newest}", &uri[..from]).parse().expect("a URL");
        }
        Continue(request)
    });
    let reflected = Reflected::audited(client(&server), space.name, Some(Duration::from_secs(2)));
    reflected.reader.synced().await;
    proxy.refuse();
    space.update("changed", "2").await;
    space.delete("deleted").await;
    space.create("created", "1").await;
    let last = space.update("kept", "2").await;
    *newest.lock().expect("no panic") = last.metadata.resource_version.to_string();
    skip.store(true, Ordering::SeqCst);
    proxy.accept();
    until("the watch to go on", || !skip.load(Ordering::SeqCst)).await;
    // A cache is held against a list once its watch is as far: an event tells at once, a bookmark in a minute.
    let started = std::time::Instant::now();
    while reflected.stats().repairs() == 0 {
        assert!(started.elapsed() < PATIENCE, "no audit finds what was lost");
        space.update("kept", &format!("{:?}", started.elapsed())).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    in_sync(&space, &reflected).await;
    assert_eq!((reflected.stats().repairs(), reflected.stats().lists(Reason::Audit)), (3, 1));
    assert_eq!(reflected.signs("deleted"), "+-");
    let audited = reflected.stats().audits();
    while reflected.stats().audits() == audited {
        assert!(started.elapsed() < 2 * PATIENCE, "no later audit");
        space.update("kept", &format!("{:?}", started.elapsed())).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(reflected.stats().lists(Reason::Audit), 1, "there is nothing more to repair");
}

/// Pain 2: after a restart, an API server that was behind showed a past in which things lived that were gone since.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_restart_against_an_api_server_that_is_behind_never_shows_the_past() {
    if !testbed::has(Feature::Etcd) {
        return;
    }
    let Some(ahead) = start_or_say(Options::api_only()) else { return };
    let space = Space::new(&ahead, "past");
    for name in ["kept", "gone"] {
        space.create(name, "1").await;
    }
    // A second API server on the same etcd, over a network that can be held.
    let etcd = format!("http://127.0.0.1:{}", etcd_port(&ahead)).parse().expect("a URL");
    let (link, config) = Proxy::start(&Config { server: etcd, ..space.config.clone() }).await;
    let servers = format!("--etcd-servers=http://{}", config.server.authority().expect("an address"));
    let flags = vec![(Component::ApiServer, servers)];
    let Some(behind) = start_or_say(Options { flags, ..Options::api_only() }) else { return };
    let config = Config::from_kubeconfig(behind.kubeconfig(), None).expect("the cluster's kubeconfig");
    let server = transport::connect(&config).expect("a usable configuration");

    // One cache that follows the server which is ahead until it fails, and then the other.
    let (proxy, config) = Proxy::start(&space.config).await;
    let (first, second) = (transport::connect(&config).expect("a usable configuration"), server.clone());
    let failed_over = Arc::new(AtomicBool::new(false));
    let is_over = failed_over.clone();
    let either = Service::new(service_fn(move |request: Request| {
        let server = if is_over.load(Ordering::SeqCst) { second.clone() } else { first.clone() };
        server.oneshot(request)
    }));
    let running = Reflected::start(client(&either), space.name);
    running.reader.synced().await;
    // So that the second one has it in its cache.
    Reflected::start(client(&server), space.name).reader.synced().await;

    link.hold();
    space.delete("gone").await;
    space.create("new", "1").await;
    let state = space.state();
    until("the first one", || running.state() == state).await;
    failed_over.store(true, Ordering::SeqCst);
    proxy.refuse();
    let restarted = Reflected::start(client(&server), space.name);

    // It would tell of the past, if it was asked for any version (as `resourceVersion=0` does).
    let path = format!("/api/v1/namespaces/{}/configmaps?resourceVersion=0", space.name);
    let request = http::Request::get(path).body(Bytes::new()).expect("a request");
    let answer = server.clone().oneshot(request).await.expect("an answer").into_body().collect().await.expect("a body");
    let past = String::from_utf8_lossy(&answer.to_bytes()).into_owned();
    assert!(past.contains(r#""name":"gone""#) && !past.contains(r#""name":"new""#), "the second one is behind");

    let started = std::time::Instant::now();
    while started.elapsed() < Duration::from_secs(5) {
        assert!(restarted.reader.get(&space.key("gone")).is_none(), "it is gone");
        assert!(running.state() == state, "{:?}", running.state());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    link.release();
    until("the restarted one", || restarted.state() == state).await;
    assert_eq!(restarted.signs("gone"), "", "what was gone was never there");
    space.update("kept", "2").await;
    let state = space.state();
    until("both", || restarted.state() == state && running.state() == state).await;
    assert_eq!(running.signs("gone"), "+-");
    running.assert_history();
    assert!(restarted.changes().iter().any(|change| change.origin == Origin::InitialList));
}

/// The port of a cluster's etcd, from its command line.
fn etcd_port(cluster: &Server) -> u16 {
    let data = format!("--data-dir={}", cluster.folder().join("etcd").display());
    let mut processes = std::fs::read_dir("/proc").expect("a Linux").flatten();
    let port = processes.find_map(|process| {
        let line = std::fs::read(process.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let rest = line.contains(&data).then(|| line.split_once("--listen-client-urls=http://127.0.0.1:"))??.1;
        rest.split(' ').next()?.parse().ok()
    });
    port.expect("its etcd runs")
}
