//! Two processes and one Lease on an API server: what they write stands in the order in which they led.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::api::{Client, Error};
use engine::config::Config;
use engine::lease::{Elector, Leadership, Timing};
use engine::object::Key;
use engine::shutdown;
use engine::transport;
use serde_json::json;
use tokio::task::JoinHandle;

use self::support::{ConfigMap, Proxy, Reflected, Space, client, shared, until};

/// A process that writes its name whenever nobody forbids it.
struct Process {
    leadership: Leadership,
    trigger: shutdown::Trigger,
    elector: JoinHandle<()>,
    writer: JoinHandle<()>,
    /// Whether it was refused by its own fence since this was last said to be false.
    fenced: Arc<AtomicBool>,
}

impl Process {
    fn start(space: &Space<'_>, config: &Config, name: &'static str) -> Self {
        let timing = Timing::new(Duration::from_secs(3), Duration::from_secs(2), Duration::from_millis(300));
        let service = || transport::connect(config).expect("a usable configuration");
        let (trigger, shutdown) = shutdown::channel();
        let elector = Elector::new(client(&service()), space.key("lease"), name, timing.expect("a timing"));
        let leadership = elector.leadership();
        let elector = tokio::spawn(elector.run(shutdown.clone()));
        let fenced = Arc::new(AtomicBool::new(false));
        let (own, refused, key) = (leadership.clone(), fenced.clone(), space.key("app"));
        let fenced_client = client(&leadership.fence(service()));
        let writer = tokio::spawn(async move {
            tokio::select! {
                () = shutdown.given() => {}
                () = lead_for_ever(&own) => {}
                () = write_for_ever(&fenced_client, &key, name, &refused) => {}
            }
        });
        Self { leadership, trigger, elector, writer, fenced }
    }

    /// Ends it, and waits until it has.
    async fn end(self) {
        self.trigger.give();
        self.writer.await.expect("no panic");
        self.elector.await.expect("no panic");
    }
}

async fn lead_for_ever(leadership: &Leadership) {
    loop {
        leadership.acquired().await.lost().await;
    }
}

/// Without a look at whether it leads: that is the fence's business.
async fn write_for_ever(client: &Client, key: &Key, name: &str, fenced: &AtomicBool) {
    for step in 0_u64.. {
        let body = json!({"data": {"value": format!("{name} {step}")}});
        if let Err(Error::Transport(error)) = client.merge::<ConfigMap>(key, None, &body).await {
            fenced.fetch_or(error.is_fenced(), Ordering::SeqCst);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Pain 15: two led at once, and each undid what the other had done.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_processes_the_one_that_was_cut_off_writes_nothing_after_its_successor_has_begun() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "two-leaders");
    space.create("app", "nobody").await;
    let reflected = Reflected::start(space.client.clone(), space.name);
    reflected.reader.synced().await;
    // Who has written, each only once in a row.
    let written = || {
        let changes = reflected.changes();
        let values =
            changes.iter().filter_map(|change| change.new.as_ref()?.valid().map(|object| object.value().to_owned()));
        let mut names: Vec<String> =
            values.map(|value| value.split(' ').next().unwrap_or_default().to_owned()).collect();
        names.dedup();
        names
    };

    let (proxy, config) = Proxy::start(&space.config).await;
    let first = Process::start(&space, &config, "first");
    until("the first to write", || written() == ["nobody", "first"]).await;
    let second = Process::start(&space, &space.config, "second");
    proxy.refuse();
    until("the second to lead", || second.leadership.is_leader()).await;
    assert!(!first.leadership.is_leader(), "the first one's term has ended before");
    proxy.accept();
    first.fenced.store(false, Ordering::SeqCst);
    until("the second to write", || written().last().is_some_and(|name| name == "second")).await;
    until("the first to try", || first.fenced.load(Ordering::SeqCst)).await;
    let before = reflected.changes().len();
    until("more of the second", || reflected.changes().len() > before + 50).await;
    assert_eq!(written(), ["nobody", "first", "second"]);

    // Who is told to end gives the Lease back, and the other one need not wait for its end.
    second.end().await;
    let took = until("the first to lead again", || first.leadership.is_leader()).await;
    eprintln!("given back: led by the other after {took:?}");
    until("the first to write again", || written() == ["nobody", "first", "second", "first"]).await;
    first.end().await;
}
