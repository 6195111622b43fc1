//! The kubelet of every node: a pod on a node and the time → its status, and its end.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::fate::Fate;
use super::life::{Life, Restart, Words};
use super::owned;
use super::step::{Step, Write, after, sooner};
use crate::history::Place;
use crate::managed;
use crate::object;

/// How long containers take to end once they are told to, in seconds, if they are given that long.
const STOP: i64 = 1;

/// The address of the one node.
const HOST: &str = "10.127.0.1";

/// The containers of a pod at one time.
struct Lives<'a> {
    /// Those that run before the others, one after another.
    first: Vec<(&'a Value, Life)>,
    /// The others.
    then: Vec<(&'a Value, Life)>,
    is_initialized: bool,
}

pub(super) fn look(place: &Place, pod: &Value, now: Timestamp) -> Step {
    if pod["spec"]["nodeName"].is_null() {
        return Step::default();
    }
    if let Some(end) = end(pod) {
        // One that is held by a finalizer is gone as far as its node is concerned.
        let is_told = object::number(pod, "/metadata/deletionGracePeriodSeconds") == 0;
        return match end {
            end if end > now => Step::at(Some(end)),
            _ if is_told => Step::default(),
            // Who holds it may want to know how it ended.
            _ if !object::finalizers(pod).is_empty() && !owned::is_over(pod) => {
                let end = json!({"phase": "Failed", "reason": "Terminated", "message": "Pod was terminated"});
                Step::of(vec![Write::merge_status(place, &end)])
            }
            _ => Step::of(vec![Write::delete_now(place, pod)]),
        };
    }
    if owned::is_over(pod) {
        return Step::default();
    }
    let from = object::time(pod, "/status/startTime").unwrap_or(now);
    let lives = Lives::at(pod, from, now);
    let status = lives.status(pod, from, now);
    let differs = status.as_object().into_iter().flatten().any(|(name, value)| pod["status"].get(name) != Some(value));
    let writes = if differs { vec![Write::merge_status(place, &status)] } else { Vec::new() };
    Step { writes, again: lives.all().fold(None, |next, (_, life)| sooner(next, life.next)) }
}

/// When the containers of a pod that is to go have ended.
fn end(pod: &Value) -> Option<Timestamp> {
    let grace = object::number(pod, "/metadata/deletionGracePeriodSeconds");
    let last = object::time(pod, "/metadata/deletionTimestamp")?;
    Some(after(last, STOP.min(grace) - grace))
}

impl<'a> Lives<'a> {
    fn at(pod: &'a Value, from: Timestamp, now: Timestamp) -> Self {
        let restart = match pod["spec"]["restartPolicy"].as_str() {
            Some("Never") => Restart::Never,
            Some("OnFailure") => Restart::OnFailure,
            _ => Restart::Always,
        };
        let text = |field| object::text(pod, field);
        let named = format!("{}_{}({})", text("name"), text("namespace"), text("uid"));
        let life = |container: &Value, own: Fate, restart: Restart, from: Timestamp| {
            let word = |name: &str| container[name].as_str().unwrap_or_default();
            let words = Words { image: word("image"), name: word("name"), pod: &named };
            Life::at(Fate::of(pod, container, own), restart, words, from, now)
        };
        let (mut first, mut is_initialized, mut start) = (Vec::new(), true, from);
        for container in list(pod, "initContainers") {
            if !is_initialized {
                let waiting = life(container, Fate::Exits(0), Restart::Never, Timestamp::MAX);
                first.push((container, Life { next: None, ..waiting }));
                continue;
            }
            let again = if restart == Restart::Never { Restart::Never } else { Restart::OnFailure };
            let one = life(container, Fate::Exits(0), again, start);
            is_initialized = one.ended == Some(0);
            start = one.ended_at.unwrap_or(start);
            first.push((container, one));
        }
        let own = if restart == Restart::Always { Fate::Runs } else { Fate::Exits(0) };
        let start = if is_initialized { start } else { Timestamp::MAX };
        let then = list(pod, "containers").map(|container| {
            let mut one = life(container, own, restart, start);
            if !is_initialized {
                one.state = json!({"waiting": {"reason": "PodInitializing"}});
                one.next = None;
            }
            delay_by_probe(container, &mut one, now);
            (container, one)
        });
        let then = then.collect();
        Self { first, then, is_initialized }
    }

    fn all(&self) -> impl Iterator<Item = &(&'a Value, Life)> {
        self.first.iter().chain(&self.then)
    }

    /// The status, as far as the kubelet writes it.
    fn status(&self, pod: &Value, from: Timestamp, now: Timestamp) -> Value {
        let phase = self.phase();
        let unready: Vec<&str> = self.names(|life| !life.is_ready);
        let uninitialized: Vec<&str> = {
            let open = self.first.iter().filter(|(_, life)| life.ended != Some(0));
            open.filter_map(|(container, _)| container["name"].as_str()).collect()
        };
        let is_over = matches!(phase, "Succeeded" | "Failed");
        let why = |names: &[&str], word: &str| match (phase, names) {
            ("Succeeded", _) => json!({"reason": "PodCompleted"}),
            ("Failed", _) => json!({"reason": "PodFailed"}),
            (_, names) => json!({
                "reason": format!("Containers{word}"),
                "message": format!("containers with {} status: [{}]",
                    if word == "NotReady" { "unready" } else { "incomplete" }, names.join(" ")),
            }),
        };
        let is_ready = unready.is_empty() && self.is_initialized && !is_over;
        let conditions = [
            ("PodReadyToStartContainers", !is_over, json!({})),
            ("Initialized", self.is_initialized, why(&uninitialized, "NotInitialized")),
            ("Ready", is_ready, why(&unready, "NotReady")),
            ("ContainersReady", is_ready, why(&unready, "NotReady")),
            ("PodScheduled", true, json!({})),
        ];
        let condition = |(kind, holds, why): (&str, bool, Value)| {
            let status = if holds { "True" } else { "False" };
            let old = owned::condition(&pod["status"], kind).filter(|old| old["status"] == status);
            let since = old.map_or_else(|| managed::time(now), |old| old["lastTransitionTime"].clone());
            let mut condition = json!({"type": kind, "status": status, "lastTransitionTime": since});
            for (name, value) in why.as_object().into_iter().flatten().filter(|_| !holds) {
                condition[name] = value.clone();
            }
            condition
        };
        let address = pod["status"]["podIP"].as_str().map_or_else(|| address(pod), str::to_owned);
        let mut status = json!({
            "phase": phase, "conditions": conditions.map(condition), "startTime": managed::time(from),
            "hostIP": HOST, "hostIPs": [{"ip": HOST}], "podIP": address, "podIPs": [{"ip": address}],
            "containerStatuses": self.then.iter().map(|(container, life)| told(pod, container, life)).collect::<Vec<_>>(),
        });
        if !self.first.is_empty() {
            let first = self.first.iter().map(|(container, life)| told(pod, container, life));
            status["initContainerStatuses"] = first.collect();
        }
        status
    }

    fn phase(&self) -> &'static str {
        let is_lost = |life: &Life| life.ended.is_some_and(|code| code != 0);
        if self.first.iter().any(|(_, life)| is_lost(life)) {
            return "Failed";
        }
        let never_ran = |life: &Life| life.state.get("waiting").is_some() && life.restarts == 0;
        if !self.is_initialized || self.then.iter().any(|(_, life)| never_ran(life)) {
            return "Pending";
        }
        if self.then.iter().any(|(_, life)| life.ended.is_none()) {
            return "Running";
        }
        if self.then.iter().any(|(_, life)| is_lost(life)) { "Failed" } else { "Succeeded" }
    }

    fn names(&self, are: impl Fn(&Life) -> bool) -> Vec<&'a str> {
        self.then.iter().filter(|(_, life)| are(life)).filter_map(|(container, _)| container["name"].as_str()).collect()
    }
}

