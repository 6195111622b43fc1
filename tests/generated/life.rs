//! An Application whose spec is changed, and what is told of it and done about it each time.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::mutation::small;
use crate::state::{Children, Objects, View, differences};
use crate::support::{Api, condition, path, report_ready};
use crate::told::{Told, dropped};

/// Many times what anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reasons that a report of pods, or the operator's next try, ends.
const PASSING: [&str; 5] = ["Pending", "RollingOut", "Scaling", "PodsNotReady", "ApplyFailed"];

/// What a change of the spec comes to.
pub(crate) enum Answer {
    /// The API server refuses it, in these words.
    Refused(String),
    /// It is stored, and this is told of it.
    Told(Told),
    /// Neither.
    Failed(String),
}

/// One Application at a time.
pub(crate) struct Life {
    api: &'static Api,
    namespace: String,
    view: View,
    name: String,
    /// Its spec as it is stored; nothing before it is created.
    spec: Value,
}

/// What is to be done next about an Application.
enum Next {
    Report(Value),
    Tell(Told),
}

impl Life {
    pub(crate) fn new(api: &'static Api, namespace: String, view: View, name: String) -> Self {
        Self { api, namespace, view, name, spec: Value::Null }
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.spec.is_null()
    }

    /// Leaves the Application as it is, and goes on with another one.
    pub(crate) fn begin_anew(&mut self) {
        let (prefix, serial) = self.name.rsplit_once('-').unwrap_or((&self.name, "0"));
        self.name = format!("{prefix}-{}", serial.parse::<u32>().unwrap_or_default() + 1);
        self.spec = Value::Null;
    }

    /// Gives it the least spec there is, and waits until it is ready.
    pub(crate) fn become_base(&mut self) -> Result<Children, String> {
        match self.become_spec(&small()) {
            Answer::Told(told) if told.ready && !told.degraded => self.settled_children(),
            Answer::Told(told) => Err(format!("told {}: {}", told.reason, told.message)),
            Answer::Refused(said) | Answer::Failed(said) => Err(said),
        }
    }

    /// Gives it a spec, in place of the one that it has, and waits until something is told of that.
    pub(crate) fn become_spec(&mut self, spec: &Value) -> Answer {
        let collection = path("applications", &self.namespace);
        let (code, said) = if self.is_alive() {
            let change = json!({"spec": merge(&self.spec, spec)});
            self.api.ask("PATCH", &format!("{collection}/{}", self.name), &change)
        } else {
            let application = json!({"apiVersion": "minetto.dev/v1alpha1", "kind": "Application",
                "metadata": {"name": self.name}, "spec": spec});
            self.api.ask("POST", &collection, &application)
        };
        match code {
            200 | 201 => {
                self.spec = said["spec"].clone();
                self.told(&said["metadata"]["generation"])
            }
            422 => Answer::Refused(said["message"].as_str().unwrap_or_default().to_owned()),
            _ => Answer::Failed(format!("{code} {said}")),
        }
    }

    /// Waits until something lasting is told of a generation, and reports pods as ready where there are to be some.
    fn told(&self, generation: &Value) -> Answer {
        let mut reported = Value::Null;
        loop {
            let next = self.view.wait(PATIENCE, |objects| self.next(objects, generation, &reported));
            match next {
                Some(Next::Tell(told)) => return Answer::Told(told),
                Some(Next::Report(deployment)) => {
                    report_ready(self.api, &deployment);
                    reported = deployment["metadata"]["generation"].clone();
                }
                None => {
                    let seen = self.view.look(|objects| {
                        let seen = objects.get("applications", &self.name)?;
                        Some(format!("{} of generation {generation}", seen["status"]["conditions"][0]))
                    });
                    return Answer::Failed(format!("stuck at {}", seen.unwrap_or_default()));
                }
            }
        }
    }

    fn next(&self, objects: &Objects, generation: &Value, reported: &Value) -> Option<Next> {
        let seen = objects.get("applications", &self.name)?;
        if seen["metadata"]["generation"] != *generation || seen["status"]["observedGeneration"] != *generation {
            return None;
        }
        let (status, reason, message) = condition(seen, "Ready");
        if !PASSING.contains(&reason) {
            let (reason, message) = (reason.to_owned(), message.to_owned());
            let degraded = condition(seen, "Degraded").0 == "True";
            return Some(Next::Tell(Told { ready: status == "True", degraded, reason, message }));
        }
        let deployment = objects.get("deployments", &format!("{}-deployment", self.name))?;
        let now = &deployment["metadata"]["generation"];
        let is_reported = deployment["status"]["observedGeneration"] == *now || reported == now;
        (!is_reported).then(|| Next::Report(deployment.clone()))
    }

