//! Names, labels and bounds of what is told.

use std::collections::BTreeSet;

use super::*;
use crate::backoff::Schedule;
use crate::queue::{Bucket, Limits};
use crate::trigger::Reason;

/// What dashboards for operators in Go ask for: name, type and labels, as in controller-runtime 0.25, client-go 0.37 and
/// Prometheus' process collector.
const PEERS: [(&str, &str, &[&str]); 26] = [
    ("controller_runtime_active_workers", "gauge", &["controller"]),
    ("controller_runtime_max_concurrent_reconciles", "gauge", &["controller"]),
    ("controller_runtime_reconcile_errors_total", "counter", &["controller"]),
    ("controller_runtime_reconcile_panics_total", "counter", &["controller"]),
    ("controller_runtime_reconcile_time_seconds", "histogram", &["controller"]),
    ("controller_runtime_reconcile_timeouts_total", "counter", &["controller"]),
    ("controller_runtime_reconcile_total", "counter", &["controller", "result"]),
    ("controller_runtime_terminal_reconcile_errors_total", "counter", &["controller"]),
    ("leader_election_master_status", "gauge", &["name"]),
    ("process_cpu_seconds_total", "counter", &[]),
    ("process_max_fds", "gauge", &[]),
    ("process_open_fds", "gauge", &[]),
    ("process_resident_memory_bytes", "gauge", &[]),
    ("process_start_time_seconds", "gauge", &[]),
    ("process_virtual_memory_bytes", "gauge", &[]),
    ("rest_client_request_duration_seconds", "histogram", &["host", "verb"]),
    ("rest_client_requests_total", "counter", &["code", "host", "method"]),
    ("workqueue_adds_total", "counter", &["controller", "name"]),
    ("workqueue_depth", "gauge", &["controller", "name", "priority"]),
    ("workqueue_longest_running_processor_seconds", "gauge", &["controller", "name"]),
    ("workqueue_queue_duration_seconds", "histogram", &["controller", "name"]),
    ("workqueue_retries_total", "counter", &["controller", "name"]),
    ("workqueue_unfinished_work_seconds", "gauge", &["controller", "name"]),
    ("workqueue_work_duration_seconds", "histogram", &["controller", "name"]),
    // Ours.
    ("workqueue_delayed", "gauge", &["controller", "name"]),
    ("workqueue_oldest_ready_seconds", "gauge", &["controller", "name"]),
];

const CONTROLLER: &str = "application";

fn queue() -> Queue<Key> {
    let per_key = Schedule::new(Duration::from_secs(1), Duration::from_secs(1));
    Queue::new(Limits { per_key, overall: Bucket::new(1, 1) })
}

/// Metrics of a process to which everything has happened.
fn eventful() -> (Metrics, Queue<Key>) {
    let (metrics, queue) = (Metrics::default(), queue());
    metrics.observe_queue(CONTROLLER, &queue);
    metrics.started(CONTROLLER, 3);
    queue.add(Key::new("n", "a"), Reason::Updated);
    drop(metrics.taken(CONTROLLER, Duration::from_millis(2)));
    metrics.reconciled(CONTROLLER, "error", Duration::from_millis(3));
    metrics.terminal(CONTROLLER);
    metrics.panicked(CONTROLLER);
    metrics.timed_out(CONTROLLER);
    metrics.requested("h:1", "PATCH", Some(409), Duration::from_millis(4));
    metrics.requested("h:1", "GET", None, Duration::from_millis(5));
    metrics.observe_leadership("lease".to_owned(), Leadership::always());
    (metrics, queue)
}

/// Each series: its name, and its labels without their values.
fn labels(line: &str) -> (&str, BTreeSet<&str>) {
    let (name, labels) = line.rsplit_once(' ').expect("a sample").0.split_once('{').unwrap_or((line, ""));
    let name = name.split(' ').next().expect("a name");
    (name, labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0)).collect())
}

#[test]
fn metrics_bear_the_names_and_labels_that_dashboards_know() {
    let text = eventful().0.render_as(Format::Prometheus).expect("text");
    for (name, kind, wanted) in PEERS {
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} is no {kind} in\n{text}");
        let sample = if kind == "histogram" { format!("{name}_count") } else { name.to_owned() };
        let series = text.lines().filter(|line| !line.starts_with('#')).map(labels).filter(|(name, _)| *name == sample);
        let found: BTreeSet<_> = series.map(|(_, labels)| labels).collect();
        assert_eq!(found, BTreeSet::from([wanted.iter().copied().collect()]), "labels of {name}");
    }
}

#[test]
fn what_has_happened_is_told_with_its_count() {
    let (metrics, queue) = eventful();
    let text = metrics.render().expect("text");
    for line in [
        r#"controller_runtime_reconcile_total{controller="application",result="error"} 1"#,
        r#"controller_runtime_reconcile_total{controller="application",result="requeue"} 0"#,
        r#"controller_runtime_reconcile_errors_total{controller="application"} 1"#,
        r#"controller_runtime_reconcile_panics_total{controller="application"} 1"#,
        r#"controller_runtime_reconcile_time_seconds_count{controller="application"} 1"#,
        r#"controller_runtime_max_concurrent_reconciles{controller="application"} 3"#,
        r#"controller_runtime_active_workers{controller="application"} 0"#,
        r#"rest_client_requests_total{code="409",method="PATCH",host="h:1"} 1"#,
        r#"rest_client_requests_total{code="<error>",method="GET",host="h:1"} 1"#,
        r#"leader_election_master_status{name="lease"} 1"#,
        r#"workqueue_depth{name="application",controller="application",priority="0"} 1"#,
        r#"workqueue_adds_total{name="application",controller="application"} 1"#,
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} is missing in\n{text}");
    }
    let working = metrics.taken(CONTROLLER, Duration::ZERO);
    let taken = queue.try_take();
    let text = metrics.render().expect("text");
    assert!(text.contains("controller_runtime_active_workers{controller=\"application\"} 1\n"), "{text}");
    assert!(text.contains("priority=\"0\"} 0\n"), "{text}");
    drop((working, taken));
}

