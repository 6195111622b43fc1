//! What a cache makes of a watch that ended, on an API server: nothing is lost, nothing is told twice, and everything is
//! listed again only where the server no longer knows what was missed.
//!
//! A 1.37 server says 410 in the stream of a watch, and by HTTP status to a list that it can't continue. A proxy may give
//! the status to a watch too; the test does so itself.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use engine::api::{Collection, Entry, Event, Start};
use engine::object::{Object as _, ResourceVersion};
use engine::transport::{self, Request, Service};
use engine::watch::{End, Reason};
use http_body_util::{BodyExt as _, Full};
use testbed::{Component, Feature, Options, Server, start_or_say};
use tower::{ServiceExt as _, service_fn};

use self::support::{
    Asked, ConfigMap, PATIENCE, Proxy, Reflected, Requests, Space, behind_proxy, client, config_map, shared, until,
};

/// Makes etcd forget every state that is older than a second or two; by default it keeps five minutes.
const FORGETFUL: &str = "--etcd-compaction-interval=1s";

/// More than two pages of a list.
const MANY: usize = 1_100;

fn start(flags: &[&str]) -> Option<Server> {
    let flags = flags.iter().map(|flag| (Component::ApiServer, (*flag).to_owned())).collect();
    start_or_say(Options { flags, ..Options::api_only() })
}

