//! The forms of a patch that the API server takes besides an apply.

use serde::Serialize;
use serde_json::Value;

/// How a patch is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatchType {
    /// RFC 7396: objects are merged, lists and values replaced, `null` removes.
    Merge,
    /// RFC 6902: a list of [`Operation`]s, all of which are carried out, or none.
    Json,
    /// Kubernetes' own: lists are merged by their keys. Built-in types alone have it; of a custom resource the server
    /// answers 415.
    Strategic,
}

impl PatchType {
    /// The media type by which the server knows it.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Merge => "application/merge-patch+json",
            Self::Json => "application/json-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
        }
    }
}

/// One step of a JSON patch (RFC 6902). Paths are JSON pointers; see [`pointer()`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Operation {
    /// Sets a field, or inserts into a list.
    Add {
        /// Where; `/-` at the end appends to a list.
        path: String,
        /// What.
        value: Value,
    },
    /// Removes what must be there.
    Remove {
        /// Where.
        path: String,
    },
    /// Sets what must be there.
    Replace {
        /// Where.
        path: String,
        /// What.
        value: Value,
    },
    /// Goes on only if this is what stands there; else nothing of the patch happens (the server answers 422).
    Test {
        /// Where.
        path: String,
        /// What must stand there.
        value: Value,
    },
}

/// The JSON pointer (RFC 6901) that leads through `steps`, escaped.
///
/// ```
/// assert_eq!(engine::api::pointer(&["metadata", "annotations", "example.dev/size"]), "/metadata/annotations/example.dev~1size");
/// ```
pub fn pointer(steps: &[&str]) -> String {
    let mut pointer = String::new();
    for step in steps {
        pointer.push('/');
        pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_read_as_rfc_6902_has_them() {
        let path = pointer(&["metadata", "labels", "a~b"]);
        let operations = [
            Operation::Test { path: path.clone(), value: json!("old") },
            Operation::Replace { path: path.clone(), value: json!("new") },
            Operation::Add { path: "/data/list/-".into(), value: json!(1) },
            Operation::Remove { path: path.clone() },
        ];
        let expected = json!([
            {"op": "test", "path": "/metadata/labels/a~0b", "value": "old"},
            {"op": "replace", "path": "/metadata/labels/a~0b", "value": "new"},
            {"op": "add", "path": "/data/list/-", "value": 1},
            {"op": "remove", "path": "/metadata/labels/a~0b"},
        ]);
        assert_eq!(serde_json::to_value(operations).expect("JSON"), expected);
    }
}
