//! A child before and after in, what that does to pods and clients out. Pure.

use serde::Serialize;
use serde_json::Value;

use crate::observe::Kind;
use crate::observe::config::DIGEST_ANNOTATION;

/// How many pods are concerned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pods {
    /// Pods that are added.
    pub started: i64,
    /// Pods in whose place others come.
    pub replaced: i64,
    /// Pods that are removed and not replaced.
    pub stopped: i64,
}

/// What comes of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// How many pods are concerned.
    pub pods: Pods,
    /// Whether there is a time in which no pod runs.
    pub downtime: bool,
    /// What is worth to be said, each in a few words.
    #[serde(rename = "effects")]
    pub words: Vec<String>,
}

/// What comes of a change of a child of that kind; of its creation, if there is none `before`, and of its deletion, if there
/// is none `after`.
pub fn of(kind: Kind, before: Option<&Value>, after: Option<&Value>) -> Effect {
    match kind {
        Kind::Deployment => deployment(before, after),
        Kind::Service => Effect { words: service(before, after), ..Effect::default() },
        Kind::Ingress | Kind::HttpRoute => Effect { words: route(before, after), ..Effect::default() },
        _ => Effect::default(),
    }
}

fn deployment(before: Option<&Value>, after: Option<&Value>) -> Effect {
    let replicas = |child: &Value| child["spec"]["replicas"].as_i64().unwrap_or(1);
    let (before, after) = match (before, after) {
        (None, None) => return Effect::default(),
        (None, Some(after)) => {
            let pods = Pods { started: replicas(after), ..Pods::default() };
            return Effect { words: vec![format!("starts {}", count(pods.started))], pods, downtime: false };
        }
        (Some(before), None) => {
            let pods = Pods { stopped: replicas(before), ..Pods::default() };
            return Effect { words: vec![format!("stops {}", count(pods.stopped))], pods, downtime: true };
        }
        (Some(before), Some(after)) => (before, after),
    };
    let (had, wished) = (replicas(before), replicas(after));
    let is_paused = |child: &Value| child["spec"]["paused"] == true;
    let changes = before["spec"]["template"] != after["spec"]["template"];
    let count_of = |field: &str| before["status"][field].as_i64().unwrap_or_default();
    // Pods of a change that was held back.
    let outdated = count_of("replicas") - count_of("updatedReplicas");
    let resumed = is_paused(before) && !is_paused(after);
    let replaced = match () {
        () if is_paused(after) => 0,
        () if changes => had.min(wished),
        () if resumed => outdated.clamp(0, wished),
        () => 0,
    };
    let pods = Pods { started: (wished - had).max(0), replaced, stopped: (had - wished).max(0) };
    let mut words = Vec::new();
    let recreates = after["spec"]["strategy"]["type"] == "Recreate";
    let downtime = recreates && replaced > 0 || wished == 0 && had > 0;
    if changes && is_paused(after) {
        words.push("its pods stay as they are while it is paused".to_owned());
    } else if replaced > 0 && recreates {
        words.push(format!("replaces {}, all at once: none runs in between", count(replaced)));
    } else if replaced > 0 {
        let up = (wished - unavailable(after, wished)).max(0);
        words.push(format!("replaces {}, of which at least {up} stay available", count(replaced)));
    }
    if had != wished {
        words.push(format!("scales from {had} to {}", count(wished)));
    }
    let follows = |child: &Value| !child["spec"]["template"]["metadata"]["annotations"][DIGEST_ANNOTATION].is_null();
    match (follows(before), follows(after)) {
        (false, true) => words.push("its pods follow their configuration from now on".to_owned()),
        (true, false) => words.push("its pods no longer follow their configuration".to_owned()),
        _ => {}
    }
    if replaced == 0 && !(changes && is_paused(after)) {
        words.push("no pod restarts".to_owned());
    }
    Effect { pods, downtime, words }
}

