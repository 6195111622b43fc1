//! Writes on an API server: a precondition that does not hold is a conflict, and a reconciler that has written something
//! reads it at once, however late the watch is.

mod support;

use std::time::Duration;

use engine::api::{Error, Precondition};
use engine::object::{Metadata, Object as _, ResourceVersion};
use serde_json::json;

use self::support::{ConfigMap, Space, behind_proxy, config_map, shared, until};

async fn apply(space: &Space<'_>, name: &str, value: &str, precondition: &Precondition) -> Result<ConfigMap, Error> {
    space.client.apply(&space.key(name), config_map(name, value), precondition).await
}

fn unchanged(metadata: &Metadata) -> Precondition {
    Precondition::Unchanged { uid: metadata.uid.clone(), version: metadata.resource_version.clone() }
}

/// What the server has, past every cache.
async fn value(space: &Space<'_>, name: &str) -> Option<String> {
    let object = space.client.get::<ConfigMap>(&space.key(name)).await.expect("an answer");
    object.map(|object| object.value().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_object_is_created_once_and_changed_only_from_the_state_that_was_seen() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "conditions");
    let first = apply(&space, "app", "1", &Precondition::Absent).await.expect("the name is free");
    let taken = apply(&space, "app", "2", &Precondition::Absent).await.expect_err("it is not any more");
    assert!(taken.is_conflict(), "{taken}");

    let second = apply(&space, "app", "2", &unchanged(first.metadata())).await.expect("nobody has changed it");
    let stale = apply(&space, "app", "3", &unchanged(first.metadata())).await.expect_err("it has changed since");
    assert!(stale.is_conflict(), "{stale}");
    assert_eq!(value(&space, "app").await.as_deref(), Some("2"));

    let same = apply(&space, "app", "2", &unchanged(second.metadata())).await.expect("what is there already");
    assert_eq!(same.metadata().resource_version, second.metadata().resource_version, "is not written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_life_of_a_name_is_never_written_to() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "lives");
    let former = apply(&space, "app", "1", &Precondition::Absent).await.expect("the name is free");
    space.delete("app").await;
    let Precondition::Unchanged { uid, version } = unchanged(former.metadata()) else { unreachable!() };
    for condition in [unchanged(former.metadata()), Precondition::SameLife { uid: uid.clone() }] {
        let gone = apply(&space, "app", "2", &condition).await.expect_err("it is gone");
        assert!(gone.is_conflict(), "{condition:?}: {gone}");
        assert_eq!(value(&space, "app").await, None, "{condition:?}");
    }

    let present = apply(&space, "app", "new", &Precondition::Absent).await.expect("the name is free again");
    let current = present.metadata().resource_version.clone();
    for condition in [
        Precondition::Unchanged { uid: uid.clone(), version },
        Precondition::Unchanged { uid: uid.clone(), version: current },
        Precondition::SameLife { uid },
    ] {
        let foreign = apply(&space, "app", "2", &condition).await.expect_err("it is another");
        let code = foreign.status().expect("an answer").code;
        assert!(matches!(code, 409 | 422), "{condition:?}: {foreign}");
        assert_eq!(value(&space, "app").await.as_deref(), Some("new"), "{condition:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_merge_is_refused_where_its_version_is_outdated() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "merge");
    let first = apply(&space, "app", "1", &Precondition::Absent).await.expect("the name is free");
    let merge = async |value: &str, version: &ResourceVersion| {
        let body = json!({"metadata": {"resourceVersion": version}, "data": {"value": value}});
        space.client.merge::<ConfigMap>(&space.key("app"), None, &body).await
    };
    merge("2", &first.metadata().resource_version).await.expect("nobody has changed it");
    let stale = merge("3", &first.metadata().resource_version).await.expect_err("it has changed since");
    assert!(stale.is_conflict(), "{stale}");
    assert_eq!(value(&space, "app").await.as_deref(), Some("2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_own_write_is_read_while_the_watch_is_late_and_the_watch_is_believed_once_it_is_not() {
    let Some(cluster) = shared() else { return };
    let space = Space::new(cluster, "late");
    for name in ["kept", "overwritten", "deleted"] {
        space.create(name, "1").await;
    }
    let (proxy, reflected, requests) = behind_proxy(&space).await;
    let read = |name: &str| reflected.value(&space.key(name));

    proxy.hold();
    for name in ["kept", "overwritten", "deleted", "created"] {
        let condition = match reflected.reader.get(&space.key(name)) {
            Some(entry) => unchanged(entry.metadata()),
            None => Precondition::Absent,
        };
        let answer = apply(&space, name, "own", &condition).await.expect("it is written");
        reflected.reader.remember(answer);
        assert_eq!(read(name).as_deref(), Some("own"), "{name}");
    }
    // Somebody else, of whom the watch has not told either.
    space.update("overwritten", "theirs").await;
    space.delete("deleted").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    for name in ["kept", "overwritten", "deleted", "created"] {
        assert_eq!(read(name).as_deref(), Some("own"), "{name}");
    }
    assert_eq!(reflected.changes().len(), 3, "the watch has brought nothing yet");

    proxy.release();
    let state = space.state();
    until("the watch", || reflected.state() == state && read("deleted").is_none()).await;
    assert_eq!([read("kept"), read("overwritten")], [Some("own".into()), Some("theirs".into())]);
    assert_eq!(reflected.signs("deleted"), "+~-");
    reflected.assert_history();
    assert_eq!(requests.lists(), 1, "late is not lost: {:?}", requests.all());
}
