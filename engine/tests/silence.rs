//! How soon a cache is up to date again after the network has failed it, on an API server. Each test prints its time.
//!
//! The limits are generous, since the machine may be busy: what is promised is 20 s after silence, 1 s after a reset, and
//! 5 s after a server is back.

mod support;

use std::time::{Duration, Instant};

use testbed::{Component, Options, start_or_say};

use self::support::{Reflected, Space, behind_proxy, shared, until};

/// Changes `app` to `value`, and says how long it took until the cache had it, counted from `started`.
async fn seen_after(started: Instant, space: &Space<'_>, reflected: &Reflected, value: &str) -> Duration {
    space.update("app", value).await;
    until("the change", || reflected.value(&space.key("app")).as_deref() == Some(value)).await;
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_network_that_falls_silent_is_left_within_seconds() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "silence");
    space.create("app", "1").await;
    let (proxy, reflected, requests) = behind_proxy(&space).await;
    proxy.silence();
    let took = seen_after(Instant::now(), &space, &reflected, "2").await;
    eprintln!("silent without a FIN: up to date after {took:?}");
    assert!(took < Duration::from_secs(25), "{took:?}");
    assert_eq!(requests.lists(), 1, "the watch is resumed: {:?}", requests.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_that_is_reset_is_opened_again_at_once() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "reset");
    space.create("app", "0").await;
    let (proxy, reflected, requests) = behind_proxy(&space).await;
    let mut longest = Duration::ZERO;
    for round in 1..=10 {
        proxy.reset();
        let took = seen_after(Instant::now(), &space, &reflected, &round.to_string()).await;
        longest = longest.max(took);
    }
    eprintln!("reset ten times: up to date after {longest:?} at most");
    assert!(longest < Duration::from_secs(5), "{longest:?}");
    assert_eq!(requests.lists(), 1, "the watch is resumed: {:?}", requests.all());
    assert_eq!(reflected.signs("app"), "+~~~~~~~~~~");
    reflected.assert_history();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_nobody_reaches_for_a_while_is_found_again() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "refused");
    space.create("app", "1").await;
    let (proxy, reflected, requests) = behind_proxy(&space).await;
    proxy.refuse();
    tokio::time::sleep(Duration::from_secs(6)).await;
    proxy.accept();
    let took = seen_after(Instant::now(), &space, &reflected, "2").await;
    eprintln!("refused for 6 s: up to date {took:?} after that");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(requests.lists(), 1, "the watch is resumed: {:?}", requests.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stream_that_is_cut_within_a_document_loses_and_doubles_nothing() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "within");
    for name in ["app", "before", "after"] {
        space.create(name, "0").await;
    }
    let (proxy, reflected, requests) = behind_proxy(&space).await;
    // Many records of TLS and frames of HTTP/2; the stream ends in the middle of them. Nothing that compresses well.
    let large: String = std::iter::repeat_with(fastrand::alphanumeric).take(600 << 10).collect();
    for round in 1..=3 {
        let value = round.to_string();
        space.update("before", &value).await;
        until("what is not cut", || reflected.value(&space.key("before")).as_ref() == Some(&value)).await;
        proxy.cut_after(200 << 10);
        space.update("app", &format!("{value}{large}")).await;
        space.update("after", &value).await;
        until("the cut", || proxy.cuts() == round).await;
        let state = space.state();
        until("all", || reflected.state() == state).await;
    }
    for name in ["app", "before", "after"] {
        assert_eq!(reflected.signs(name), "+~~~", "{name}");
    }
    assert_eq!(requests.lists(), 1, "the watch is resumed: {:?}", requests.all());
    reflected.assert_history();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_was_killed_is_used_again_soon_after_it_is_ready() {
    let Some(cluster) = start_or_say(Options::api_only()) else { return };
    let space = Space::new(&cluster, "killed");
    space.create("app", "1").await;
    let reflected = Reflected::start(space.client.clone(), space.name);
    reflected.reader.synced().await;
    cluster.kill(Component::ApiServer).expect("it runs");
    tokio::time::sleep(Duration::from_secs(6)).await;
    cluster.restart(Component::ApiServer).expect("it comes back");
    let took = seen_after(Instant::now(), &space, &reflected, "2").await;
    eprintln!("API server killed for 6 s: up to date {took:?} after it is ready");
    assert!(took < Duration::from_secs(10), "{took:?}");
    reflected.assert_history();
}