async fn in_sync(space: &Space<'_>, reflected: &Reflected) {
    let state = space.state();
    until("the cache to be what the server has", || reflected.state() == state).await;
    reflected.assert_history();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_watch_that_is_cut_again_and_again_tells_every_change_once() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "cut");
    let (proxy, reflected, requests) = behind_proxy(&space).await;
    let (mut exists, mut done) = ([false; 10], 0);
    for step in 0..400_usize {
        // Every name in turn: created, changed twice, deleted, created again.
        let (at, name) = (step % 10, format!("app-{}", step % 10));
        match (exists[at], (step / 10) % 4) {
            (false, _) => space.create(&name, &step.to_string()).await,
            (true, 3) => space.delete(&name).await,
            (true, _) => drop(space.update(&name, &step.to_string()).await),
        }
        exists[at] = (step / 10) % 4 != 3;
        done += 1;
        if step % 25 == 0 {
            proxy.reset();
        }
    }
    in_sync(&space, &reflected).await;
    assert_eq!(reflected.changes().len(), done);
    assert_eq!(requests.lists(), 1);
    eprintln!("{done} changes, over {} connections", proxy.connections());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_killed_while_objects_change_is_followed_without_a_gap() {
    let Some(cluster) = start(&[]).map(Arc::new) else { return };
    let space = Space::new(&cluster, "killed");
    let (service, requests) = Requests::of(transport::connect(&space.config).expect("a usable configuration"));
    let reflected = Reflected::start(client(&service), space.name);
    reflected.reader.synced().await;
    let enough = AtomicBool::new(false);
    let write = async {
        let mut step = 0_usize;
        while !enough.load(Ordering::Relaxed) {
            step += 1;
            write_or_fail(&space, step).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let kill = async {
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let cluster = cluster.clone();
            // Meanwhile the writes go on, and fail.
            let restart = tokio::task::spawn_blocking(move || cluster.restart(Component::ApiServer));
            restart.await.expect("no panic").expect("it comes back");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        enough.store(true, Ordering::Relaxed);
    };
    tokio::join!(kill, write);
    in_sync(&space, &reflected).await;
    eprintln!("killed twice: {} changes, listed {} times", reflected.changes().len(), requests.lists());
}

/// Creates, changes or deletes one of ten objects, or fails since there is no server or no such object.
async fn write_or_fail(space: &Space<'_>, step: usize) {
    let (name, value) = (format!("app-{}", step % 10), step.to_string());
    match (step / 10) % 3 {
        0 => drop(space.client.create::<ConfigMap>(Some(space.name), config_map(&name, &value)).await),
        1 => {
            let body = serde_json::json!({"data": {"value": value}});
            drop(space.client.merge::<ConfigMap>(&space.key(&name), None, &body).await);
        }
        _ => drop(space.try_delete(&name).await),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_restart_everything_is_listed_again_only_if_something_was_missed() {
    let Some(cluster) = start(&[]) else { return };
    let space = Space::new(&cluster, "restarted");
    for name in ["kept", "changed", "gone", "again"] {
        space.create(name, "1").await;
    }
    let (proxy, reflected, requests) = behind_proxy(&space).await;

    cluster.restart(Component::ApiServer).expect("it comes back");
    space.update("changed", "2").await;
    in_sync(&space, &reflected).await;
    // A server that has just started knows no past. Of what it calls past, all may be its own: Leases, say.
    let is_past = refusal(&space, &resumed(&requests)).await.is_some();
    let lists = if is_past { 2 } else { 1 };
    assert_eq!(requests.lists(), lists, "nothing was missed: {:?}", requests.all());

    proxy.refuse();
    let version = miss_something(&space).await;
    cluster.restart(Component::ApiServer).expect("it comes back");
    assert_eq!(refusal(&space, &version).await.as_deref(), Some("410 in the stream"));
    proxy.accept();
    caught_up(&space, &reflected, &requests, lists + 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_a_compaction_everything_is_listed_again() {
    // Without its cache, the server knows of the past what etcd knows.
    let Some(cluster) = start(&["--watch-cache=false", FORGETFUL]) else { return };
    let space = Space::new(&cluster, "compacted");
    for name in ["kept", "changed", "gone", "again"] {
        space.create(name, "1").await;
    }
    let (proxy, reflected, requests) = behind_proxy(&space).await;
    space.update("changed", "2").await;
    in_sync(&space, &reflected).await;

    proxy.refuse();
    let version = miss_something(&space).await;
    while refusal(&space, &version).await.is_none() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    proxy.accept();
    caught_up(&space, &reflected, &requests, 2).await;
}

/// What etcd has lost, nobody can tell a watch: it waits for a version that is long gone, and hears nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_etcd_that_is_restored_from_a_backup_takes_the_cache_back_with_it_within_seconds() {
    if !testbed::has(Feature::Etcd) {
        return;
    }
    let Some(cluster) = start(&[]) else { return };
    let space = Space::new(&cluster, "restored");
    for name in ["kept", "changed", "gone", "again"] {
        space.create(name, "1").await;
    }
    let (data, backup) = (cluster.folder().join("etcd"), cluster.folder().join("backup"));
    cluster.kill(Component::Etcd).expect("it runs");
    copy(&data, &backup);
    cluster.restart(Component::Etcd).expect("it comes back");

    let (service, requests) = Requests::of(transport::connect(&space.config).expect("a usable configuration"));
    let reflected = Reflected::start(client(&service), space.name);
    reflected.reader.synced().await;
    miss_something(&space).await;
    in_sync(&space, &reflected).await;

    for component in [Component::ApiServer, Component::Etcd] {
        cluster.kill(component).expect("it runs");
    }
    std::fs::remove_dir_all(&data).expect("its data");
    std::fs::rename(&backup, &data).expect("the backup");
    for component in [Component::Etcd, Component::ApiServer] {
        cluster.restart(component).expect("it comes back");
    }
    let state = space.state();
    let took = until("the cache to go back", || reflected.state() == state).await;
    eprintln!("etcd restored from a backup: the cache is right {took:?} after the server is ready");
    let signs = ["gone", "new"].map(|name| reflected.signs(name));
    assert_eq!(signs, ["+~-+", "+-"], "what came back, and what is no more, was told: {:?}", requests.all());
    assert_eq!(reflected.value(&space.key("changed")).as_deref(), Some("1"));
    assert_eq!(reflected.reader.stats()[0].lists(Reason::Ended(End::Regressed)), 1);
    // From here on the watch goes on as before, though versions come again.
    for value in 2..40 {
        space.update("kept", &value.to_string()).await;
    }
    let state = space.state();
    until("the cache to follow", || reflected.state() == state).await;
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).expect("a copy");
        }
    }
}

/// Changes, deletes and creates again, and returns the version before that.
async fn miss_something(space: &Space<'_>) -> ResourceVersion {
    let before = space.update("changed", "3").await.metadata().resource_version.clone();
    space.update("gone", "2, which nobody saw").await;
    space.delete("gone").await;
    space.delete("again").await;
    space.create("again", "2").await;
    space.create("new", "1").await;
    before
}

/// How the server refuses to watch from `version` on, if it does.
async fn refusal(space: &Space<'_>, version: &ResourceVersion) -> Option<String> {
    match space.client.watch::<ConfigMap>(&Collection::of(Some(space.name)), &Start::After(version.clone()), 60).await {
        Ok(mut watch) => match tokio::time::timeout(PATIENCE, watch.next()).await.expect("something has happened") {
            Ok(Some(Event::Error(status))) => Some(format!("{} in the stream", status.code)),
            _ => None,
        },
        Err(error) => error.status().map(|status| format!("{} by status", status.code)),
    }
}

/// Where the watch was taken up again that followed the first list.
fn resumed(requests: &Requests) -> ResourceVersion {
    let asked = requests.all();
    let version =
        asked.iter().find_map(|asked| asked.uri.split_once("&resourceVersion=")).expect("a watch from a version").1;
    ResourceVersion(version.split('&').next().unwrap_or_default().into())
}

/// Asserts that one list, the last of so many, made up for what [`miss_something`] did.
async fn caught_up(space: &Space<'_>, reflected: &Reflected, requests: &Requests, lists: usize) {
    in_sync(space, reflected).await;
    assert_eq!(requests.lists(), lists, "{:?}", requests.all());
    let signs = ["kept", "changed", "gone", "again", "new"].map(|name| reflected.signs(name));
    assert_eq!(signs, ["+", "+~~", "+-", "+-+", "+"]);
    let changes = reflected.changes();
    let gone = changes.iter().find(|change| change.new.is_none() && &*change.key().name == "gone");
    let Some(Entry::Valid(last)) = gone.and_then(|change| change.old.as_ref()) else { panic!("{gone:?}") };
    assert_eq!(last.value(), "1", "the last state that was seen");
    // From here on the watch goes on as before.
    space.update("kept", "2").await;
    space.delete("new").await;
    in_sync(space, reflected).await;
    assert_eq!(requests.lists(), lists, "{:?}", requests.all());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_list_that_cannot_be_continued_starts_over_and_is_seen_whole_or_not_at_all() {
    if !testbed::has(Feature::Pages) {
        return;
    }
    let Some(cluster) = start(&["--feature-gates=WatchList=false", "--watch-cache=false", FORGETFUL]) else { return };
    let space = Space::new(&cluster, "pages");
    space.fill(MANY).await;
    let (proxy, config) = Proxy::start(&space.config).await;
    let server = transport::connect(&config).expect("a usable configuration");
    let (late, gone) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (service, requests) = Requests::of(troubled(server, late.clone(), gone.clone()));
    let reflected = Reflected::start(client(&service), space.name);

    // It is on the first page, and is gone when the second one is asked for.
    until("the first page", || requests.all().iter().any(Asked::is_page)).await;
    space.delete("app-0").await;
    expire(&space).await;
    late.store(false, Ordering::SeqCst);
    reflected.reader.synced().await;
    in_sync(&space, &reflected).await;
    assert_eq!(reflected.signs("app-0"), "", "no page of a list that was given up is used");
    assert_eq!((expired(&requests), requests.lists()), (1, 2), "{:?}", requests.all());

    // And again, now that there is something to lose.
    proxy.refuse();
    space.delete("app-1").await;
    space.create("app-new", "1").await;
    let state = space.state();
    late.store(true, Ordering::SeqCst);
    gone.store(true, Ordering::SeqCst);
    proxy.accept();
    until("the first page", || requests.lists() == 3).await;
    expire(&space).await;
    assert_eq!(reflected.reader.len(), MANY - 1, "a page alone changes nothing");
    late.store(false, Ordering::SeqCst);
    while reflected.state() != state {
        // What is read later may have happened later.
        let is_gone = || reflected.value(&space.key("app-1")).is_none();
        let is_new = || reflected.value(&space.key("app-new")).is_some();
        assert!((!is_gone() || is_new()) && (!is_new() || is_gone()), "both of them or none");
        tokio::task::yield_now().await;
    }
    in_sync(&space, &reflected).await;
    assert_eq!((reflected.signs("app-1"), reflected.signs("app-new")), ("+-".into(), "+".into()));
    assert_eq!((expired(&requests), requests.lists()), (3, 4), "{:?}", requests.all());
}

/// Waits until a list that began before this can't be continued.
async fn expire(space: &Space<'_>) {
    let collection = Collection::of(Some(space.name));
    let page = space.client.list::<ConfigMap>(&collection, Some(1), None).await.expect("a page");
    let token = page.continue_token.expect("there are more");
    while space.client.list::<ConfigMap>(&collection, Some(1), Some(&token)).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Holds back each request for the next page of a list while it is to be `late`; and says once of a watch that what it
/// starts at is `gone`.
fn troubled(server: Service, late: Arc<AtomicBool>, gone: Arc<AtomicBool>) -> Service {
    Service::new(service_fn(move |request: Request| {
        let (server, late, gone) = (server.clone(), late.clone(), gone.clone());
        async move {
            let uri = request.uri().to_string();
            if uri.contains("continue=") {
                until("the list to expire", || !late.load(Ordering::SeqCst)).await;
            }
            if uri.contains("watch=1") && gone.swap(false, Ordering::SeqCst) {
                let status = r#"{"kind":"Status","code":410,"reason":"Expired","message":"too old"}"#;
                let body = Full::new(Bytes::from_static(status.as_bytes())).map_err(|never| match never {});
                return Ok(http::Response::builder().status(410).body(body.boxed_unsync()).expect("a response"));
            }
            server.oneshot(request).await
        }
    }))
}

fn expired(requests: &Requests) -> usize {
    requests.all().iter().filter(|asked| asked.status == Some(410)).count()
}
