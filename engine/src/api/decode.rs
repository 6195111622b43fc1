//! JSON documents in, typed entries out. Pure.
//!
//! What is as it should be is decoded in one pass. Else it takes two stages, so that an object which does not fit its type is
//! told apart from a broken stream: it becomes an [`Entry::Invalid`] under its own key, and its neighbours are none the worse.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{Error, Status};
use crate::object::{Key, Metadata, Object, ResourceVersion, Uid};

/// An object as it arrived.
#[derive(Debug)]
pub enum Entry<T> {
    /// Decoded.
    Valid(Arc<T>),
    /// Readable enough to have a key, but no `T`.
    Invalid(Arc<Invalid>),
}

/// An object that does not fit its type.
#[derive(Debug)]
pub struct Invalid {
    /// Its metadata.
    pub metadata: Metadata,
    /// What is wrong with it, in a sentence.
    pub error: String,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Valid(object) => Self::Valid(object.clone()),
            Self::Invalid(invalid) => Self::Invalid(invalid.clone()),
        }
    }
}

impl<T: Object> Entry<T> {
    /// The object's metadata, which even an invalid one has.
    pub fn metadata(&self) -> &Metadata {
        match self {
            Self::Valid(object) => object.metadata(),
            Self::Invalid(invalid) => &invalid.metadata,
        }
    }

    /// The object's key.
    pub fn key(&self) -> Key {
        self.metadata().key()
    }

    /// The object, if it could be decoded.
    pub fn valid(&self) -> Option<&Arc<T>> {
        match self {
            Self::Valid(object) => Some(object),
            Self::Invalid(_) => None,
        }
    }

    fn decode(json: &str) -> Result<Self, Error> {
        match serde_json::from_str::<T>(json) {
            Ok(object) => Ok(Self::Valid(Arc::new(object))),
            Err(error) => {
                let metadata = bare_metadata(json)?;
                // Not serde's own words: they quote the value, which may be a secret in the wrong place.
                let error = format!("does not fit its type at line {}, column {}", error.line(), error.column());
                Ok(Self::Invalid(Arc::new(Invalid { metadata, error })))
            }
        }
    }
}

/// The metadata of an object that does not fit its type. If not even that is as it should be: what names the object.
fn bare_metadata(json: &str) -> Result<Metadata, Error> {
    #[derive(Deserialize)]
    struct Bare {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Named {
        metadata: Identity,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Identity {
        name: Arc<str>,
        #[serde(default)]
        namespace: Arc<str>,
        uid: Uid,
        resource_version: ResourceVersion,
    }
    if let Ok(Bare { metadata }) = serde_json::from_str(json) {
        return Ok(metadata);
    }
    let Named { metadata: Identity { name, namespace, uid, resource_version } } =
        serde_json::from_str(json).map_err(Error::Decode)?;
    Ok(Metadata { name, namespace, uid, resource_version, ..Metadata::default() })
}

/// One page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// The version at which the whole list is consistent.
    pub version: ResourceVersion,
    /// Asks for the next page; `None` on the last one.
    pub continue_token: Option<String>,
    /// The objects.
    pub entries: Vec<Entry<T>>,
}

impl<T: Object> Page<T> {
    pub(super) fn decode(body: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        #[serde(bound(deserialize = "I: Deserialize<'de>"))]
        struct List<I> {
            metadata: ListMetadata,
            // A server may send `null` for an empty list.
            items: Option<Vec<I>>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct ListMetadata {
            resource_version: ResourceVersion,
            #[serde(rename = "continue", default)]
            continue_token: Option<String>,
        }
        let text = std::str::from_utf8(body).ok();
        let at_once = text.and_then(|text| serde_json::from_str::<List<Fitting<T>>>(text).ok());
        let (metadata, entries) = if let Some(list) = at_once {
            (list.metadata, list.items.unwrap_or_default().into_iter().map(|item| item.0).collect())
        } else {
            let list: List<&RawValue> = serde_json::from_slice(body).map_err(Error::Decode)?;
            let items = list.items.unwrap_or_default().into_iter();
            (list.metadata, items.map(|item| Entry::decode(item.get())).collect::<Result<_, _>>()?)
        };
        Ok(Self {
            version: metadata.resource_version,
            continue_token: metadata.continue_token.filter(|token| !token.is_empty()),
            entries,
        })
    }
}

/// An object that fits its type: decoding it fails if it does not.
struct Fitting<T>(Entry<T>);

impl<'de, T: Object> Deserialize<'de> for Fitting<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(|object| Self(Entry::Valid(Arc::new(object))))
    }
}