fn list<'a>(pod: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    pod["spec"][name].as_array().into_iter().flatten()
}

/// A container with a readiness probe is ready once the probe has been asked for the first time.
fn delay_by_probe(container: &Value, life: &mut Life, now: Timestamp) {
    let delay = object::number(container, "/readinessProbe/initialDelaySeconds");
    let asked = object::time(&life.state, "/running/startedAt").map(|started| after(started, delay));
    if let Some(asked) = asked.filter(|asked| life.is_ready && delay > 0 && *asked > now) {
        life.is_ready = false;
        life.next = sooner(life.next, Some(asked));
    }
}

/// The status of one container.
fn told(pod: &Value, container: &Value, life: &Life) -> Value {
    let is_running = life.state.get("running").is_some();
    let image = container["image"].as_str().unwrap_or_default();
    let mut state = life.state.clone();
    let mut last_state = life.last_state.clone();
    for one in [&mut state, &mut last_state] {
        if let Some(terminated) = one.get_mut("terminated") {
            terminated["containerID"] = identity(pod, container).into();
        }
    }
    let has_image = is_running || life.restarts > 0 || life.ended.is_some() || state.get("terminated").is_some();
    let mut status = json!({
        "name": container["name"], "image": image, "ready": life.is_ready || life.ended == Some(0) && is_first(pod, container),
        "imageID": if has_image { format!("simulator/{image}") } else { String::new() },
        "restartCount": life.restarts, "started": is_running, "state": state, "lastState": last_state,
    });
    if has_image {
        status["containerID"] = identity(pod, container).into();
    }
    status
}

/// Whether it is one of those that run before the others, which are ready once they have done their work.
fn is_first(pod: &Value, container: &Value) -> bool {
    list(pod, "initContainers").any(|one| one["name"] == container["name"])
}

fn identity(pod: &Value, container: &Value) -> String {
    format!("simulator://{}-{}", object::text(pod, "uid"), container["name"].as_str().unwrap_or_default())
}

/// An address out of 10.128.0.0/9 that no other pod has: it is drawn from the version of the pod, which is no other's.
fn address(pod: &Value) -> String {
    let version: u64 = object::text(pod, "resourceVersion").parse().unwrap_or(0);
    format!("10.{}.{}.{}", 128 + (version >> 16 & 0x7f), version >> 8 & 0xff, version & 0xff)
}
