//! The example operator on an API server: what it promises, through restarts too.

#![allow(dead_code)] // The example's `main`.

mod support;

#[path = "../examples/copier.rs"]
mod copier;

use engine::shutdown;
use serde_json::{Value, json};
use testbed::Server;
use tokio::task::JoinHandle;

use self::support::{Space, shared, until};

/// A copier that runs.
struct Running {
    trigger: shutdown::Trigger,
    task: JoinHandle<Result<(), engine::controller::Error>>,
}

impl Running {
    fn start(space: &Space<'_>) -> Self {
        let (trigger, shutdown) = shutdown::channel();
        Self { trigger, task: tokio::spawn(copier::run(space.client.clone(), shutdown)) }
    }

    async fn stop(self) {
        self.trigger.give();
        self.task.await.expect("no panic").expect("it ends well");
    }
}

/// Where `namespace` has the source, or its copy.
fn path(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps/settings")
}

/// What `namespace` has under the source's name: its value, and the label that tells a copy.
fn found(cluster: &Server, namespace: &str) -> Option<(String, String)> {
    let object = cluster.admin().get(&path(namespace))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (data, from) = (&object["data"], text(&object["metadata"]["labels"]["copier.example/from"]));
    Some((text(&data["value"]) + &text(&data["added"]), from))
}

fn is_copy(cluster: &Server, namespace: &str, value: &str) -> bool {
    found(cluster, namespace) == Some((value.to_owned(), "copied-from".to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn copies_follow_their_source_and_outlive_neither_it_nor_the_wish_for_them() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "copied-from");
    let admin = cluster.admin();
    for namespace in ["blue", "green", "taken"] {
        admin.create("/api/v1/namespaces", &json!({"metadata": {"name": namespace}}));
    }
    let theirs = json!({"metadata": {"name": "settings"}, "data": {"value": "theirs"}});
    admin.create("/api/v1/namespaces/taken/configmaps", &theirs);
    space.create("settings", "1").await;
    let ask = |targets: &str| {
        let change = json!({"metadata": {"annotations": {"copier.example/to": targets}}});
        assert_eq!(admin.ask("PATCH", &path("copied-from"), &change).0, 200);
    };
    let edit = |data: Value| assert_eq!(admin.ask("PATCH", &path("blue"), &json!({"data": data})).0, 200);

    let copier = Running::start(&space);
    ask("taken,missing,blue, green");
    until("two copies", || ["blue", "green"].iter().all(|target| is_copy(cluster, target, "1"))).await;
    assert_eq!(found(cluster, "taken"), Some(("theirs".into(), String::new())), "what is somebody else's stays");

    space.update("settings", "2").await;
    until("new copies", || ["blue", "green"].iter().all(|target| is_copy(cluster, target, "2"))).await;
    edit(json!({"value": "edited", "added": "!"}));
    until("an edited copy to be put back", || is_copy(cluster, "blue", "2")).await;
    admin.delete(&path("green"));
    until("a deleted copy to be back", || is_copy(cluster, "green", "2")).await;
    ask("blue");
    until("a copy that nobody asks for to go", || found(cluster, "green").is_none()).await;

    copier.stop().await;
    edit(json!({"value": "edited"}));
    ask("blue,green");
    let copier = Running::start(&space);
    until("what was missed", || ["blue", "green"].iter().all(|target| is_copy(cluster, target, "2"))).await;

    copier.stop().await;
    space.delete("settings").await;
    let copier = Running::start(&space);
    until("copies of nothing to go", || ["blue", "green"].iter().all(|target| found(cluster, target).is_none())).await;
    assert_eq!(found(cluster, "taken"), Some(("theirs".into(), String::new())));
    copier.stop().await;
}
