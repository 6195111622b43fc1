//! `metadata.managedFields`: who owns which field after an update, and what an apply makes of an object.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::fields::Fields;
use crate::object;
use crate::schema::Schema;
use crate::typed::{self, Comparison};

/// The metadata that nobody owns.
const UNOWNED: [&str; 6] = ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];

/// Who owns what was there before the first apply, if nobody did.
pub const BEFORE: &str = "before-first-apply";

/// Who writes, and by which way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Writer {
    /// Whether it is by an apply.
    pub applies: bool,
    /// `fieldManager`, or what the user agent begins with.
    pub manager: String,
    /// In which version of the API.
    pub api_version: String,
    /// Empty for the object itself.
    pub subresource: String,
}

/// What one writer owns.
#[derive(Debug, Clone)]
struct Entry {
    writer: Writer,
    time: Option<Value>,
    fields: Fields,
}

/// The owners of an object's fields.
#[derive(Debug, Clone, Default)]
pub struct Managed {
    entries: Vec<Entry>,
}

/// Fields that others own and that an apply would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Their owner, as a message names it.
    pub owner: String,
    /// Which.
    pub fields: Vec<String>,
}

/// What is known of a kind of object when its fields are shared out.
#[derive(Debug, Clone)]
pub struct Kind {
    /// Of the whole object.
    pub schema: Arc<Schema>,
    /// Fields that this way of writing leaves as they were, and that nobody comes to own by it.
    pub reset: Fields,
    /// The object with nothing in it, as the one before a new one.
    pub zero: Value,
}

impl Managed {
    /// The owners that stand in an object's metadata. What can't be read counts as none.
    pub fn of(object: &Value) -> Self {
        let list = object::metadata(object).get("managedFields").and_then(Value::as_array);
        let parsed: Option<Vec<Entry>> = list.into_iter().flatten().map(Entry::parse).collect();
        let mut entries: Vec<Entry> = Vec::new();
        for entry in parsed.unwrap_or_default() {
            // Of two entries of the same writer the later one counts.
            entries.retain(|earlier| earlier.writer != entry.writer);
            entries.push(entry);
        }
        Self { entries }
    }

    /// The owners after `old` became `new` other than by an apply. `old` is the kind's zero value for a new object. An
    /// object that nobody owns anything of stays so, until a configuration is applied to it.
    pub fn update(self, kind: &Kind, old: &Value, new: &Value, writer: &Writer, now: Timestamp) -> Self {
        if self.entries.is_empty() && !object::text(old, "uid").is_empty() {
            return self;
        }
        self.track(kind, old, new, writer, now)
    }

    fn track(mut self, kind: &Kind, old: &Value, new: &Value, writer: &Writer, now: Timestamp) -> Self {
        let comparison = compare(kind, old, new);
        self.hand_over(&comparison, None);
        let mut written = comparison.written();
        written.is_member = false;
        if !written.is_empty() {
            let entry = self.entry(writer);
            entry.fields = entry.fields.union(&written);
            entry.time = Some(time(now));
        }
        self
    }

    /// Applies a configuration to `live`, which is the kind's zero value for a new object. What is there and
    /// nobody owns has the owner [`BEFORE`] from then on.
    ///
    /// # Errors
    ///
    /// The fields of others that it would change, unless it may.
    pub fn apply(
        mut self,
        kind: &Kind,
        live: &Value,
        applied: &Value,
        writer: &Writer,
        force: bool,
        now: Timestamp,
    ) -> Result<(Value, Self), Vec<Conflict>> {
        if self.entries.is_empty() && !object::text(live, "uid").is_empty() {
            let before = Writer { applies: false, manager: BEFORE.into(), ..writer.clone() };
            self = self.track(kind, &kind.zero, live, &before, now);
        }
        let claimed = typed::fields(&kind.schema, applied).without(&kind.reset);
        let merged = typed::merge(&kind.schema, Some(live), Some(applied));
        let entry = self.entry(writer);
        let last = std::mem::replace(&mut entry.fields, claimed);
        let merged = self.prune(&kind.schema, &merged, &last);
        let comparison = compare(kind, live, &merged);
        let conflicts = self.conflicts(&comparison, writer);
        if !force && !conflicts.is_empty() {
            return Err(conflicts);
        }
        // The object's identity holds its metadata in place so far, and is nobody's from here on.
        let entry = self.entry(writer);
        entry.fields = without_unowned(&entry.fields);
        self.hand_over(&comparison, Some(writer));
        // Who only comes to share what is there gets no time.
        let entry = self.entries.iter_mut().find(|entry| entry.writer == *writer);
        if let Some(entry) = entry.filter(|_| merged != *live) {
            entry.time = Some(time(now));
        }
        Ok((merged, self))
    }

    /// The owners after the field at `path` was written through a subresource that shows it: by `writer`, or to the value
    /// that it had. Where nobody owns it, nobody comes to.
    ///
    /// Seen: where the value stays, the entries of owners that did not apply it are split in two, of which the next write
    /// loses one.
    pub fn hand_to(mut self, path: &[&str], writer: Option<&Writer>) -> Self {
        let field = Fields::of(path);
        let stays = |entry: &Entry| writer.is_none() && entry.writer.applies;
        let owns = |entry: &&Entry| !entry.fields.intersection(&field).is_empty() && !stays(entry);
        let owners: Vec<Writer> = self.entries.iter().filter(owns).map(|entry| entry.writer.clone()).collect();
        for entry in self.entries.iter_mut().filter(|entry| !stays(entry)) {
            entry.fields = entry.fields.difference(&field);
        }
        self.entries.retain(|entry| !entry.fields.is_empty());
        let heirs = match writer {
            Some(writer) if !owners.is_empty() => vec![writer.clone()],
            _ => owners,
        };
        self.entries.extend(heirs.into_iter().map(|writer| Entry { writer, time: None, fields: field.clone() }));
        self
    }

