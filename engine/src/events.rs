//! Events (`events.k8s.io/v1`): what a controller did, told to those who look at the object.
//!
//! Telling is never in the way of doing: an occurrence is put into a bounded queue, and dropped and counted where that is
//! full. `core` decides what becomes of it; here is the task that sends.

mod body;
mod budget;
mod core;

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use serde::de::IgnoredAny;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

pub use self::core::Counts;
use self::core::{Answer, Core, Now, Reference, Request, Subject};
use crate::api::{Client, Error, PatchType};
use crate::metrics::Metrics;
use crate::object::{Key, Object, Resource, chain};

/// Requests under way at the same time, once nothing more is filed: the process is about to end. Until then it is one, with
/// a rest after each.
const PARALLEL: usize = 4;

/// Occurrences between those who file them and the task that sorts them, which does so at once.
const FILED: usize = 1_000;

/// Time between two looks at what is over.
const TICK: Duration = Duration::from_secs(30);

/// How long what is still to be sent may take once nothing more is filed. The process is about to end, and this is a courtesy.
const FLUSH: Duration = Duration::from_millis(1_500);

const EVENTS: Resource = Resource { group: "events.k8s.io", version: "v1", kind: "Event", plural: "events" };

/// Whether all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// For information.
    Normal,
    /// Somebody should look.
    Warning,
}

/// Files events. Clones file them in the same place.
#[derive(Debug, Clone)]
pub struct Recorder {
    sender: mpsc::Sender<(Timestamp, Subject)>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Occurrences that found the queue full.
    dropped: AtomicU64,
    counts: Mutex<Counts>,
}

/// A recorder, and the task that sends what it files, as long as it is polled. It ends soon after the last recorder is gone.
/// `controller` is named as the reporter, and `instance` as the process.
pub fn channel(client: Client, controller: &'static str, instance: String) -> (Recorder, impl Future<Output = ()>) {
    let (sender, receiver) = mpsc::channel(FILED);
    let shared = Arc::<Shared>::default();
    let sending = Sending { client, controller, instance, shared: shared.clone() };
    (Recorder { sender, shared }, sending.run(receiver))
}

impl Recorder {
    /// Files an event about `object`: `action` was taken, because of or with the result of `reason`; both are words in
    /// CamelCase. A note that is too long is cut.
    pub fn record<T: Object>(&self, object: &T, kind: Kind, reason: &'static str, action: &'static str, note: String) {
        self.file(reference(object), None, kind, reason, action, note);
    }

    /// [`record`](Self::record), where a second object has to do with it: the one that was made, say, of the one that asked
    /// for it.
    pub fn record_related<T: Object, R: Object>(
        &self,
        object: &T,
        related: &R,
        kind: Kind,
        reason: &'static str,
        action: &'static str,
        note: String,
    ) {
        self.file(reference(object), Some(reference(related)), kind, reason, action, note);
    }

    fn file(
        &self,
        regarding: Reference,
        related: Option<Reference>,
        kind: Kind,
        reason: &'static str,
        action: &'static str,
        note: String,
    ) {
        let subject = Subject { regarding, related, kind, reason, action, note: body::note(note) };
        if self.sender.try_send((Timestamp::now(), subject)).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What has become of all that was filed.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Shows [`counts`](Self::counts) from now on.
    #[expect(clippy::cast_precision_loss, reason = "a count beyond 2^53 is out of reach")]
    pub fn observed_by(&self, metrics: &Metrics) {
        // Not the recorder: the task ends with the last of them.
        let shared = self.shared.clone();
        metrics.observe(move |samples| {
            let Counts { sent, aggregated, suppressed, refused, dropped } = shared.counts();
            for (result, count) in [
                ("sent", sent),
                ("aggregated", aggregated),
                ("suppressed", suppressed),
                ("refused", refused),
                ("dropped", dropped),
            ] {
                let help = "Events by what became of them";
                samples.counter("engine_events", help, &[("result", result)], count as f64);
            }
        });
    }
}

impl Shared {
    fn counts(&self) -> Counts {
        let counts = *self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        Counts { dropped: counts.dropped + self.dropped.load(Ordering::Relaxed), ..counts }
    }
}

fn reference<T: Object>(object: &T) -> Reference {
    let metadata = object.metadata();
    Reference {
        api_version: T::RESOURCE.api_version(),
        kind: T::RESOURCE.kind,
        namespace: metadata.namespace.to_string(),
        name: metadata.name.to_string(),
        uid: metadata.uid.to_string(),
    }
}

/// What the task sends with.
struct Sending {
    client: Client,
    controller: &'static str,
    instance: String,
    shared: Arc<Shared>,
}

impl Sending {
    async fn run(self, mut receiver: mpsc::Receiver<(Timestamp, Subject)>) {
        let (started, mut core) = (Instant::now(), Core::default());
        let mut under_way = FuturesUnordered::new();
        // When it is to end, once nothing more is filed.
        let mut end: Option<Instant> = None;
        let mut ticked = Now::ZERO;
        loop {
            let now = started.elapsed();
            while under_way.len() < PARALLEL
                && let Some(request) = core.next(now)
            {
                under_way.push(self.send(request));
            }
            self.publish(core.counts());
            if end.is_some() && core.is_idle() {
                return;
            }
            let tick = ticked + TICK;
            let wake_at =
                started + core.wake_at().filter(|_| under_way.len() < PARALLEL).map_or(tick, |at| at.min(tick));
            let wake = pin!(sleep_until(end.map_or(wake_at, |end| end.min(wake_at))));
            tokio::select! {
                filed = receiver.recv(), if end.is_none() => if let Some((at, subject)) = filed {
                    core.observe(started.elapsed(), at, subject);
                } else {
                    core.close();
                    end = Some(Instant::now() + FLUSH);
                },
                Some((subject, answer)) = under_way.next() => {
                    core.answered(started.elapsed(), fastrand::f64(), &subject, answer);
                }
                () = wake => {
                    if end.is_some_and(|end| end <= Instant::now()) {
                        let unsent = core.unsent() as u64;
                        debug!(unsent, "no time left for events");
                        self.publish(Counts { dropped: core.counts().dropped + unsent, ..core.counts() });
                        return;
                    }
                    let now = started.elapsed();
                    if now >= tick {
                        core.tick(now);
                        ticked = now;
                    }
                }
            }
        }
    }

    async fn send(&self, request: Request) -> (Arc<Subject>, Answer) {
        let namespace = request.subject.namespace();
        let result: Result<IgnoredAny, Error> = if request.is_new {
            let event = body::event(&request, self.controller, &self.instance);
            self.client.create_as(&EVENTS, Some(namespace), event).await
        } else {
            let key = Key::new(namespace, body::name(&request));
            self.client.patch_as(&EVENTS, &key, None, PatchType::Merge, body::series(&request)).await
        };
        let answer = result.map_or_else(|error| judged(&error, request.is_new), |_| Answer::Done);
        (request.subject, answer)
    }

    fn publish(&self, counts: Counts) {
        *self.shared.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }
}

fn judged(error: &Error, is_new: bool) -> Answer {
    debug!(error = chain(error), "event can't be sent");
    match error.status().map(|status| status.code) {
        // Sent before, and the answer was lost: the name is nobody else's.
        Some(409) if is_new => Answer::Done,
        Some(404) => Answer::Missing,
        Some(403) => Answer::Forbidden,
        Some(408 | 429) => Answer::Unavailable,
        Some(code) if code < 500 => Answer::Refused,
        Some(_) => Answer::Unavailable,
        None if error.is_unavailable() => Answer::Unavailable,
        None => Answer::Refused,
    }
}
