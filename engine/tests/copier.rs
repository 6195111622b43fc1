//! The example operator on the real thing: what it promises, through restarts too.

#![allow(dead_code)] // The example's `main`.

mod support;

#[path = "../examples/copier.rs"]
mod copier;

use cluster::Cluster;
use engine::shutdown;
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

/// What `namespace` has under the source's name: its value, and the label that tells a copy.
fn found(cluster: &Cluster, namespace: &str) -> Option<(String, String)> {
    let path = "{.data.value};{.metadata.labels.copier\\.example/from};{.data.added}";
    let template = format!("jsonpath={path}");
    let output = cluster.kubectl(["get", "configmap", "settings", "-n", namespace, "-o", &template]).expect("kubectl");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (value, rest) = text.split_once(';')?;
    let (from, added) = rest.split_once(';')?;
    Some((format!("{value}{added}"), from.to_owned()))
}

fn is_copy(cluster: &Cluster, namespace: &str, value: &str) -> bool {
    found(cluster, namespace) == Some((value.to_owned(), "copied-from".to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn copies_follow_their_source_and_outlive_neither_it_nor_the_wish_for_them() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "copied-from");
    for namespace in ["blue", "green", "taken"] {
        cluster.kubectl_ok(&["create", "namespace", namespace]);
    }
    cluster.kubectl_ok(&["create", "configmap", "settings", "-n", "taken", "--from-literal=value=theirs"]);
    space.create("settings", "1").await;
    let ask = |targets: &str| {
        let annotation = format!("copier.example/to={targets}");
        cluster.kubectl_ok(&["annotate", "--overwrite", "configmap", "settings", "-n", "copied-from", &annotation]);
    };
    let edit = |patch: &str| {
        cluster.kubectl_ok(&["patch", "configmap", "settings", "-n", "blue", "--type=merge", "-p", patch]);
    };

    let copier = Running::start(&space);
    ask("taken,missing,blue, green");
    until("two copies", || ["blue", "green"].iter().all(|target| is_copy(cluster, target, "1"))).await;
    assert_eq!(found(cluster, "taken"), Some(("theirs".into(), String::new())), "what is somebody else's stays");

    space.update("settings", "2").await;
    until("new copies", || ["blue", "green"].iter().all(|target| is_copy(cluster, target, "2"))).await;
    edit(r#"{"data": {"value": "edited", "added": "!"}}"#);
    until("an edited copy to be put back", || is_copy(cluster, "blue", "2")).await;
    cluster.kubectl_ok(&["delete", "configmap", "settings", "-n", "green"]);
    until("a deleted copy to be back", || is_copy(cluster, "green", "2")).await;
    ask("blue");
    until("a copy that nobody asks for to go", || found(cluster, "green").is_none()).await;

    copier.stop().await;
    edit(r#"{"data": {"value": "edited"}}"#);
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