    /// The owners after the field at `path` was written through a subresource to a value that this leaves out.
    pub fn hand_off(mut self, path: &[&str]) -> Self {
        let field = Fields::of(path);
        for entry in &mut self.entries {
            entry.fields = entry.fields.difference(&field);
        }
        self.entries.retain(|entry| !entry.fields.is_empty());
        self
    }

    /// `metadata.managedFields`; `None` if nobody owns anything.
    pub fn render(&self) -> Option<Value> {
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        let time = |entry: &Entry| entry.time.as_ref().map(ToString::to_string);
        entries.sort_by(|a, b| (!a.writer.applies, time(a), &a.writer).cmp(&(!b.writer.applies, time(b), &b.writer)));
        let list: Vec<Value> = entries.into_iter().map(Entry::render).collect();
        (!list.is_empty()).then_some(Value::Array(list))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn entry(&mut self, writer: &Writer) -> &mut Entry {
        let place = self.entries.iter().position(|entry| entry.writer == *writer);
        let place = place.unwrap_or_else(|| {
            self.entries.push(Entry { writer: writer.clone(), time: None, fields: Fields::default() });
            self.entries.len() - 1
        });
        &mut self.entries[place]
    }

    fn conflicts(&self, comparison: &Comparison, writer: &Writer) -> Vec<Conflict> {
        let written = comparison.written();
        let mut others: Vec<&Entry> = self.entries.iter().filter(|entry| entry.writer != *writer).collect();
        others.sort_by(|a, b| a.writer.manager.cmp(&b.writer.manager));
        let conflict =
            |entry: &Entry| Conflict { owner: entry.owner(), fields: entry.fields.intersection(&written).paths() };
        others.into_iter().map(conflict).filter(|conflict| !conflict.fields.is_empty()).collect()
    }

    /// Takes what was written from all but `writer`, and what is gone from all but it.
    fn hand_over(&mut self, comparison: &Comparison, writer: Option<&Writer>) {
        let lost = comparison.written().union(&comparison.removed);
        for entry in self.entries.iter_mut().filter(|entry| Some(&entry.writer) != writer) {
            entry.fields = entry.fields.difference(&lost);
        }
        self.entries.retain(|entry| !entry.fields.is_empty());
    }

    /// Takes out what the writer has applied `last`, and neither it nor anybody else owns now.
    fn prune(&self, schema: &Schema, merged: &Value, last: &Fields) -> Value {
        if last.is_empty() {
            return merged.clone();
        }
        let closed = |value: &Value| typed::fields(schema, value).with_named(schema);
        let without = |set: &Fields| typed::remove(schema, merged, set).unwrap_or_default();
        let last = last.with_named(schema);
        let owned = self.entries.iter().fold(Fields::default(), |owned, entry| owned.union(&entry.fields));
        let all = closed(merged);
        let pruned = without(&last);
        let pruned = without(&all.difference(&closed(&pruned).union(&owned.with_named(schema))));
        without(&all.difference(&closed(&pruned)).intersection(&last))
    }
}

impl Entry {
    fn parse(text: &Value) -> Option<Self> {
        let word = |name: &str| text.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let writer = Writer {
            applies: word("operation") == "Apply",
            manager: word("manager"),
            api_version: word("apiVersion"),
            subresource: word("subresource"),
        };
        if writer.api_version.is_empty() {
            return None;
        }
        Some(Self { writer, time: text.get("time").cloned(), fields: Fields::parse(text.get("fieldsV1")?)? })
    }

    fn render(&self) -> Value {
        let Writer { applies, manager, api_version, subresource } = &self.writer;
        let mut text = json!({
            "manager": manager, "operation": if *applies { "Apply" } else { "Update" }, "apiVersion": api_version,
            "fieldsType": "FieldsV1", "fieldsV1": self.fields.render(),
        });
        if let Some(time) = &self.time {
            text["time"] = time.clone();
        }
        if !subresource.is_empty() {
            text["subresource"] = subresource.as_str().into();
        }
        text
    }

    /// The owner as a conflict's message names it.
    fn owner(&self) -> String {
        let Writer { applies, manager, api_version, subresource } = &self.writer;
        let mut owner = format!("{manager:?}");
        if !subresource.is_empty() {
            owner = format!("{owner} with subresource {subresource:?}");
        }
        if !applies {
            owner = format!("{owner} using {api_version}");
        }
        owner
    }
}

fn compare(kind: &Kind, old: &Value, new: &Value) -> Comparison {
    let Comparison { added, removed, modified } = typed::compare(&kind.schema, Some(old), Some(new));
    let rest = |set: &Fields| without_unowned(set).without(&kind.reset);
    Comparison { added: rest(&added), removed: rest(&removed), modified: rest(&modified) }
}

/// The set without what nobody owns: the object's identity, and what the server alone writes.
fn without_unowned(set: &Fields) -> Fields {
    let mut unowned = Fields::default();
    for name in ["apiVersion", "kind"] {
        unowned = unowned.union(&Fields::of(&[name]));
    }
    for name in UNOWNED.iter().chain(&["name", "namespace"]) {
        unowned = unowned.union(&Fields::of(&["metadata", name]));
    }
    let rest = set.without(&unowned);
    // That there is metadata is nobody's, either.
    rest.difference(&Fields::of(&["metadata"]))
}

/// A time as objects have it: to the second.
pub fn time(now: Timestamp) -> Value {
    let seconds = now.as_second();
    Timestamp::from_second(seconds).unwrap_or(now).to_string().into()
}
