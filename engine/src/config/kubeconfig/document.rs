//! A kubeconfig file as it is written: YAML enters, its fields leave, undecoded and unchecked.
//!
//! Empty text counts as absent, as it does for kubectl, which writes it. Fields that are not listed are ignored; those
//! that change what is sent and are not supported are listed so that their presence is known. Nothing here is `Debug`.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use crate::config::Secret;

/// A whole file.
pub(super) struct Document {
    pub(super) current_context: Option<String>,
    pub(super) contexts: Vec<(String, Context)>,
    pub(super) clusters: Vec<(String, Cluster)>,
    pub(super) users: Vec<(String, User)>,
}

/// A cluster seen by a user.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Context {
    #[serde(deserialize_with = "text")]
    pub(super) cluster: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(super) user: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(super) namespace: Option<String>,
}

/// An API server.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Cluster {
    #[serde(deserialize_with = "text")]
    pub(super) server: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(super) certificate_authority: Option<String>,
    #[serde(deserialize_with = "secret")]
    pub(super) certificate_authority_data: Option<Secret>,
    pub(super) insecure_skip_tls_verify: bool,
    pub(super) disable_compression: bool,
    #[serde(deserialize_with = "text")]
    pub(super) tls_server_name: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(super) proxy_url: Option<String>,
    pub(super) extensions: Option<Vec<Extension>>,
}

/// Something that a cluster's entry carries for others.
#[derive(Deserialize)]
pub(super) struct Extension {
    pub(super) name: String,
    #[serde(default)]
    pub(super) extension: serde_json::Value,
}

/// An identity.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct User {
    #[serde(deserialize_with = "secret")]
    pub(super) token: Option<Secret>,
    #[serde(rename = "tokenFile", deserialize_with = "text")]
    pub(super) token_file: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(super) client_certificate: Option<String>,
    #[serde(deserialize_with = "secret")]
    pub(super) client_certificate_data: Option<Secret>,
    #[serde(deserialize_with = "text")]
    pub(super) client_key: Option<String>,
    #[serde(deserialize_with = "secret")]
    pub(super) client_key_data: Option<Secret>,
    #[serde(deserialize_with = "text")]
    pub(super) username: Option<String>,
    #[serde(deserialize_with = "secret")]
    pub(super) password: Option<Secret>,
    pub(super) exec: Option<Exec>,
    #[serde(deserialize_with = "present")]
    pub(super) auth_provider: bool,
    #[serde(rename = "as", deserialize_with = "text")]
    pub(super) impersonated: Option<String>,
    #[serde(rename = "as-uid", deserialize_with = "text")]
    pub(super) impersonated_uid: Option<String>,
    #[serde(rename = "as-groups")]
    pub(super) impersonated_groups: Option<Vec<String>>,
    #[serde(rename = "as-user-extra")]
    pub(super) impersonated_extra: Option<BTreeMap<String, Vec<String>>>,
}

/// A command that tells a credential.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Exec {
    #[serde(deserialize_with = "text")]
    pub(super) api_version: Option<String>,
    #[serde(deserialize_with = "text")]
    pub(super) command: Option<String>,
    pub(super) args: Option<Vec<String>>,
    pub(super) env: Option<Vec<Variable>>,
    #[serde(deserialize_with = "text")]
    pub(super) install_hint: Option<String>,
    pub(super) provide_cluster_info: bool,
    #[serde(deserialize_with = "text")]
    pub(super) interactive_mode: Option<String>,
}

/// A variable of a command's environment.
#[derive(Deserialize)]
pub(super) struct Variable {
    pub(super) name: String,
    #[serde(default, deserialize_with = "secret")]
    pub(super) value: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Written {
    #[serde(default, deserialize_with = "text")]
    current_context: Option<String>,
    contexts: Option<Vec<Named>>,
    clusters: Option<Vec<Named>>,
    users: Option<Vec<Named>>,
}

/// An entry of any of the three lists; each uses its own field.
#[derive(Deserialize)]
struct Named {
    name: String,
    context: Option<Context>,
    cluster: Option<Cluster>,
    user: Option<User>,
}

impl Document {
    /// Reads a file's text, or tells the line and column at which it cannot be understood.
    pub(super) fn parse(text: &[u8]) -> Result<Self, (u64, u64)> {
        let written: Written = serde_saphyr::from_slice(text)
            .map_err(|error| error.location().map_or((0, 0), |location| (location.line(), location.column())))?;
        Ok(Self {
            current_context: written.current_context,
            contexts: named(written.contexts, |entry| (entry.name, entry.context)),
            clusters: named(written.clusters, |entry| (entry.name, entry.cluster)),
            users: named(written.users, |entry| (entry.name, entry.user)),
        })
    }
}

fn named<T: Default>(list: Option<Vec<Named>>, value: fn(Named) -> (String, Option<T>)) -> Vec<(String, T)> {
    let entries = list.unwrap_or_default().into_iter().map(value);
    entries.map(|(name, value)| (name, value.unwrap_or_default())).collect()
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.filter(|text| !text.is_empty()))
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    Ok(text(from)?.map(Secret::from))
}

/// Whether anything stands there but null.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(Option::<IgnoredAny>::deserialize(from)?.is_some())
}