/// How many of `replicas` pods a rolling update may take away before others are there. Percentages are rounded down, as the
/// deployment controller does.
fn unavailable(deployment: &Value, replicas: i64) -> i64 {
    // What Kubernetes fills in.
    const DEFAULT_PERCENT: i64 = 25;
    let wish = &deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"];
    let percent = |text: &str| text.strip_suffix('%')?.parse::<i64>().ok();
    let percent = wish.as_str().and_then(percent).unwrap_or(DEFAULT_PERCENT);
    wish.as_i64().unwrap_or(replicas.saturating_mul(percent) / 100)
}

fn count(pods: i64) -> String {
    if pods == 1 { "1 pod".to_owned() } else { format!("{pods} pods") }
}

fn service(before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
    let (Some(before), Some(after)) = (before, after) else { return Vec::new() };
    let mut words = Vec::new();
    let kind = |service: &Value| service["spec"]["type"].as_str().unwrap_or("ClusterIP").to_owned();
    if kind(before) != kind(after) {
        words.push(format!("becomes a {} where it was a {}", kind(after), kind(before)));
    }
    let ports = |service: &Value| -> Vec<String> {
        let name = |port: &Value| format!("{}/{}", port["port"], port["protocol"].as_str().unwrap_or("TCP"));
        service["spec"]["ports"].as_array().into_iter().flatten().map(name).collect()
    };
    let (had, has) = (ports(before), ports(after));
    let gone: Vec<_> = had.into_iter().filter(|port| !has.contains(port)).collect();
    if !gone.is_empty() {
        words.push(format!("no longer offers {}", gone.join(", ")));
    }
    words
}

