//! Several controllers on one cache of an API server: one watch serves them all, and one who is slow holds up nobody.

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use engine::api::Scope;
use engine::controller::{Controller, Cx, Failure, Outcome, Reconcile, Seen};
use engine::informer::Informers;
use engine::shutdown;
use engine::transport;
use tokio::task::JoinHandle;

use self::support::{ConfigMap, Requests, Space, client, shared, until};

/// Notes what there is. Hangs, if told to.
#[derive(Clone, Default)]
struct Watcher {
    hangs: bool,
    live: Arc<Mutex<HashSet<String>>>,
    gone: Arc<Mutex<HashSet<String>>>,
    calls: Arc<AtomicUsize>,
}

impl Watcher {
    fn live(&self) -> usize {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn gone(&self) -> usize {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Reconcile<ConfigMap> for Watcher {
    async fn reconcile(&self, cx: &Cx<ConfigMap>) -> Result<Outcome, Failure> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        let name = cx.key().name.to_string();
        let (mut live, mut gone) = (
            self.live.lock().unwrap_or_else(PoisonError::into_inner),
            self.gone.lock().unwrap_or_else(PoisonError::into_inner),
        );
        if matches!(cx.object(), Seen::Gone) {
            live.remove(&name);
            gone.insert(name);
        } else {
            live.insert(name);
        }
        Ok(Outcome::Done)
    }
}

/// Runs a controller until the trigger is given or dropped.
fn start(informers: &Informers, watcher: &Watcher) -> (shutdown::Trigger, JoinHandle<()>) {
    let (trigger, shutdown) = shutdown::channel();
    let controller = Controller::new("watcher", informers, Arc::default()).workers(2);
    let watcher = watcher.clone();
    let task = tokio::spawn(async move { controller.run(watcher, shutdown).await.expect("it ends well") });
    (trigger, task)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_controller_that_hangs_or_ends_holds_up_no_other_on_the_same_watch() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "sharing");
    space.fill(50).await;
    let (service, requests) = Requests::of(transport::connect(&space.config).expect("a usable configuration"));
    let informers = Informers::new(client(&service)).within(Scope::namespaces([space.name]));
    let (stuck, quick, late) = (Watcher { hangs: true, ..Watcher::default() }, Watcher::default(), Watcher::default());
    let (stuck_trigger, stuck_task) = start(&informers, &stuck);
    let (quick_trigger, quick_task) = start(&informers, &quick);
    until("the quick one", || quick.live() == 50).await;
    until("the stuck one to be stuck", || stuck.calls.load(Ordering::SeqCst) == 2).await;

    // Far more changes than keys: what waits for the stuck one is bounded by the keys.
    let mut unread = informers.of::<ConfigMap>().keys();
    for round in 0..20 {
        for name in 0..10 {
            space.update(&format!("app-{name}"), &format!("round {round}")).await;
        }
    }
    assert!(unread.len() <= 50, "{} keys of 50 objects", unread.len());
    for name in 0..10 {
        space.delete(&format!("app-{name}")).await;
    }
    until("deletions to reach the quick one", || quick.gone() == 10 && quick.live() == 40).await;
    // The keys of objects that vanished in the meantime are read like all others, and block nothing.
    for _ in 0..50 {
        unread.next().await;
    }
    assert!(unread.is_empty());

    let (late_trigger, late_task) = start(&informers, &late);
    until("what is there to reach one that comes late", || late.live() == 40).await;
    quick_trigger.give();
    quick_task.await.expect("no panic");
    space.create("app-new", "1").await;
    until("news to reach the late one after another has ended", || late.live() == 41).await;
    assert_eq!(requests.lists(), 1, "one list and watch for all: {:?}", requests.all());
    let watches = requests.all().iter().filter(|asked| asked.uri.contains("watch=1")).count();
    assert!(watches <= 2, "a list that is streamed is a watch, and nothing has cut it: {:?}", requests.all());

    late_trigger.give();
    late_task.await.expect("no panic");
    drop(stuck_trigger);
    stuck_task.abort();
    tokio::time::sleep(Duration::ZERO).await;
}