/// One event of a watch.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<T> {
    /// The object exists in this state (`ADDED` and `MODIFIED`, which a resumed watch can't tell apart).
    Upsert(Entry<T>),
    /// The object is gone; this was its last state.
    Delete(Entry<T>),
    /// Nothing changed up to this version.
    Bookmark {
        /// The version that the stream has reached.
        version: ResourceVersion,
        /// Whether this ends the initial events of a streamed list.
        ends_initial: bool,
    },
    /// The watch failed, and ends here.
    Error(Status),
}

impl<T: Object> Event<T> {
    pub(crate) fn decode(document: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(rename = "type", borrow)]
            kind: std::borrow::Cow<'a, str>,
            #[serde(borrow)]
            object: &'a RawValue,
        }
        #[derive(Deserialize)]
        struct Bookmark {
            metadata: Metadata,
        }
        if let Some(event) = std::str::from_utf8(document).ok().and_then(Self::decode_at_once) {
            return Ok(event);
        }
        let Raw { kind, object } = serde_json::from_slice(document).map_err(Error::Decode)?;
        Ok(match &*kind {
            "ADDED" | "MODIFIED" => Self::Upsert(Entry::decode(object.get())?),
            "DELETED" => Self::Delete(Entry::decode(object.get())?),
            "BOOKMARK" => {
                let Bookmark { metadata } = serde_json::from_str(object.get()).map_err(Error::Decode)?;
                Self::Bookmark {
                    ends_initial: metadata.annotations.get(INITIAL_EVENTS_END) == Some("true"),
                    version: metadata.resource_version,
                }
            }
            "ERROR" => Self::Error(serde_json::from_str(object.get()).map_err(Error::Decode)?),
            other => {
                let unknown =
                    serde::de::Error::unknown_variant(other, &["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]);
                return Err(Error::Decode(unknown));
            }
        })
    }
}

impl<T: Object> Event<T> {
    /// A change whose object fits its type, as the API server writes it; `None` for whatever else it may be.
    fn decode_at_once(document: &str) -> Option<Self> {
        let (change, object) = CHANGES.iter().find_map(|start| Some((start, document.strip_prefix(start)?)))?;
        let mut objects = serde_json::Deserializer::from_str(object).into_iter::<T>();
        let entry = Entry::Valid(Arc::new(objects.next()?.ok()?));
        let end = object[objects.byte_offset()..].trim_ascii();
        (end == "}").then(|| if *change == DELETED { Self::Delete(entry) } else { Self::Upsert(entry) })
    }
}