    /// Makes of its children, as somebody does with `kubectl edit`, what those of others are, and waits until that is seen; how
    /// many of them the server lets be so.
    pub(crate) fn overwrite(&self, with: &Children) -> usize {
        let overwritten = crate::state::CHILDREN.iter().filter(|(resource, suffix)| {
            let Some(with) = with.get(resource) else { return false };
            let with: Value = serde_json::from_str(&with.to_string().replace("NAME", &self.name)).expect("JSON");
            let name = format!("{}-{suffix}", self.name);
            let at = format!("{}/{name}", path(resource, &self.namespace));
            // As often as somebody else is quicker.
            while let Some(mut child) = self.api.get(&at) {
                let former = child["spec"].clone();
                child["spec"] = with["spec"].clone();
                for given in ["clusterIP", "clusterIPs", "selector"] {
                    child["spec"][given] = former[given].clone();
                }
                match self.api.ask("PUT", &format!("{at}?fieldManager=kubectl-edit"), &child) {
                    (200, written) => {
                        let is_seen = |seen: &Value| version(seen) >= version(&written);
                        let look =
                            |objects: &Objects| objects.get(resource, &name).filter(|seen| is_seen(seen)).map(drop);
                        return self.view.wait(PATIENCE, look).is_some();
                    }
                    (409, _) => {}
                    _ => return false,
                }
            }
            false
        });
        overwritten.count()
    }

    /// Waits until its children are as it says again, and this is told.
    pub(crate) fn recover(&self) -> Result<String, String> {
        let dropped = self.dropped();
        if !dropped.is_empty() {
            return Err(dropped.join("; "));
        }
        let generation = self.view.look(|objects| objects.get("applications", &self.name).cloned());
        match self.told(&generation.unwrap_or_default()["metadata"]["generation"]) {
            Answer::Told(told) => Ok(told.reason),
            Answer::Refused(said) | Answer::Failed(said) => Err(said),
        }
    }

    /// What of its spec is in no child, once that lasts.
    pub(crate) fn dropped(&self) -> Vec<String> {
        let look = |objects: &Objects| dropped(&self.spec, objects, &self.name);
        let done = self.view.wait(PATIENCE, |objects| look(objects).is_empty().then_some(()));
        if done.is_some() { Vec::new() } else { self.view.look(look) }
    }

    /// How its children differ from others', once that lasts.
    pub(crate) fn differences_to(&self, others: &Children) -> Vec<String> {
        let look = |objects: &Objects| differences(&objects.children(&self.name), others);
        let same = self.view.wait(PATIENCE, |objects| look(objects).is_empty().then_some(()));
        if same.is_some() { Vec::new() } else { self.view.look(look) }
    }

    /// Its children as they are seen now.
    pub(crate) fn children(&self) -> Children {
        self.view.look(|objects| objects.children(&self.name))
    }

    /// Its children, once all that it says is in them; what is not, if that lasts.
    pub(crate) fn settled_children(&self) -> Result<Children, String> {
        let dropped = self.dropped();
        if dropped.is_empty() { Ok(self.children()) } else { Err(dropped.join("; ")) }
    }

    /// Deletes it and its children, so that their node ports are free.
    pub(crate) fn end(self) {
        let applications = format!("{}/{}", path("applications", &self.namespace), self.name);
        // What is not there, or not answered for, is nobody's loss.
        self.api.try_ask("DELETE", &applications, &Value::Null);
        for (resource, suffix) in crate::state::CHILDREN {
            let child = format!("{}/{}-{suffix}", path(resource, &self.namespace), self.name);
            self.api.try_ask("DELETE", &child, &Value::Null);
        }
    }
}

fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).expect("a version")
}

/// The merge patch that makes `to` of `from`.
fn merge(from: &Value, to: &Value) -> Value {
    let (Some(from), Some(fields)) = (from.as_object(), to.as_object()) else { return to.clone() };
    let gone = from.keys().filter(|field| !fields.contains_key(*field)).map(|field| (field.clone(), Value::Null));
    let set = fields.iter().filter(|(field, value)| from.get(*field) != Some(value)).map(|(field, value)| {
        let from = from.get(field).unwrap_or(&Value::Null);
        (field.clone(), merge(from, value))
    });
    Value::Object(gone.chain(set).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_takes_away_what_is_not_to_stay() {
        let (from, to) = (json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1]}), json!({"b": {"c": 3}, "e": [1], "f": {}}));
        assert_eq!(merge(&from, &to), json!({"a": null, "b": {"c": 3, "d": null}, "f": {}}));
        assert_eq!(merge(&json!({"a": [1]}), &json!({"a": "text"})), json!({"a": "text"}));
    }
}
