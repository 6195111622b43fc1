//! Workers without a server: what becomes of reconcilers that misbehave.

use std::sync::Mutex;

use super::*;
use crate::shutdown;

/// Panics before its future exists, or within it, or hangs, by the name of the key; else notes it.
#[derive(Clone, Default)]
struct Moody {
    seen: Arc<Mutex<Vec<String>>>,
}

impl Reconcile for Moody {
    fn reconcile(&self, key: &Key) -> impl Future<Output = Result<Outcome, Failure>> + Send {
        assert!(&*key.name != "panics early", "before the future");
        let (name, seen) = (key.name.to_string(), self.seen.clone());
        async move {
            match name.as_str() {
                "panics late" => panic!("within the future"),
                "hangs" => std::future::pending().await,
                _ => seen.lock().unwrap().push(name),
            }
            Ok(Outcome::Done)
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_panics_or_hangs_costs_no_worker() {
    let controller = Controller::new("test", Arc::default());
    let queue = controller.queue.clone();
    let (trigger, shutdown) = shutdown::channel();
    let moody = Moody::default();
    let running = tokio::spawn(controller.run(moody.clone(), 2, shutdown));
    for bad in ["panics early", "panics late", "hangs"] {
        queue.add(Key::new("n", bad), Reason::Updated);
    }
    sleep(RECONCILE_DEADLINE * 10).await;
    queue.add(Key::new("n", "good"), Reason::Updated);
    sleep(RECONCILE_DEADLINE * 2).await;
    assert_eq!(*moody.seen.lock().unwrap(), ["good"]);
    trigger.give();
    running.await.expect("no panic").expect("no task has ended");
}