/// How the API server begins the events that carry an object: by Go's `json.Marshal`, in the order of the struct's fields.
const CHANGES: [&str; 3] = [r#"{"type":"ADDED","object":"#, r#"{"type":"MODIFIED","object":"#, DELETED];

const DELETED: &str = r#"{"type":"DELETED","object":"#;

/// Marks the bookmark behind the last initial event (KEP-3157).
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::object::Resource;

    /// The smallest object that a test can do something with.
    #[derive(Debug, Deserialize)]
    pub(crate) struct Thing {
        pub(crate) metadata: Metadata,
        pub(crate) size: u32,
    }

    impl Object for Thing {
        const RESOURCE: Resource = Resource { group: "test", version: "v1", kind: "Thing", plural: "things" };

        fn metadata(&self) -> &Metadata {
            &self.metadata
        }
    }

    #[test]
    fn one_object_that_does_not_fit_leaves_its_neighbours_alone() {
        let body = br#"{"kind":"ThingList","metadata":{"resourceVersion":"7","continue":""},"items":[
            {"metadata":{"name":"good","namespace":"n"},"size":1},
            {"metadata":{"name":"bad","namespace":"n"},"size":"large"}]}"#;
        let page = Page::<Thing>::decode(body).expect("a list");
        assert_eq!(page.continue_token, None);
        assert!(matches!(&page.entries[0], Entry::Valid(thing) if thing.size == 1));
        let Entry::Invalid(invalid) = &page.entries[1] else { panic!("`large` is no number") };
        assert_eq!(invalid.metadata.key(), Key::new("n", "bad"));
        assert!(!invalid.error.contains("large"), "a value may be a secret: {}", invalid.error);
    }

    #[test]
    fn metadata_whose_fields_are_null_is_as_good_as_without() {
        let body = br#"{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a","namespace":"n",
            "labels":null,"annotations":null,"finalizers":null,"ownerReferences":null},"size":1}]}"#;
        let page = Page::<Thing>::decode(body).expect("a list");
        assert!(matches!(&page.entries[0], Entry::Valid(_)));
    }

    #[test]
    fn a_list_whose_items_are_null_is_empty() {
        let page = Page::<Thing>::decode(br#"{"metadata":{"resourceVersion":"7"},"items":null}"#).expect("a list");
        assert!(page.entries.is_empty());
    }

    #[test]
    fn an_object_that_has_nothing_right_but_its_name_is_known_by_that() {
        let bad = r#"{"metadata":{"name":"bad","uid":"u","resourceVersion":"7","labels":{"a":1}},"size":3}"#;
        let page = format!(r#"{{"metadata":{{"resourceVersion":"9"}},"items":[{bad}]}}"#);
        let event = |kind: &str| format!(r#"{{"type":"{kind}","object":{bad}}}"#);
        let mut entries = Page::<Thing>::decode(page.as_bytes()).expect("a list").entries;
        for kind in ["ADDED", "MODIFIED", "DELETED"] {
            match Event::decode(event(kind).as_bytes()).expect("an event") {
                Event::Upsert(entry) if kind != "DELETED" => entries.push(entry),
                Event::Delete(entry) if kind == "DELETED" => entries.push(entry),
                other => panic!("{kind}: {other:?}"),
            }
        }
        assert_eq!(entries.len(), 4);
        for entry in entries {
            assert!(matches!(entry, Entry::Invalid(_)));
            assert_eq!((entry.key(), &*entry.metadata().uid.0), (Key::new("", "bad"), "u"));
        }
    }

    #[test]
    fn an_event_means_the_same_however_it_is_written() {
        let object = r#"{"metadata":{"name":"a","namespace":"n"},"size":1}"#;
        for kind in ["ADDED", "MODIFIED", "DELETED"] {
            for document in [
                format!(r#"{{"type":"{kind}","object":{object}}}"#),
                format!("{{\"type\":\"{kind}\",\"object\":{object} }}\r\n"),
                format!(r#"{{"object":{object},"type":"{kind}"}}"#),
                format!(r#"{{ "type": "{kind}", "object": {object}, "more": 1 }}"#),
            ] {
                match Event::<Thing>::decode(document.as_bytes()).expect("an event") {
                    Event::Upsert(Entry::Valid(thing)) if kind != "DELETED" => assert_eq!(thing.size, 1),
                    Event::Delete(Entry::Valid(thing)) if kind == "DELETED" => assert_eq!(thing.size, 1),
                    other => panic!("{document}: {other:?}"),
                }
            }
            for end in ["", "}}", ",\"object\":{}}"] {
                let document = format!(r#"{{"type":"{kind}","object":{object}{end}"#);
                assert!(Event::<Thing>::decode(document.as_bytes()).is_err(), "{document}");
            }
        }
    }

    #[test]
    fn a_bookmark_tells_whether_it_ends_the_initial_events() {
        let bookmark = |annotations: &str| {
            let document = format!(
                r#"{{"type":"BOOKMARK","object":{{"kind":"Thing","metadata":{{"resourceVersion":"9","annotations":{annotations}}}}}}}"#
            );
            match Event::<Thing>::decode(document.as_bytes()).expect("a bookmark") {
                Event::Bookmark { version, ends_initial } => (version.to_string(), ends_initial),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(bookmark(r#"{"k8s.io/initial-events-end":"true"}"#), ("9".to_owned(), true));
        assert_eq!(bookmark("{}"), ("9".to_owned(), false));
    }

    #[test]
    fn an_error_event_carries_the_servers_status() {
        let document =
            br#"{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}"#;
        let Ok(Event::Error(status)) = Event::<Thing>::decode(document) else { panic!("an error event") };
        assert!(status.is_gone());
    }

    #[test]
    fn an_unknown_event_type_is_an_error_and_not_skipped() {
        assert!(Event::<Thing>::decode(br#"{"type":"RENAMED","object":{}}"#).is_err());
    }
}
