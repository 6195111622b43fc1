//! Subscribers that are slow, late, gone or many, without a server.

use futures_util::FutureExt as _;
use tower::service_fn;

use super::*;
use crate::api::{Entry, Thing};
use crate::object::{Key, Metadata, Resource};
use crate::store::Origin;
use crate::transport::{Request, Service};

/// Informers that never hear from a server.
fn informers() -> Informers {
    let service = service_fn(|_: Request| std::future::pending());
    Informers::new(Client::new(Service::new(service), "test"))
}

fn change(name: &str) -> Change<Thing> {
    let metadata = Metadata { namespace: "n".into(), name: name.into(), ..Metadata::default() };
    let new = Some(Entry::Valid(Arc::new(Thing { metadata, size: 0 })));
    Change { old: None, new, origin: Origin::Event }
}

/// Tells of the coming of an object, as its reflector would.
pub(crate) fn tell(informer: &Informer<Thing>, name: &str) {
    informer.shared.fanout.tell(&change(name));
}

fn gone(name: &str) -> Change<Thing> {
    let Change { new, .. } = change(name);
    Change { old: new, new: None, origin: Origin::Event }
}

#[test]
fn a_kind_has_one_informer_for_each_scope() {
    let informers = informers();
    let shares = |one: &Informer<Thing>, other: &Informer<Thing>| Arc::ptr_eq(&one.shared, &other.shared);
    let all = informers.of::<Thing>();
    assert!(shares(&all, &informers.clone().of()));
    let some = informers.of_scope(&Scope::namespaces(["a", "b"]));
    assert!(shares(&some, &informers.of_scope(&Scope::namespaces(["b", "a", "b"]))));
    assert!(shares(&some, &informers.clone().within(Scope::namespaces(["a", "b"])).of()));
    assert!(!shares(&all, &some));
    let labelled = Scope::all().labels("app=web").expect("a selector");
    assert!(!shares(&all, &informers.of_scope(&labelled)));
    assert!(shares(&informers.of_scope(&labelled), &informers.of_scope(&labelled.clone())));
}

/// What lives in no namespace.
#[derive(Debug, serde::Deserialize)]
struct Wide {
    metadata: Metadata,
}

impl Object for Wide {
    const RESOURCE: Resource = Resource { group: "", version: "v1", kind: "Wide", plural: "wides" };
    const NAMESPACED: bool = false;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

#[tokio::test]
async fn what_lives_in_no_namespace_is_watched_by_those_who_are_told_of_some() {
    let (asked, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let service = service_fn(move |request: Request| {
        // Nobody listens once the test has heard enough.
        let _ = asked.send(request.uri().path().to_owned());
        std::future::pending()
    });
    let informers = Informers::new(Client::new(Service::new(service), "test")).within(Scope::namespaces(["a", "b"]));
    assert!(Arc::ptr_eq(&informers.of::<Wide>().shared, &informers.of_scope::<Wide>(&Scope::all()).shared));
    informers.of::<Wide>().start();
    assert_eq!(requests.recv().await.as_deref(), Some("/api/v1/wides"));
}

#[test]
fn a_subscriber_that_is_gone_is_told_nothing() {
    let informer = informers().of::<Thing>();
    let told = Arc::new(Mutex::new(0));
    let counted = told.clone();
    let subscription = informer.subscribe(move |_| *lock(&counted) += 1);
    tell(&informer, "a");
    drop(subscription);
    tell(&informer, "a");
    assert_eq!(*lock(&told), 1);
    assert_eq!(lock(&informer.shared.fanout.subscribers).len(), 0);
}

#[tokio::test]
async fn a_key_that_vanished_before_it_was_read_wakes_its_reader_and_holds_up_no_other() {
    let informer = informers().of::<Thing>();
    let (mut quick, mut slow) = (informer.keys(), informer.keys());
    // A task of its own, which is looked at again only if it is woken.
    let reading = tokio::spawn(async move { (slow.next().await, slow.next().await, slow.is_empty()) });
    tokio::task::yield_now().await;
    assert!(quick.next().now_or_never().is_none(), "nothing has happened");
    for round in 0..10_000 {
        // It comes and goes before the slow one has looked.
        tell(&informer, "vanishing");
        informer.shared.fanout.tell(&gone("vanishing"));
        let read = quick.next().now_or_never();
        assert_eq!(read, Some(Key::new("n", "vanishing")), "round {round}");
        assert!(quick.next().now_or_never().is_none(), "once a round");
    }
    tell(&informer, "later");
    let patience = std::time::Duration::from_secs(10);
    let read = tokio::time::timeout(patience, reading).await.expect("it is woken").expect("no panic");
    assert_eq!(read, (Key::new("n", "vanishing"), Key::new("n", "later"), true));
}

#[test]
fn a_subscriber_that_never_reads_costs_a_key_an_object_and_nothing_a_change() {
    let informer = informers().of::<Thing>();
    let stalled = informer.keys();
    for _ in 0..1_000 {
        for name in ["a", "b", "c"] {
            tell(&informer, name);
        }
    }
    assert_eq!(stalled.len(), 3);
}

#[tokio::test]
async fn a_reader_that_waits_on_another_task_is_woken_for_every_key() {
    let informer = informers().of::<Thing>();
    let mut keys = informer.keys();
    let reading = tokio::spawn(async move {
        for number in 0..1_000 {
            assert_eq!(keys.next().await, Key::new("n", number.to_string()));
        }
    });
    for number in 0..1_000 {
        tell(&informer, &number.to_string());
        if number % 3 == 0 {
            tokio::task::yield_now().await;
        }
    }
    tokio::time::timeout(std::time::Duration::from_secs(10), reading).await.expect("all keys").expect("no panic");
}
