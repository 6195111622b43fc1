//! What bars the way of an apply that was refused: the API server alone knows what it has beside a wish, and is asked by trials
//! (`dryRun`).

use std::collections::BTreeSet;

use engine::api::{self, Client, PatchType};
use engine::object::{Key, Resource};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::plan::ownership::{self, Bars, Part};
use crate::plan::{merge, predict};

/// An apply that was refused.
pub struct Barred<'a> {
    /// The API server; nothing is written to it but for a trial.
    pub client: &'a Client,
    /// What kind of object it is.
    pub resource: &'a Resource,
    /// Which one it is.
    pub key: &'a Key,
    /// The whole of it.
    pub live: &'a Value,
    /// What was applied.
    pub wish: &'a Value,
}

impl Barred<'_> {
    /// Ports of others, and the least beside them that has to go for the apply to be accepted; nothing, if the wish is refused
    /// for itself.
    ///
    /// # Errors
    ///
    /// Any [`api::Error`] but that a trial is refused: a conflict, or no answer.
    pub async fn by(&self) -> Result<BTreeSet<Part>, api::Error> {
        let Bars { ports, others } = ownership::bars(self.live, self.wish, self.client.field_manager());
        let all = &ports | &others;
        if all.is_empty() || !self.is_accepted_without(&all).await? {
            return Ok(BTreeSet::new());
        }
        // Given back in ever smaller parts, as long as the server has them beside the wish: what is left can't be less.
        let mut taken: Vec<Part> = others.into_iter().collect();
        let mut size = taken.len();
        while size > 0 {
            let mut start = 0;
            while start < taken.len() {
                let mut rest = taken.clone();
                rest.drain(start..taken.len().min(start + size));
                // That of nothing was refused when it was no trial.
                let is_known = rest.is_empty() && ports.is_empty();
                let bars = ports.iter().chain(&rest).cloned().collect();
                if !is_known && self.is_accepted_without(&bars).await? {
                    taken = rest;
                } else {
                    start += size;
                }
            }
            size /= 2;
        }
        Ok(ports.into_iter().chain(taken).collect())
    }

    /// The object as it is after the apply, once the operator owns `bars`.
    pub fn after(&self, bars: &BTreeSet<Part>) -> Value {
        let manager = self.client.field_manager();
        let mut live = self.live.clone();
        live["metadata"]["managedFields"] = ownership::take_over(self.live, self.wish, manager, bars);
        predict::applied(&live, self.wish, manager)
    }

    async fn is_accepted_without(&self, bars: &BTreeSet<Part>) -> Result<bool, api::Error> {
        let after = self.after(bars);
        let spec = merge::three_way(Some(&self.live["spec"]), &after["spec"], &self.live["spec"]);
        let version = &self.live["metadata"]["resourceVersion"];
        let body = json!({"metadata": {"resourceVersion": version}, "spec": spec});
        let trial = self.client.dry_run();
        match trial.patch_as::<IgnoredAny>(self.resource, self.key, None, PatchType::Merge, body).await {
            Ok(IgnoredAny) => Ok(true),
            Err(error) if error.is_conflict() || error.is_unavailable() || error.status().is_none() => Err(error),
            Err(_) => Ok(false),
        }
    }
}
