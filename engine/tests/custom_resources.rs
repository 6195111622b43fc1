//! Caches of custom resources against an API server: definitions that are not there, or no longer, and objects that do
//! not fit the type that they are decoded into.

mod support;

use std::sync::{Arc, Mutex, PoisonError};

use engine::api::{Client, Collection, Entry, Scope};
use engine::config::Config;
use engine::object::{Key, Metadata, Object, PartialObjectMetadata, Resource};
use engine::reflector::Reflector;
use engine::store::{self, Reader};
use engine::transport;
use engine::watch::{End, Reason};
use serde::Deserialize;
use serde_json::json;
use testbed::Server;
use tokio::task::JoinHandle;

use self::support::{Requests, shared, until};

/// As much of a `Widget` as is read. Its definition lets `size` be anything.
#[derive(Debug, Deserialize)]
struct Widget {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Deserialize)]
struct Spec {
    size: u32,
}

impl Object for Widget {
    const RESOURCE: Resource = Resource { group: "example.dev", version: "v1", kind: "Widget", plural: "widgets" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// The same under another name, so that tests which remove the definition leave the others alone.
#[derive(Debug, Deserialize)]
struct Gadget {
    metadata: Metadata,
}

impl Object for Gadget {
    const RESOURCE: Resource = Resource { group: "example.dev", version: "v1", kind: "Gadget", plural: "gadgets" };

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// A cache, what it was told, and the task that fills it, which ends when this is dropped.
struct Cached<T> {
    reader: Reader<T>,
    signs: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl<T: Object> Cached<T> {
    fn start(client: Client, scope: &Scope) -> Self {
        let (mut writers, reader) = store::scoped::<T>(scope);
        let signs: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = signs.clone();
        let task = tokio::spawn(Reflector::new(client, writers.remove(0)).run(move |change| {
            let sign = match (&change.old, &change.new) {
                (None, _) => '+',
                (_, None) => '-',
                _ => '~',
            };
            let text = format!("{sign}{}", change.key().name);
            told.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }));
        Self { reader, signs, task }
    }

    fn signs(&self, name: &str) -> String {
        let signs = self.signs.lock().unwrap_or_else(PoisonError::into_inner);
        signs.iter().filter(|sign| sign[1..] == *name).map(|sign| &sign[..1]).collect()
    }
}

impl<T> Drop for Cached<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn define(cluster: &Server, kind: &str) {
    let singular = kind.to_lowercase();
    cluster.apply(&format!(
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n\
         metadata: {{name: {singular}s.example.dev}}\n\
         spec:\n  group: example.dev\n  scope: Namespaced\n  names: {{kind: {kind}, plural: {singular}s}}\n  versions:\n  \
         - name: v1\n    served: true\n    storage: true\n    schema: {{openAPIV3Schema: {{type: object, \
         x-kubernetes-preserve-unknown-fields: true}}}}\n"
    ));
    cluster.admin().wait_until_established(&format!("{singular}s.example.dev"));
}

fn create_namespace(cluster: &Server, name: &str) {
    cluster.admin().create("/api/v1/namespaces", &json!({"metadata": {"name": name}}));
}

fn put(cluster: &Server, kind: &str, namespace: &str, name: &str, labels: &str, size: &str) {
    cluster.apply(&format!(
        "apiVersion: example.dev/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}, \
         labels: {{{labels}}}}}\nspec: {{size: {size}}}\n"
    ));
}

fn service(cluster: &Server) -> transport::Service {
    let config = Config::from_kubeconfig(cluster.kubeconfig(), None).expect("the cluster's kubeconfig");
    transport::connect(&config).expect("a usable configuration")
}

fn size(reader: &Reader<Widget>, namespace: &str, name: &str) -> Option<Result<u32, String>> {
    Some(match reader.get(&Key::new(namespace, name))? {
        Entry::Valid(widget) => Ok(widget.spec.size),
        Entry::Invalid(invalid) => Err(invalid.error.clone()),
    })
}

/// Pain 16: one bad object wedged the whole operator.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_object_that_cannot_be_decoded_stops_no_other_however_it_comes() {
    let Some(cluster) = shared() else { return };
    define(cluster, "Widget");
    create_namespace(cluster, "bad");
    put(cluster, "Widget", "bad", "good", "", "1");
    put(cluster, "Widget", "bad", "poison", "", "large");
    let client = Client::new(service(cluster), "engine-test");

    // By pages of one.
    let (mut token, mut entries) = (None, Vec::new());
    loop {
        let collection = Collection::of(Some("bad"));
        let page = client.list::<Widget>(&collection, Some(1), token.as_deref()).await.expect("a page");
        entries.extend(page.entries);
        token = page.continue_token;
        if token.is_none() {
            break;
        }
    }
    let paged: Vec<_> = entries.iter().map(|entry| (entry.key().name.to_string(), entry.valid().is_some())).collect();
    assert_eq!(paged, [("good".to_owned(), true), ("poison".to_owned(), false)]);

    // By a streamed list.
    let cached = Cached::<Widget>::start(client, &Scope::namespaces(["bad"]));
    let reader = &cached.reader;
    reader.synced().await;
    assert_eq!(size(reader, "bad", "good"), Some(Ok(1)));
    let error = size(reader, "bad", "poison").expect("it is there").expect_err("it can't be decoded");
    assert!(error.contains("does not fit its type") && !error.contains("large"), "{error}");
    assert_eq!(reader.stats()[0].quarantined(), 1);

    // By events: one that goes bad, one that is mended, one that is deleted while it is bad.
    put(cluster, "Widget", "bad", "good", "", "-1");
    until("good to go bad", || matches!(size(reader, "bad", "good"), Some(Err(_)))).await;
    put(cluster, "Widget", "bad", "poison", "", "3");
    until("poison to be mended", || size(reader, "bad", "poison") == Some(Ok(3))).await;
    cluster.admin().delete("/apis/example.dev/v1/namespaces/bad/widgets/good");
    until("good to go", || size(reader, "bad", "good").is_none()).await;
    assert_eq!((cached.signs("good"), cached.signs("poison")), ("+~-".to_owned(), "+~".to_owned()));
    let stats = &reader.stats()[0];
    assert_eq!((stats.quarantined(), stats.relists()), (0, 0), "the watch was never given up");
}

/// Pain 18: a definition that was not yet there crashed operators, or made them spin; one that was removed as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_definition_that_comes_goes_and_comes_again_is_followed_without_spinning() {
    let Some(cluster) = shared() else { return };
    let (service, requests) = Requests::of(service(cluster));
    let cached = Cached::<Gadget>::start(Client::new(service, "engine-test"), &Scope::all());
    let there = |name: &'static str| cached.reader.get(&Key::new("default", name)).is_some();
    let absences = || cached.reader.stats()[0].ends(End::Absent);
    until("it to be missed", || absences() >= 3).await;
    assert!(!cached.reader.is_synced());
    // A probe a second or two, and not a thousand.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(requests.all().len() < 20, "{}", requests.all().len());

    define(cluster, "Gadget");
    put(cluster, "Gadget", "default", "first", "", "1");
    until("the first", || there("first")).await;
    cluster.admin().delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gadgets.example.dev");
    until("it to be gone with its definition", || cached.reader.is_empty()).await;
    assert_eq!(cached.signs("first"), "+-");

    define(cluster, "Gadget");
    put(cluster, "Gadget", "default", "second", "", "1");
    until("the second", || there("second")).await;
    assert_eq!(cached.signs("second"), "+");
    assert!(cached.reader.is_synced());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cache_holds_what_its_selectors_say_and_asks_for_metadata_alone() {
    let Some(cluster) = shared() else { return };
    define(cluster, "Widget");
    create_namespace(cluster, "selected");
    put(cluster, "Widget", "selected", "in", "tier: web", "1");
    put(cluster, "Widget", "selected", "out", "tier: db", "2");
    let (service, requests) = Requests::of(service(cluster));
    let client = Client::new(service, "engine-test");
    let scope = Scope::namespaces(["selected"]).labels("tier in (web, cache)").expect("a selector");
    let labelled = Cached::<PartialObjectMetadata<Widget>>::start(client.clone(), &scope);
    let scope = Scope::namespaces(["selected"]).field("metadata.name", "out");
    let single = Cached::<Widget>::start(client.clone(), &scope);
    labelled.reader.synced().await;
    single.reader.synced().await;
    let names = |keys: Vec<Key>| {
        let mut names: Vec<String> = keys.iter().map(|key| key.name.to_string()).collect();
        names.sort();
        names
    };
    assert_eq!((names(labelled.reader.keys()), names(single.reader.keys())), (vec!["in".into()], vec!["out".into()]));

    // What leaves the selection is gone, and what enters it has come.
    put(cluster, "Widget", "selected", "in", "tier: db", "1");
    put(cluster, "Widget", "selected", "out", "tier: cache", "2");
    until("the exchange", || names(labelled.reader.keys()) == ["out"]).await;
    assert_eq!(
        (labelled.signs("in"), labelled.signs("out"), single.signs("out")),
        ("+-".into(), "+".into(), "+~".into())
    );

    // An own write that leaves the selection is hidden at once, though no event may ever tell of it.
    let key = Key::new("selected", "out");
    let body = json!({"metadata": {"labels": {"tier": "db"}}});
    let answer = client.merge::<PartialObjectMetadata<Widget>>(&key, None, &body).await.expect("it is written");
    labelled.reader.remember(answer);
    assert!(labelled.reader.get(&key).is_none() && labelled.reader.is_empty());
    until("the watch", || labelled.signs("out") == "+-").await;
    assert!(requests.all().iter().any(|asked| asked.uri.contains("labelSelector=tier%20in%20%28web%2Ccache%29")));
}

/// Pain 1, of deletes: what was just deleted was deleted or counted again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_just_deleted_is_seen_no_more_and_its_next_life_is() {
    let Some(cluster) = shared() else { return };
    define(cluster, "Widget");
    create_namespace(cluster, "deleted");
    put(cluster, "Widget", "deleted", "app", "", "1");
    let client = Client::new(service(cluster), "engine-test");
    let cached = Cached::<Widget>::start(client, &Scope::namespaces(["deleted"]));
    let reader = &cached.reader;
    reader.synced().await;
    let key = Key::new("deleted", "app");
    let first = reader.get(&key).expect("it is there");
    // As if the watch was late: the answer to a delete comes first.
    reader.remember_deleted(first.metadata());
    assert_eq!((reader.get(&key).is_none(), reader.len(), reader.list().len(), reader.keys().len()), (true, 0, 0, 0));
    assert_eq!(reader.stats()[0].unconfirmed(), 1);
    cluster.admin().delete("/apis/example.dev/v1/namespaces/deleted/widgets/app");
    put(cluster, "Widget", "deleted", "app", "", "2");
    until("the next life", || size(reader, "deleted", "app") == Some(Ok(2))).await;
    assert_eq!((cached.signs("app"), reader.stats()[0].unconfirmed()), ("+-+".to_owned(), 0));
    assert_eq!(reader.stats()[0].lists(Reason::Initial), 1);
}
