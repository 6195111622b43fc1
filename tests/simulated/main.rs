//! The operator's whole life in virtual time: on the simulator, with the controllers behind it, and a seed.
//!
//! All runs on one thread whose clock stands still until nobody has anything to do, and then leaps to the next moment at which
//! somebody has. An hour takes as long as what happens in it.

mod life;
mod trouble;
mod upgrade;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::life::{APPLICATIONS, Life, condition, live, names};

fn hash(lines: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    lines.hash(&mut hasher);
    hasher.finish()
}

/// A hundred Applications, children that somebody deletes, an image that can't be pulled and is mended, and the end.
async fn story(life: Arc<Life>) {
    // An operator that finds them all at once takes them in no order: its caches are hash maps.
    sleep(Duration::from_secs(1)).await;
    let names = names(100);
    for name in &names {
        life.create(name, "nginx").await;
    }
    let took = life.wait_for_ready(&names).await;
    assert!(took < Duration::from_secs(30), "{took:?}");

    for name in &names[..10] {
        let uri = format!("/apis/apps/v1/namespaces/default/deployments/{name}-deployment");
        let before = life.get(&uri).await["metadata"]["uid"].clone();
        assert_eq!(life.ask("DELETE", &uri, "", &Value::Null).await.0, 200);
        let took = life.wait("the Deployment to be back", async || {
            let uid = life.get(&uri).await["metadata"]["uid"].clone();
            uid.is_string() && uid != before
        });
        let took = took.await;
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    life.wait_for_ready(&names).await;

    let bad = format!("{APPLICATIONS}/{}", names[0]);
    life.merge(&bad, &json!({"spec": {"image": "nginx:missing"}})).await;
    life.wait("the failure to be told", async || {
        let failure = life.get(&bad).await["status"]["failure"].clone();
        failure["reason"] == "ImagePullBackOff" || failure["reason"] == "ErrImagePull"
    })
    .await;
    life.wait("the deadline", async || condition(&life.get(&bad).await, "Progressing")[0] == "False").await;
    life.merge(&bad, &json!({"spec": {"image": "nginx:1.29"}})).await;
    life.wait_for_ready(&names).await;

    for name in &names {
        assert_eq!(life.ask("DELETE", &format!("{APPLICATIONS}/{name}"), "", &Value::Null).await.0, 200);
    }
    life.wait("everything to be gone", async || {
        let mut left = 0;
        for uri in ["/apis/apps/v1/deployments", "/apis/apps/v1/replicasets", "/api/v1/pods", "/api/v1/services"] {
            left += life.list(uri).await.len();
        }
        left == 0
    })
    .await;
}

#[test]
fn a_hundred_applications_live_and_die_in_virtual_time_and_the_same_seed_gives_the_same_life() {
    let lives = [live(11, &[], story), live(11, &[], story)];
    let changes = lives.each_ref().map(|life| life.changes());
    let asked = lives.each_ref().map(|life| life.asked.lock().expect("no panic").clone());
    for lines in [&changes, &asked] {
        let first = lines[0].iter().zip(&lines[1]).position(|(a, b)| a != b);
        let shown = first.map(|place| (place, &lines[0][place], &lines[1][place]));
        assert_eq!(hash(&lines[0]), hash(&lines[1]), "{} and {} lines: {shown:#?}", lines[0].len(), lines[1].len());
    }
}