#[test]
fn a_family_that_several_readers_fill_goes_out_in_one_piece() {
    let metrics = Metrics::default();
    for (resource, value) in [("pods", 1.0), ("pods", 2.5), ("nodes", 3.0)] {
        metrics.observe(move |samples| {
            samples.gauge("objects", "Objects", &[("resource", resource)], value);
            samples.highest("age_seconds", "Age", &[("resource", resource)], value);
        });
    }
    let text = metrics.render_as(Format::Prometheus).expect("text");
    let objects = "# TYPE objects gauge\nobjects{resource=\"nodes\"} 3\nobjects{resource=\"pods\"} 3.5\n";
    assert!(text.contains(objects), "{text}");
    assert!(text.contains("age_seconds{resource=\"pods\"} 2.5\n"), "{text}");
    let types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert_eq!(types.len(), types.iter().collect::<BTreeSet<_>>().len(), "{types:?}");
}

#[test]
fn the_number_of_series_does_not_grow_with_the_cluster_nor_with_what_a_server_makes_up() {
    let (metrics, queue) = eventful();
    let count =
        |metrics: &Metrics| metrics.render().expect("text").lines().filter(|line| !line.starts_with('#')).count();
    let before = count(&metrics);
    for number in 0..10_000_u16 {
        queue.add(Key::new(format!("namespace-{number}"), format!("name-{number}")), Reason::Listed);
        drop(metrics.taken(CONTROLLER, Duration::from_millis(number.into())));
        metrics.reconciled(CONTROLLER, "success", Duration::from_millis(number.into()));
        metrics.requested("h:1", "GET", Some(600 + number), Duration::ZERO);
    }
    // The one for codes that mean nothing.
    assert_eq!(count(&metrics), before + 1);
    for number in 0..1_000 {
        metrics.attempted("h:1", &refused(Some(&format!("schema-{number}"))));
    }
    // One for each up to the limit, and one for all others; and that for the code.
    assert_eq!(count(&metrics), before + 1 + THROTTLED + 1 + 1);
}

#[test]
fn what_is_told_is_explained_in_the_readme() {
    let (metrics, _queue) = eventful();
    metrics.observe_connections("h:1".to_owned(), &Connections::default());
    metrics.observe_cache(&crate::store::new::<Thing>(&[]).1);
    let readme = include_str!("../../../README.md");
    let text = metrics.render_as(Format::Prometheus).expect("text");
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let missing: Vec<&str> = names.filter(|name| !readme.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, [""; 0]);
}

/// An attempt that priority and fairness refused.
fn refused(flow_schema: Option<&str>) -> Attempt<'_> {
    let (method, result) = (&http::Method::GET, Ok(StatusCode::TOO_MANY_REQUESTS));
    Attempt { method, result, took: Duration::ZERO, flow_schema, priority_level: Some("level") }
}

#[test]
fn a_refusal_for_being_too_many_says_under_what_the_server_filed_the_request() {
    let metrics = Arc::new(Metrics::default());
    let observer = metrics.observer("h:1".to_owned());
    observer(&refused(Some("schema")));
    observer(&Attempt { result: Ok(StatusCode::OK), ..refused(Some("another")) });
    let text = metrics.render_as(Format::Prometheus).expect("text");
    let series = r#"engine_requests_throttled_total{host="h:1",flow_schema="schema",priority_level="level"} 1"#;
    assert!(text.contains(series) && !text.contains("another"), "{text}");
    assert!(text.contains(r#"rest_client_requests_total{code="429",method="GET",host="h:1"} 1"#), "{text}");
}

#[test]
fn connections_and_writes_that_nobody_needs_are_shown() {
    let metrics = Metrics::default();
    metrics.observe_connections("h:1".to_owned(), &Connections::default());
    metrics.suppressed(&Thing::RESOURCE);
    let text = metrics.render_as(Format::Prometheus).expect("text");
    assert!(text.contains("engine_open_connections{host=\"h:1\"} 0\n"), "{text}");
    assert!(text.contains("engine_writes_suppressed_total{resource=\"things.test\"} 1\n"), "{text}");
}

#[derive(Debug, serde::Deserialize)]
struct Thing {
    metadata: crate::object::Metadata,
}

impl Object for Thing {
    const RESOURCE: Resource = Resource { group: "test", version: "v1", kind: "Thing", plural: "things" };

    fn metadata(&self) -> &crate::object::Metadata {
        &self.metadata
    }
}

#[test]
fn a_cache_is_told_once_however_many_share_it_and_as_one_series_however_many_namespaces() {
    let metrics = Metrics::default();
    let namespaces: Vec<Arc<str>> = (0..100).map(|number| format!("namespace-{number}").into()).collect();
    let (_writers, reader) = crate::store::new::<Thing>(&namespaces);
    for _ in 0..3 {
        metrics.observe_cache(&reader);
    }
    let text = metrics.render_as(Format::Prometheus).expect("text");
    assert!(text.contains("engine_cache_objects{resource=\"things.test\"} 0\n"), "{text}");
    assert!(text.contains("engine_lists_total{resource=\"things.test\",reason=\"initial\"} 0\n"), "{text}");
    assert!(text.contains("engine_cache_synced{resource=\"things.test\"} 0\n"), "{text}");
    let series = text.lines().filter(|line| line.contains("things")).count();
    assert!(series < 30, "{text}");
}
