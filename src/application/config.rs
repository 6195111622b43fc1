//! Configuration that pods refer to, and whether a change of it replaces them. A spec in, references out.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Verbatim;
use super::spec::{ApplicationSpec, add_rule, change};

/// The time between two rollouts where nothing is said: several `ConfigMaps` that are applied one after the other are one
/// rollout more at most, and who waits for one does not wait long.
const INTERVAL: Duration = Duration::from_secs(30);

/// Replaces the pods when a `ConfigMap` (or Secret, where the operator is told to look at them) that they refer to changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(!default)]
pub struct ConfigRollout {
    /// Whether they are replaced; `Rolling` by default where `configRollout` is given.
    pub mode: Option<ConfigRolloutMode>,

    /// The shortest time between two rollouts for this reason, such as `30s` (the default) or `5m`: changes in between are
    /// rolled out together.
    #[schemars(length(min = 2, max = 16), transform = interval_rules)]
    pub min_interval: Option<String>,
}

/// What a change of configuration does to the pods.
//
// An Application without `configRollout` is as one that says `None`: a new version of the operator must not begin to restart
// pods of those who never asked for it. Who writes `configRollout: {}` asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ConfigRolloutMode {
    /// It replaces them, as any other change of the spec does.
    #[default]
    Rolling,
    /// Nothing.
    None,
}

/// Where configuration comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A `ConfigMap`.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl Source {
    /// The kind, as Kubernetes names it.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// What pods take of a `ConfigMap` or Secret of their namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// Of which kind it is.
    pub source: Source,
    /// Its name.
    pub name: Box<str>,
    /// The one key that is taken; `None` for all of them.
    pub key: Option<Box<str>>,
    /// Whether pods start without it.
    pub is_optional: bool,
}

impl ConfigRollout {
    /// The shortest time between two rollouts.
    pub fn interval(&self) -> Duration {
        let given = self.min_interval.as_ref().and_then(|text| text.parse::<SignedDuration>().ok());
        given.and_then(|given| given.try_into().ok()).unwrap_or(INTERVAL)
    }
}

impl ApplicationSpec {
    /// How pods follow their configuration; `None` if they don't.
    pub fn rolling_config(&self) -> Option<&ConfigRollout> {
        self.config_rollout.as_ref().filter(|config| config.mode.unwrap_or_default() == ConfigRolloutMode::Rolling)
    }

    /// The `ConfigMaps` and Secrets that the pods refer to, by environment and volumes, each in order and once.
    pub fn references(&self) -> BTreeSet<Reference> {
        let mut found = BTreeSet::new();
        let entries = |list: &Value| list.as_array().cloned().unwrap_or_default();
        let own = json!({
            "env": self.env.as_ref().map(Verbatim::value),
            "envFrom": self.env_from.as_ref().map(Verbatim::value),
        });
        let init = self.init_containers.iter().flat_map(Verbatim::entries);
        for container in init.chain([&own]) {
            for variable in entries(&container["env"]) {
                let from = &variable["valueFrom"];
                found.extend(reference(Source::ConfigMap, &from["configMapKeyRef"], "name"));
                found.extend(reference(Source::Secret, &from["secretKeyRef"], "name"));
            }
            for from in entries(&container["envFrom"]) {
                found.extend(reference(Source::ConfigMap, &from["configMapRef"], "name"));
                found.extend(reference(Source::Secret, &from["secretRef"], "name"));
            }
        }
        for volume in self.volumes.iter().flat_map(Verbatim::entries) {
            found.extend(items(Source::ConfigMap, &volume["configMap"], "name"));
            found.extend(items(Source::Secret, &volume["secret"], "secretName"));
            for projected in entries(&volume["projected"]["sources"]) {
                found.extend(items(Source::ConfigMap, &projected["configMap"], "name"));
                found.extend(items(Source::Secret, &projected["secret"], "name"));
            }
        }
        found
    }
}

fn reference(source: Source, from: &Value, name: &str) -> Option<Reference> {
    let is_optional = from["optional"] == true;
    Some(Reference {
        source,
        name: from[name].as_str()?.into(),
        key: from["key"].as_str().map(Into::into),
        is_optional,
    })
}

/// The keys that a volume takes, or all.
fn items(source: Source, from: &Value, name: &str) -> Vec<Reference> {
    let Some(whole) = reference(source, from, name) else { return Vec::new() };
    match from["items"].as_array() {
        Some(items) if !items.is_empty() => {
            let keys = items.iter().filter_map(|item| item["key"].as_str());
            keys.map(|key| Reference { key: Some(key.into()), ..whole.clone() }).collect()
        }
        _ => vec![whole],
    }
}

fn interval_rules(schema: &mut Schema) {
    change(schema, |interval| {
        add_rule(
            interval,
            "self.matches('^([0-9]+(h|m|s))+$') && duration(self) >= duration('1s') && duration(self) <= duration('24h')",
            "minInterval must be between 1s and 24h, such as 30s or 5m",
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(spec: &Value) -> Vec<String> {
        let spec: ApplicationSpec = serde_json::from_value(spec.clone()).unwrap();
        let say = |one: &Reference| {
            let key = one.key.as_deref().map_or_else(String::new, |key| format!("[{key}]"));
            let mark = if one.is_optional { "?" } else { "" };
            format!("{} {}{key}{mark}", one.source.kind(), one.name)
        };
        spec.references().iter().map(say).collect()
    }

    #[test]
    fn references_are_found_wherever_a_pod_may_have_them() {
        let env = json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "k", "optional": true}}},
            {"name": "B", "valueFrom": {"secretKeyRef": {"name": "b", "key": "k"}}}, {"name": "C", "value": "c"}]);
        let env_from = json!([{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "d", "optional": true}}]);
        assert_eq!(
            found(&json!({"env": env, "envFrom": env_from})),
            ["ConfigMap a[k]?", "ConfigMap c", "Secret b[k]", "Secret d?"]
        );
        let init = json!([{"name": "i", "envFrom": [{"configMapRef": {"name": "e"}}]}]);
        let volumes = json!([{"name": "1", "configMap": {"name": "f", "items": [{"key": "x"}, {"key": "y"}]}},
            {"name": "2", "secret": {"secretName": "g"}}, {"name": "3", "emptyDir": {}},
            {"name": "4", "projected": {"sources": [{"configMap": {"name": "h"}}, {"secret": {"name": "i"}}]}}]);
        assert_eq!(
            found(&json!({"initContainers": init, "volumes": volumes})),
            ["ConfigMap e", "ConfigMap f[x]", "ConfigMap f[y]", "ConfigMap h", "Secret g", "Secret i"]
        );
    }

    #[test]
    fn who_says_nothing_asks_for_nothing_and_an_empty_block_asks() {
        let asks = |spec: Value| serde_json::from_value::<ApplicationSpec>(spec).unwrap().rolling_config().is_some();
        assert!(!asks(json!({})));
        assert!(asks(json!({"configRollout": {}})));
        assert!(!asks(json!({"configRollout": {"mode": "None", "minInterval": "1m"}})));
    }

    #[test]
    fn an_interval_is_a_duration_as_go_writes_it() {
        let interval = |text: &str| ConfigRollout { min_interval: Some(text.to_owned()), mode: None }.interval();
        assert_eq!((interval("90s"), interval("1m30s")), (Duration::from_secs(90), Duration::from_secs(90)));
        assert_eq!((interval("soon"), ConfigRollout::default().interval()), (INTERVAL, INTERVAL));
    }
}
