//! An answer → the same without what must differ: uids, times, versions, addresses and ports that were drawn.
//!
//! Each such value becomes its number in the order in which values of its sort were first seen, so that where the real
//! server says the same value twice, the simulator has to as well.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// What has been seen of one server.
#[derive(Debug, Default)]
pub(crate) struct Normal {
    seen: HashMap<(&'static str, String), usize>,
    counts: HashMap<&'static str, usize>,
}

impl Normal {
    fn name(&mut self, sort: &'static str, value: &str) -> String {
        let counts = &mut self.counts;
        let number = self.seen.entry((sort, value.to_owned())).or_insert_with(|| {
            let count = counts.entry(sort).or_default();
            *count += 1;
            *count
        });
        format!("{sort}-{number}")
    }

    /// An answer without what must differ.
    pub(crate) fn answer(&mut self, value: &Value) -> Value {
        let mut value = value.clone();
        // The version of a list is that of the whole server, to which more happens than to the namespace.
        if value["kind"].as_str().is_some_and(|kind| kind.ends_with("List")) {
            value["metadata"]["resourceVersion"] = Value::Null;
        }
        // A refusal tells of the name before it tells the name.
        if let Some(name) = value["details"]["name"].as_str() {
            self.text("name", name);
        }
        let mut value = self.walk("", &value);
        // Names that the server made have another order on each side.
        if let Some(items) = value["items"].as_array_mut() {
            items.sort_by_key(|item| item["metadata"]["name"].to_string());
        }
        sort_causes(&mut value);
        value
    }

    fn walk(&mut self, key: &str, value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                // In an order that does not depend on the values.
                let fields = map.iter().map(|(name, inner)| (name.clone(), self.walk(name, inner)));
                Value::Object(fields.collect::<Map<_, _>>())
            }
            Value::Array(list) => {
                let mut list: Vec<Value> = list.iter().map(|item| self.walk(key, item)).collect();
                if key == "managedFields" {
                    // Entries are in the order of their times, to the second.
                    list.sort_by_key(|entry| {
                        let word = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
                        (word("operation"), word("manager"), word("subresource"), word("apiVersion"))
                    });
                }
                Value::Array(list)
            }
            Value::String(text) => self.text(key, text).into(),
            Value::Number(number) if key == "nodePort" => self.name("port", &number.to_string()).into(),
            other => other.clone(),
        }
    }

    fn text(&mut self, key: &str, text: &str) -> String {
        match key {
            "resourceVersion" => self.name("version", text),
            "uid" | "controller-uid" | "batch.kubernetes.io/controller-uid" => self.name("uid", text),
            "clusterIP" | "clusterIPs" if text.starts_with("10.") => self.name("address", text),
            "name" if is_generated(text) => self.name("generated", text),
            "continue" if !text.is_empty() => "token".into(),
            "message" => self.message(text),
            _ if text.len() == 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T' => "time".into(),
            _ => text.to_owned(),
        }
    }

    /// A message with uids and versions that are known from elsewhere.
    fn message(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        let known: Vec<_> = self.seen.iter().map(|((sort, value), number)| (*sort, value.clone(), *number)).collect();
        for (sort, value, number) in known {
            match sort {
                "uid" => text = text.replace(&value, &format!("uid-{number}")),
                "version" => text = text.replace(&format!("({value})"), &format!("(version-{number})")),
                "port" => text = text.replace(&format!(" {value}}}"), &format!(" port-{number}}}")),
                "generated" | "address" => text = text.replace(&value, &format!("{sort}-{number}")),
                _ => {}
            }
        }
        // One that was never told.
        let record = "ResourceVersion in record (";
        match text.split_once(record) {
            Some((before, rest)) if rest.starts_with(|first: char| first.is_ascii_digit()) => {
                format!("{before}{record}{}", rest.trim_start_matches(|digit: char| digit.is_ascii_digit()))
            }
            _ => text,
        }
    }
}

/// Whether a name is one of those that the server made of a prefix.
pub(crate) fn is_generated(name: &str) -> bool {
    let suffix = name.split_once("en-").map_or("", |(_, suffix)| suffix);
    suffix.len() == 5
}

/// The real server finds what is wrong with a custom resource in no order.
fn sort_causes(value: &mut Value) {
    let Some(causes) = value.pointer_mut("/details/causes").and_then(Value::as_array_mut) else { return };
    for cause in causes.iter_mut().filter(|cause| cause["field"].as_str().is_some_and(|it| it.ends_with(".nodePort"))) {
        if cause["reason"] == "FieldValueDuplicate" {
            cause["message"] = "Duplicate value: a port that was drawn".into();
        }
    }
    causes.sort_by_key(ToString::to_string);
    let told: Vec<String> = causes
        .iter()
        .map(|cause| format!("{}: {}", cause["field"].as_str().unwrap_or(""), cause["message"].as_str().unwrap_or("")))
        .collect();
    if let Some((before, _)) = value["message"].as_str().and_then(|message| message.split_once(" is invalid: ")) {
        value["message"] = format!("{before} is invalid: {told:?}").into();
    }
}
