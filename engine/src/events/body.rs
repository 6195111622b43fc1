//! What is sent: Events, and changes of their series, as the API server takes them. Pure.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use serde_json::{Value, json};

use super::Kind;
use super::core::{Reference, Request};

/// The longest note that the API server accepts, in bytes.
const LONGEST_NOTE: usize = 1_024;

/// The longest name of a reporting instance that the API server accepts, in bytes.
const LONGEST_INSTANCE: usize = 128;

/// Of the object's name, what the Event's name takes over: with the rest it stays below the limit of 253.
const LONGEST_STEM: usize = 200;

/// The name of the Event: the object's, and the moment, as client-go's; and a serial, since a moment can be shared.
pub(super) fn name(request: &Request) -> String {
    let stem: String = request.subject.regarding.name.chars().take_while(char::is_ascii).take(LONGEST_STEM).collect();
    let stem = stem.trim_end_matches(|last: char| !last.is_ascii_alphanumeric());
    format!("{stem}.{:x}{:x}", request.first.as_nanosecond(), request.serial)
}

/// The Event, whole.
pub(super) fn event(request: &Request, controller: &str, instance: &str) -> Event {
    let subject = &request.subject;
    Event {
        metadata: ObjectMeta {
            name: Some(name(request)),
            namespace: Some(subject.namespace().to_owned()),
            ..ObjectMeta::default()
        },
        event_time: Some(MicroTime(request.first)),
        reporting_controller: Some(controller.to_owned()),
        reporting_instance: Some(shortened(instance.to_owned(), LONGEST_INSTANCE)),
        type_: Some(match subject.kind {
            Kind::Normal => "Normal".to_owned(),
            Kind::Warning => "Warning".to_owned(),
        }),
        reason: Some(subject.reason.to_owned()),
        action: Some(subject.action.to_owned()),
        note: Some(subject.note.clone()),
        regarding: Some(reference(&subject.regarding)),
        related: subject.related.as_ref().map(reference),
        series: (request.count > 1).then(|| EventSeries {
            count: i32::try_from(request.count).unwrap_or(i32::MAX),
            last_observed_time: MicroTime(request.last),
        }),
        ..Event::default()
    }
}

/// The change of an Event whose series has grown.
pub(super) fn series(request: &Request) -> Value {
    let count = i32::try_from(request.count).unwrap_or(i32::MAX);
    json!({ "series": { "count": count, "lastObservedTime": MicroTime(request.last) } })
}

fn reference(object: &Reference) -> ObjectReference {
    ObjectReference {
        api_version: Some(object.api_version.clone()),
        kind: Some(object.kind.to_owned()),
        name: Some(object.name.clone()),
        namespace: Some(object.namespace.clone()).filter(|namespace| !namespace.is_empty()),
        uid: Some(object.uid.clone()),
        ..ObjectReference::default()
    }
}

/// Cuts a note where the API server would refuse it.
pub(super) fn note(note: String) -> String {
    shortened(note, LONGEST_NOTE)
}

/// Cuts a text at a character's boundary.
fn shortened(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        let cut = (0..=longest - "…".len()).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(cut);
        text.push('…');
    }
    text
}

/// A moment in a test.
#[cfg(test)]
pub(super) fn moment(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_700_000_000 + second).expect("a moment")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::core::Subject;
    use super::*;

    fn request(count: u32, serial: u64) -> Request {
        let regarding = Reference {
            api_version: "v1".to_owned(),
            kind: "Node",
            namespace: String::new(),
            name: "x".repeat(253),
            uid: "u".to_owned(),
        };
        let (kind, note) = (Kind::Warning, "n".to_owned());
        let related = Some(Reference { namespace: "r".to_owned(), name: "y".to_owned(), ..regarding.clone() });
        let subject = Arc::new(Subject { regarding, related, kind, reason: "Failed", action: "Create", note });
        Request { subject, serial, first: moment(0), last: moment(9), count, is_new: true }
    }

    #[test]
    fn a_long_note_is_cut_at_a_character() {
        let short = "as it is".to_owned();
        assert_eq!(note(short.clone()), short);
        let cut = note("é".repeat(LONGEST_NOTE));
        assert!(cut.len() <= LONGEST_NOTE && cut.ends_with('…'), "{} bytes", cut.len());
    }

    #[test]
    fn two_events_of_one_moment_have_two_names() {
        assert_ne!(name(&request(1, 1)), name(&request(1, 2)));
        assert!(name(&request(1, u64::MAX)).len() <= 253);
    }

    #[test]
    fn an_event_has_a_series_from_the_second_occurrence_on_and_names_both_objects() {
        let once = serde_json::to_value(event(&request(1, 1), "c", "i")).expect("JSON");
        assert_eq!((once.get("series"), &once["eventTime"]), (None, &json!("2023-11-14T22:13:20.000000Z")));
        assert_eq!(once["metadata"]["namespace"], "default", "the object has none");
        assert_eq!(once["regarding"].get("namespace"), None);
        assert_eq!(once["related"]["namespace"], "r");
        let often = request(7, 1);
        let event = serde_json::to_value(event(&often, "c", &"i".repeat(999))).expect("JSON");
        assert_eq!(event["series"], series(&often)["series"]);
        assert_eq!(event["series"], json!({"count": 7, "lastObservedTime": "2023-11-14T22:13:29.000000Z"}));
        assert!(event["reportingInstance"].as_str().is_some_and(|instance| instance.len() <= LONGEST_INSTANCE));
    }
}
