//! The conditions in a status: their types and their values; their reasons are in `reason`.
//!
//! A condition itself has the fields of Kubernetes' own type and takes any text, so that conditions from another
//! version of the operator, or from another writer, are carried along unchanged.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

use super::Reason;

/// One aspect of an Application: Kubernetes' `metav1.Condition`.
///
/// Of the words of this vocabulary no copy is kept: a status has five conditions of three words each, and an operator
/// thousands of these in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about.
    #[serde(rename = "type", default, deserialize_with = "text")]
    pub type_: Cow<'static, str>,
    /// Whether it holds.
    #[serde(default, deserialize_with = "text")]
    pub status: Cow<'static, str>,
    /// Why, in one word for programs.
    #[serde(default, deserialize_with = "text")]
    pub reason: Cow<'static, str>,
    /// Why, in a sentence for people.
    #[serde(default, deserialize_with = "text")]
    pub message: Cow<'static, str>,
    /// The `metadata.generation` that it describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` last changed.
    pub last_transition_time: Time,
}

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionType {
    /// The application runs as its spec says, and all its pods are ready.
    Ready,
    /// The operator or the cluster is on its way to what the spec says.
    Progressing,
    /// Something stands in the way that does not pass by itself.
    Degraded,
    /// As `Progressing`, under the name that kstatus knows, by which Flux, Argo CD and others judge any object.
    Reconciling,
    /// As `Degraded`, under kstatus' name.
    Stalled,
    /// The migrations of the wished revision have succeeded. Told of an application that has migrations.
    Migrated,
    /// Another revision runs than the spec's other fields ask for. Told of an application that has `rollback`.
    RolledBack,
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be told yet.
    Unknown,
}

impl ConditionType {
    /// Every type, in the order in which a status lists them.
    pub const ALL: [Self; 7] = [
        Self::Ready,
        Self::Progressing,
        Self::Degraded,
        Self::Reconciling,
        Self::Stalled,
        Self::Migrated,
        Self::RolledBack,
    ];

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Progressing => "Progressing",
            Self::Degraded => "Degraded",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Migrated => "Migrated",
            Self::RolledBack => "RolledBack",
        }
    }

    /// A condition of this type that came to be at `since`.
    pub fn condition(
        self,
        status: ConditionStatus,
        reason: Reason,
        message: impl Into<Cow<'static, str>>,
        observed_generation: i64,
        since: Time,
    ) -> Condition {
        Condition {
            type_: self.as_str().into(),
            status: status.as_str().into(),
            reason: reason.as_str().into(),
            message: message.into(),
            observed_generation: Some(observed_generation),
            last_transition_time: since,
        }
    }
}

impl ConditionStatus {
    /// Every value.
    pub const ALL: [Self; 3] = [Self::True, Self::False, Self::Unknown];

    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text, of which no copy is made if it is a word of this vocabulary; `null` is as good as none.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'static, str>, D::Error> {
    struct Text;

    impl Visitor<'_> for Text {
        type Value = Cow<'static, str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(known(text).map_or_else(|| Cow::Owned(text.to_owned()), Cow::Borrowed))
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Cow::default())
        }
    }

    deserializer.deserialize_any(Text)
}

/// The word of this vocabulary that is this text.
fn known(text: &str) -> Option<&'static str> {
    let types = ConditionType::ALL.into_iter().map(ConditionType::as_str);
    let values = ConditionStatus::ALL.into_iter().map(ConditionStatus::as_str);
    let reasons = Reason::ALL.into_iter().map(Reason::as_str);
    types.chain(values).chain(reasons).find(|known| *known == text)
}

/// Schema of a list of conditions: what Kubernetes' own conditions demand, in fewer words.
///
/// The limits are those that controller-gen writes for `metav1.Condition`; the list is keyed by
/// `type`, so that several writers can each apply their own entry.
pub(super) fn list_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "type": "string",
                    "maxLength": 316,
                    "description": "What the condition is about, such as `Ready`.",
                },
                "status": {
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                    "description": "Whether it holds.",
                },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "description": "Why, in one word for programs.",
                },
                "message": {
                    "type": "string",
                    "maxLength": 32768,
                    "description": "Why, in a sentence for people.",
                },
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When `status` last changed.",
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                    "description": "The `metadata.generation` that the condition describes.",
                },
            },
        },
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_in_the_api_are_the_names_in_the_code() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str(), format!("{reason:?}"));
        }
        for kind in ConditionType::ALL {
            assert_eq!(kind.as_str(), format!("{kind:?}"));
        }
    }

    #[test]
    fn what_a_condition_may_say_is_explained_in_the_readme() {
        let readme = include_str!("../../README.md");
        let words =
            ConditionType::ALL.iter().map(|kind| kind.as_str()).chain(Reason::ALL.iter().map(|one| one.as_str()));
        let missing: Vec<&str> = words.filter(|word| !readme.contains(&format!("`{word}`"))).collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn a_condition_is_kubernetes_own_and_keeps_words_that_are_not_known() {
        use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition as Kubernetes;
        let time = "2026-01-02T03:04:05Z";
        for text in [
            json!({"type": "Ready", "status": "True", "reason": "Available", "message": "2 of 2 pods are ready",
                "observedGeneration": 7, "lastTransitionTime": time}),
            json!({"type": "Foreign", "status": "Maybe", "reason": "FromTheFuture", "message": "\"\u{e9}\"",
                "lastTransitionTime": time, "more": 1}),
            json!({"type": null, "message": null, "lastTransitionTime": time}),
        ] {
            let condition: Condition = serde_json::from_str(&text.to_string()).unwrap();
            let kubernetes: Kubernetes = serde_json::from_str(&text.to_string()).unwrap();
            assert_eq!(serde_json::to_value(&condition).unwrap(), serde_json::to_value(&kubernetes).unwrap());
            let words = [&condition.type_, &condition.status, &condition.reason];
            let is_known = condition.type_ == "Ready";
            assert!(
                words.iter().all(|word| word.is_empty() || matches!(word, Cow::Borrowed(_)) == is_known),
                "{words:?}"
            );
        }
    }
}
