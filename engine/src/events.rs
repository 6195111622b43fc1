//! Events (`events.k8s.io/v1`): what a controller did, told to those who look at the object.
//!
//! Telling is never in the way of doing: an event is put into a bounded queue, and dropped where that is full. A task sends
//! them one by one. An event that was sent within the last minutes is not sent again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use serde::de::IgnoredAny;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::debug;

use crate::api::Client;
use crate::object::{Object, Resource, Uid, chain};

/// Events that wait to be sent. At a few hundred bytes each they take less memory than one page of a list.
const WAITING: usize = 1_000;

/// An event that equals one sent within this time is dropped: client-go's period for finishing a series.
const SILENCE: Duration = Duration::from_mins(6);

/// Events that are remembered for that. Beyond it all are forgotten, at the cost of a few repetitions.
const REMEMBERED: usize = 4_096;

/// The longest note that the API server accepts, in bytes.
const LONGEST_NOTE: usize = 1_024;

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
    sender: mpsc::Sender<Filed>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Filed {
    regarding: ObjectReference,
    kind: Kind,
    reason: &'static str,
    action: &'static str,
    note: String,
    at: Timestamp,
}

/// A recorder, and the task that sends what it files, as long as it is polled. `controller` is named as the reporter, and
/// `instance` as the process.
pub fn channel(client: Client, controller: &'static str, instance: String) -> (Recorder, impl Future<Output = ()>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Recorder { sender, dropped: Arc::default() }, send(client, controller, instance, receiver))
}

impl Recorder {
    /// Files an event about `object`: `action` was taken, because of or with the result of `reason`; both are words in
    /// CamelCase. A note that is too long is cut.
    pub fn record<T: Object>(&self, object: &T, kind: Kind, reason: &'static str, action: &'static str, note: String) {
        let metadata = object.metadata();
        let regarding = ObjectReference {
            api_version: Some(T::RESOURCE.api_version()),
            kind: Some(T::RESOURCE.kind.to_owned()),
            name: Some(metadata.name.to_string()),
            // Events about objects without a namespace stand in this one.
            namespace: Some(if metadata.namespace.is_empty() { "default" } else { &metadata.namespace }.to_owned()),
            uid: Some(metadata.uid.to_string()),
            ..ObjectReference::default()
        };
        let filed = Filed { regarding, kind, reason, action, note: shortened(note), at: Timestamp::now() };
        if self.sender.try_send(filed).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many events were dropped because too many were waiting.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

async fn send(client: Client, controller: &'static str, instance: String, mut receiver: mpsc::Receiver<Filed>) {
    let mut sent: HashMap<(Uid, &'static str, String), Instant> = HashMap::new();
    let mut serial = 0u64;
    while let Some(filed) = receiver.recv().await {
        let uid = Uid(filed.regarding.uid.clone().unwrap_or_default().into());
        let same = (uid, filed.reason, filed.note.clone());
        if sent.get(&same).is_some_and(|at| at.elapsed() < SILENCE) {
            continue;
        }
        if sent.len() >= REMEMBERED {
            sent.clear();
        }
        serial += 1;
        let namespace = filed.regarding.namespace.clone().unwrap_or_default();
        let event = event(filed, controller, &instance, serial);
        let body = match serde_json::to_value(&event) {
            Ok(body) => body,
            Err(error) => {
                debug!(%error, "event can't be encoded");
                continue;
            }
        };
        // An event is a courtesy: one that can't be sent, in a terminating namespace say, is not worth a retry.
        match client.create_as::<IgnoredAny>(&EVENTS, Some(&namespace), &body).await {
            Ok(_) => drop(sent.insert(same, Instant::now())),
            Err(error) => debug!(error = chain(&error), "event can't be sent"),
        }
    }
}

fn event(filed: Filed, controller: &str, instance: &str, serial: u64) -> Event {
    // Unique as client-go's: the object's name, the moment, and here a serial, since a moment can be shared. The name is cut
    // so that the whole stays below the limit of 253.
    let name = filed.regarding.name.clone().unwrap_or_default();
    let short: String = name.chars().take_while(char::is_ascii).take(200).collect();
    let short = short.trim_end_matches(|last: char| !last.is_ascii_alphanumeric());
    let name = format!("{short}.{:x}{serial:x}", filed.at.as_nanosecond());
    Event {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: filed.regarding.namespace.clone(),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(filed.at)),
        reporting_controller: Some(controller.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(match filed.kind {
            Kind::Normal => "Normal".to_owned(),
            Kind::Warning => "Warning".to_owned(),
        }),
        reason: Some(filed.reason.to_owned()),
        action: Some(filed.action.to_owned()),
        note: Some(filed.note),
        regarding: Some(filed.regarding),
        ..Event::default()
    }
}

/// Cuts a note where the API server would refuse it, at a character's boundary.
fn shortened(mut note: String) -> String {
    if note.len() > LONGEST_NOTE {
        let cut = (0..=LONGEST_NOTE - "…".len()).rev().find(|&at| note.is_char_boundary(at)).unwrap_or(0);
        note.truncate(cut);
        note.push('…');
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        let short = "as it is".to_owned();
        assert_eq!(shortened(short.clone()), short);
        let cut = shortened("é".repeat(LONGEST_NOTE));
        assert!(cut.len() <= LONGEST_NOTE && cut.ends_with('…'), "{} bytes", cut.len());
    }

    #[test]
    fn two_events_of_one_moment_have_two_names() {
        let at = Timestamp::now();
        let filed = || Filed {
            regarding: ObjectReference { name: Some("x".repeat(253)), ..ObjectReference::default() },
            kind: Kind::Normal,
            reason: "Created",
            action: "Create",
            note: String::new(),
            at,
        };
        let name = |serial| event(filed(), "c", "i", serial).metadata.name.expect("a name");
        assert_ne!(name(1), name(2));
        assert!(name(u64::MAX).len() <= 253);
    }
}