/// What leads to the Application, of an Ingress or an `HTTPRoute`.
fn route(before: Option<&Value>, after: Option<&Value>) -> Vec<String> {
    let hosts = |child: &Value| -> Vec<String> {
        let of_rules = || child["spec"]["rules"].as_array().into_iter().flatten().map(|rule| &rule["host"]);
        let hosts: Vec<&Value> = match child["spec"]["hostnames"].as_array() {
            Some(hosts) => hosts.iter().collect(),
            // The rules of an HTTPRoute have no host.
            None => of_rules().collect(),
        };
        let all = |host: &Value| host.as_str().map_or_else(|| "every host".to_owned(), str::to_owned);
        let mut hosts: Vec<String> = hosts.into_iter().map(all).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    };
    let [had, has] = [before, after].map(|child| child.map(hosts).unwrap_or_default());
    let beyond = |all: &[String], known: &[String]| -> Vec<String> {
        all.iter().filter(|host| !known.contains(host)).cloned().collect()
    };
    let (gone, new) = (beyond(&had, &has), beyond(&has, &had));
    let mut words = Vec::new();
    if !gone.is_empty() {
        words.push(format!("no longer leads {} to it", gone.join(", ")));
    }
    if !new.is_empty() {
        words.push(format!("leads {} to it", new.join(", ")));
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn child(replicas: i64, image: &str, more: &Value) -> Value {
        let mut child = json!({"spec": {"replicas": replicas, "template": {"image": image}},
            "status": {"replicas": 4, "updatedReplicas": 1}});
        for (field, value) in more.as_object().into_iter().flatten() {
            child["spec"][field] = value.clone();
        }
        child
    }

    fn told(before: Option<&Value>, after: Option<&Value>) -> (Pods, bool, String) {
        let effect = of(Kind::Deployment, before, after);
        (effect.pods, effect.downtime, effect.words.join("; "))
    }

    fn pods(started: i64, replaced: i64, stopped: i64) -> Pods {
        Pods { started, replaced, stopped }
    }

    #[test]
    fn a_change_of_the_pods_replaces_them_and_a_scale_does_not() {
        let old = child(4, "i:1", &json!({}));
        let says = |after: &Value| told(Some(&old), Some(after));
        assert_eq!(
            says(&child(4, "i:2", &json!({}))),
            (pods(0, 4, 0), false, "replaces 4 pods, of which at least 3 stay available".to_owned())
        );
        assert_eq!(
            says(&child(6, "i:1", &json!({}))),
            (pods(2, 0, 0), false, "scales from 4 to 6 pods; no pod restarts".to_owned())
        );
        assert_eq!(
            says(&child(1, "i:2", &json!({"strategy": {"rollingUpdate": {"maxUnavailable": 1}}}))),
            (
                pods(0, 1, 3),
                false,
                "replaces 1 pod, of which at least 0 stay available; scales from 4 to 1 pod".to_owned()
            )
        );
        assert_eq!(
            says(&child(4, "i:1", &json!({"minReadySeconds": 5}))),
            (pods(0, 0, 0), false, "no pod restarts".into())
        );
        assert!(says(&child(0, "i:1", &json!({}))).1, "scaled to zero, it is down");
    }

    #[test]
    fn recreation_is_downtime_and_a_pause_holds_pods_back() {
        let old = child(4, "i:1", &json!({}));
        let recreated = child(4, "i:2", &json!({"strategy": {"type": "Recreate"}}));
        assert_eq!(
            told(Some(&old), Some(&recreated)),
            (pods(0, 4, 0), true, "replaces 4 pods, all at once: none runs in between".to_owned())
        );
        let paused = child(4, "i:2", &json!({"paused": true}));
        assert_eq!(
            told(Some(&old), Some(&paused)),
            (pods(0, 0, 0), false, "its pods stay as they are while it is paused".to_owned())
        );
        assert_eq!(told(Some(&paused), Some(&child(4, "i:2", &json!({"paused": false})))).0, pods(0, 3, 0));
    }

    #[test]
    fn creation_starts_pods_and_deletion_stops_them() {
        let child = child(2, "i", &json!({}));
        assert_eq!(told(None, Some(&child)), (pods(2, 0, 0), false, "starts 2 pods".to_owned()));
        assert_eq!(told(Some(&child), None), (pods(0, 0, 2), true, "stops 2 pods".to_owned()));
    }

    #[test]
    fn what_leads_somewhere_else_says_so() {
        let ingress = |hosts: &[&str]| {
            let rules: Vec<Value> = hosts.iter().map(|host| json!({"host": host})).collect();
            json!({"spec": {"rules": rules}})
        };
        let words = |before, after| of(Kind::Ingress, before, after).words;
        let (one, other) = (ingress(&["a.example", "b.example"]), ingress(&["b.example", "c.example"]));
        assert_eq!(words(None, Some(&one)), ["leads a.example, b.example to it"]);
        assert_eq!(words(Some(&one), Some(&other)), ["no longer leads a.example to it", "leads c.example to it"]);
        assert_eq!(words(Some(&one), None), ["no longer leads a.example, b.example to it"]);
        let route = json!({"spec": {"hostnames": ["a.example"], "rules": [{"matches": []}]}});
        assert_eq!(of(Kind::HttpRoute, None, Some(&route)).words, ["leads a.example to it"]);
        let every = json!({"spec": {"rules": [{"http": {}}]}});
        assert_eq!(words(None, Some(&every)), ["leads every host to it"]);
    }

    #[test]
    fn pods_that_begin_to_follow_their_configuration_say_so() {
        let template = |digest: Value| json!({"metadata": {"annotations": {DIGEST_ANNOTATION: digest}}});
        let child = |digest| json!({"spec": {"replicas": 2, "template": template(digest)}});
        let (without, with) = (child(Value::Null), child(json!("a")));
        let begun = of(Kind::Deployment, Some(&without), Some(&with));
        assert_eq!(
            (begun.pods.replaced, begun.words[1].as_str()),
            (2, "its pods follow their configuration from now on")
        );
        let ended = of(Kind::Deployment, Some(&with), Some(&without)).words;
        assert_eq!(ended[1], "its pods no longer follow their configuration");
    }

    #[test]
    fn a_service_that_offers_less_says_so() {
        let service = |kind: &str, port| json!({"spec": {"type": kind, "ports": [{"port": port, "protocol": "TCP"}]}});
        let effect = of(Kind::Service, Some(&service("NodePort", 80)), Some(&service("ClusterIP", 8080)));
        assert_eq!(effect.words, ["becomes a ClusterIP where it was a NodePort", "no longer offers 80/TCP"]);
        assert_eq!(
            of(Kind::Service, Some(&service("NodePort", 80)), Some(&service("NodePort", 80))),
            Effect::default()
        );
    }
}
