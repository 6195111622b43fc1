//! How a change of the pods is brought about: what runs before it, and what happens if it fails. Fields, limits and rules,
//! as in `spec`.

use k8s_openapi::api::core::v1::EnvVar;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::Verbatim;
use super::spec::{add_rule, change, env_rules};

/// A program that is run once before pods of a new revision.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default, transform = migration_rules)]
pub struct Migration {
    /// What it is called, in its Job's name too: lower-case letters, digits and `-`.
    #[schemars(
        length(min = 1, max = 40),
        extend("x-kubernetes-validations" = [{
            "rule": "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
            "message": "name must consist of lower-case letters, digits and '-', and begin and end with a letter or a \
                digit, such as schema-2"
        }])
    )]
    pub name: String,

    /// Image in place of the application's.
    #[schemars(
        length(min = 1, max = 520),
        extend("x-kubernetes-validations" = [{
            "rule": "!self.matches('[[:space:]]')",
            "message": "must be an image reference without spaces, such as nginx:1.29"
        }])
    )]
    pub image: Option<String>,

    /// Program to run in place of the image's own (its `ENTRYPOINT`); the application's `command` does not count.
    pub command: Option<Verbatim<Vec<String>>>,

    /// Arguments of the program, in place of the image's own (its `CMD`); the application's `args` do not count.
    pub args: Option<Verbatim<Vec<String>>>,

    /// Environment variables beside the application's; of the same name, in place of them.
    //
    // Fewer than the application's, so that the rules over those of all migrations stay within the API server's budget.
    #[schemars(
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"], "maxItems" = 64),
        transform = env_rules
    )]
    pub env: Option<Verbatim<Vec<EnvVar>>>,

    /// How often it is begun anew if it fails; 0 by default.
    #[schemars(range(min = 0, max = 100))]
    pub backoff_limit: Option<i32>,

    /// Seconds after which it counts as failed; there is no limit by default.
    //
    // A week, as for the grace period of a pod.
    #[schemars(range(min = 1, max = 604_800))]
    pub active_deadline_seconds: Option<i64>,
}

/// What happens if pods of a new revision don't become available, or an older one is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default, transform = rollback_rules)]
pub struct Rollback {
    /// What to do when a rollout makes no progress within `progressDeadlineSeconds`; `None` by default.
    pub on_failure: Option<OnFailure>,

    /// Number of the revision to run in place of what the spec says, until this field is removed; see
    /// `status.currentRevision`, and `kubectl application history` for all there are.
    #[schemars(range(min = 1))]
    pub to_revision: Option<i64>,
}

/// What to do about a rollout that fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum OnFailure {
    /// It is told, and waits for somebody to mend it.
    #[default]
    None,
    /// The last revision whose rollout completed is rolled out again, and runs until the spec asks for other pods.
    Automatic,
}

fn migration_rules(schema: &mut Schema) {
    change(schema, |migration| {
        migration["required"] = serde_json::json!(["name"]);
        add_rule(
            migration,
            "has(self.command) || has(self.args) || has(self.image)",
            "a migration needs command, args or an image of its own, or it would run the application itself",
        );
    });
}

fn rollback_rules(schema: &mut Schema) {
    change(schema, |rollback| {
        add_rule(
            rollback,
            "has(self.onFailure) || has(self.toRevision)",
            "rollback needs onFailure (None or Automatic), or toRevision",
        );
    });
}
