//! A queue, read when somebody asks, so that the queue itself pays nothing.

use crate::metrics::Samples;
use crate::object::Key;
use crate::queue::Queue;
use crate::trigger::Lane;

/// Tells of `queue` under `name`, with the labels of controller-runtime 0.25.
#[expect(clippy::cast_precision_loss, reason = "a count beyond 2^53 is out of reach")]
pub(super) fn reader(name: &'static str, queue: Queue<Key>) -> impl Fn(&mut Samples) + Send + Sync {
    move |samples| {
        let (depth, counts) = (queue.depth(), queue.counts());
        let labels = [("name", name), ("controller", name)];
        for lane in Lane::ALL {
            let priority = lane.priority().to_string();
            let labels = [labels[0], labels[1], ("priority", &*priority)];
            let ready = depth.ready[lane.index()] as f64;
            samples.gauge("workqueue_depth", "Keys that wait for a worker", &labels, ready);
        }
        let mut gauge = |name, help, value| samples.gauge(name, help, &labels, value);
        gauge("workqueue_delayed", "Keys whose time has not come", depth.waiting as f64);
        gauge(
            "workqueue_unfinished_work_seconds",
            "How long the keys that workers hold have been held, added up",
            depth.unfinished.as_secs_f64(),
        );
        gauge(
            "workqueue_longest_running_processor_seconds",
            "How long that key has been held which has been held for longest",
            depth.longest_running.as_secs_f64(),
        );
        gauge(
            "workqueue_oldest_ready_seconds",
            "How long that key has waited for a worker which has waited for longest",
            depth.oldest_ready.as_secs_f64(),
        );
        samples.counter("workqueue_adds", "Keys that became ready", &labels, counts.adds as f64);
        samples.counter(
            "workqueue_retries",
            "Keys put back for later, by a failure or a wait",
            &labels,
            counts.retries as f64,
        );
    }
}
