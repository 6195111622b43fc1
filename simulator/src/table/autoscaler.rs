//! Horizontal autoscalers → the cells of their rows.

use jiff::Timestamp;
use serde_json::Value;

use super::{Columns, age};
use crate::object;

pub(super) const COLUMNS: &Columns = &[
    ("Name", "string", 0),
    ("Reference", "string", 0),
    ("Targets", "string", 0),
    ("MinPods", "string", 0),
    ("MaxPods", "string", 0),
    ("Replicas", "string", 0),
    ("Age", "string", 0),
];

/// As many targets as are shown.
const SHOWN: usize = 2;

/// What is said of a measure that nobody has taken.
const UNKNOWN: &str = "<unknown>";

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let target = &spec["scaleTargetRef"];
    vec![
        object::text(object, "name").into(),
        format!("{}/{}", text(&target["kind"]), text(&target["name"])).into(),
        targets(&spec["metrics"], &status["currentMetrics"]).into(),
        spec["minReplicas"].as_i64().map_or_else(|| "<unset>".to_owned(), |least| least.to_string()).into(),
        spec["maxReplicas"].as_i64().unwrap_or(0).into(),
        status["currentReplicas"].as_i64().unwrap_or(0).into(),
        age::since(object::metadata(object).get("creationTimestamp"), now).into(),
    ]
}

fn targets(wished: &Value, present: &Value) -> String {
    let wished = wished.as_array().map(Vec::as_slice).unwrap_or_default();
    let all: Vec<String> = wished.iter().enumerate().map(|(place, metric)| target(metric, &present[place])).collect();
    match all.as_slice() {
        [] => "<none>".to_owned(),
        [a, b, _, ..] => format!("{a}, {b} + {} more...", all.len() - SHOWN),
        all => all.join(", "),
    }
}

fn target(metric: &Value, present: &Value) -> String {
    let (kind, is_named) = match metric["type"].as_str().unwrap_or_default() {
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "External" => ("external", false),
        _ => return "<unknown type>".to_owned(),
    };
    let (wish, current) = (&metric[kind]["target"], &present[kind]["current"]);
    let measure = |value: &Value| value.as_str().map_or_else(|| UNKNOWN.to_owned(), str::to_owned);
    let share = |value: &Value, none: &str| value.as_i64().map_or_else(|| none.to_owned(), |share| format!("{share}%"));
    let is_average = wish["averageValue"].is_string();
    let pair = match (is_named, is_average) {
        (true, false) => {
            format!(
                "{}/{}",
                share(&current["averageUtilization"], UNKNOWN),
                share(&wish["averageUtilization"], "<auto>")
            )
        }
        (_, true) => format!("{}/{}", measure(&current["averageValue"]), measure(&wish["averageValue"])),
        (false, false) => format!("{}/{}", measure(&current["value"]), measure(&wish["value"])),
    };
    match kind {
        _ if is_named => format!("{}: {pair}", metric[kind]["name"].as_str().unwrap_or_default()),
        "object" | "external" if is_average => format!("{pair} (avg)"),
        _ => pair,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn targets_are_shown_beside_what_was_measured() {
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}});
        let queue = json!({"type": "External", "external": {"target": {"averageValue": "30"}}});
        let measured = json!([{"resource": {"current": {"averageUtilization": 12}}}]);
        for (metrics, present, shown) in [
            (json!([]), json!([]), "<none>"),
            (json!([cpu]), json!([]), "cpu: <unknown>/80%"),
            (json!([cpu, queue]), measured.clone(), "cpu: 12%/80%, <unknown>/30 (avg)"),
            (json!([cpu, queue, cpu]), measured, "cpu: 12%/80%, <unknown>/30 (avg) + 1 more..."),
        ] {
            assert_eq!(targets(&metrics, &present), shown);
        }
    }
}
