//! The Job of a migration. Pure.
//!
//! It is the application's pod with another program: the same image, environment, volumes, identity and security, but for
//! what the migration says otherwise. It has none of the labels that the Service and the Deployment select by.

use engine::object::Object;
use serde_json::{Value, json};

use super::{hash, own, pod, set};
use crate::application::Application;
use crate::application::rollout::Migration;
use crate::observe::Job;
use crate::observe::job::MIGRATION_LABEL;
use crate::observe::revision::APPLICATION_LABEL;

/// The longest name of a Job: its pods bear it as a label, which holds 63 characters.
const LONGEST_NAME: usize = 63;

/// Fields of the container that are about serving, which a migration doesn't do, and those that are about its program.
const OF_SERVING: [&str; 7] =
    ["ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "command", "args"];

/// The Job that runs `migration` for pods of `template`.
pub(super) fn render(application: &Application, migration: &Migration, template: &Value) -> Value {
    let name = &*application.metadata.name;
    let mut spec = json!({
        "backoffLimit": migration.backoff_limit.unwrap_or(0),
        // A pod takes another's place only once that has ended: two of them never run at a time.
        "podReplacementPolicy": "Failed",
        "template": pod(name, migration, template),
    });
    set(&mut spec, "activeDeadlineSeconds", migration.active_deadline_seconds);
    let mut job = json!({
        "apiVersion": Job::RESOURCE.api_version(),
        "kind": Job::RESOURCE.kind,
        "metadata": {"labels": {(APPLICATION_LABEL): name, (MIGRATION_LABEL): migration.name}},
        "spec": spec,
    });
    own(application, &mut job);
    // A Job can't be changed: another wish is another Job.
    job["metadata"]["name"] = json!(job_name(name, &migration.name, &hash(&job)));
    job
}

/// A name that is no longer than it may be; the hash keeps it unique if the rest is cut.
fn job_name(application: &str, migration: &str, hash: &str) -> String {
    let mut name = format!("{application}-mig-{migration}");
    name.truncate(LONGEST_NAME - 1 - hash.len());
    format!("{}-{hash}", name.trim_end_matches('-'))
}

fn pod(name: &str, migration: &Migration, template: &Value) -> Value {
    let mut pod = template.clone();
    let labels = &mut pod["metadata"]["labels"];
    if let Some(labels) = labels.as_object_mut() {
        labels.remove(pod::SERVICE_LABEL);
    }
    // The operator sees pods with this label alone. No Application can be called so, as a name has no dot.
    labels[pod::DEPLOYMENT_LABEL] = json!(format!("{name}.migration"));
    labels[APPLICATION_LABEL] = json!(name);
    labels[MIGRATION_LABEL] = json!(migration.name);
    let spec = &mut pod["spec"];
    spec["restartPolicy"] = json!("Never");
    if let Some(containers) = spec["initContainers"].as_array_mut() {
        // Those that run beside the application, a proxy of its database say, are part of what it runs in. Those that run
        // before it may wait for this very migration.
        containers.retain(|container| container["restartPolicy"] == "Always");
    }
    let container = &mut spec["containers"][0];
    if let Some(fields) = container.as_object_mut() {
        fields.retain(|field, _| !OF_SERVING.contains(&field.as_str()));
    }
    container["name"] = json!(migration.name);
    set(container, "image", migration.image.as_ref());
    set(container, "command", migration.command.as_ref());
    set(container, "args", migration.args.as_ref());
    if let Some(env) = &migration.env {
        container["env"] = json!(merged(container["env"].as_array(), env.entries()));
    }
    pod
}

/// Both lists of variables, those of `over` in place of those of the same name.
fn merged(under: Option<&Vec<Value>>, over: &[Value]) -> Vec<Value> {
    let kept = under.into_iter().flatten().filter(|one| over.iter().all(|other| other["name"] != one["name"]));
    kept.chain(over).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::application;

    fn job(spec: &Value) -> Value {
        let application = application(spec);
        let template = pod::template(&application, true);
        render(&application, &application.spec.migrations.as_ref().unwrap()[0], &template)
    }

    #[test]
    fn a_migration_runs_in_what_the_application_runs_in() {
        let job = job(&json!({
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "envFrom": [{"secretRef": {"name": "s"}}],
            "command": ["serve"], "args": ["--now"], "readinessProbe": {"tcpSocket": {"port": 80}},
            "initContainers": [{"name": "wait"}, {"name": "proxy", "restartPolicy": "Always"}],
            "podLabels": {"team": "shop"},
            "migrations": [{"name": "schema", "args": ["migrate"], "env": [{"name": "B", "value": "3"}],
                "activeDeadlineSeconds": 60}],
        }));
        let spec = &job["spec"];
        assert_eq!((&spec["backoffLimit"], &spec["activeDeadlineSeconds"]), (&json!(0), &json!(60)));
        let labels =
            json!({"team": "shop", "label": "web.migration", APPLICATION_LABEL: "web", MIGRATION_LABEL: "schema"});
        assert_eq!(spec["template"]["metadata"]["labels"], labels);
        let pod = &spec["template"]["spec"];
        assert_eq!((&pod["restartPolicy"], &pod["securityContext"]["runAsNonRoot"]), (&json!("Never"), &json!(true)));
        assert_eq!(pod["initContainers"].as_array().unwrap().len(), 1);
        let container = &pod["containers"][0];
        assert_eq!((&container["name"], &container["image"]), (&json!("schema"), &json!("nginx:latest")));
        assert_eq!((&container["command"], &container["args"]), (&Value::Null, &json!(["migrate"])));
        assert_eq!(container["env"], json!([{"name": "A", "value": "1"}, {"name": "B", "value": "3"}]));
        assert_eq!(container["envFrom"], json!([{"secretRef": {"name": "s"}}]));
        assert_eq!((&container["ports"], &container["readinessProbe"]), (&Value::Null, &Value::Null));
        assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], "u-1");
    }

    #[test]
    fn another_wish_is_another_job_and_no_name_is_too_long() {
        let of =
            |args: &str| job(&json!({"migrations": [{"name": "schema", "args": [args]}]}))["metadata"]["name"].clone();
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a"), of("b"));
        assert!(of("a").as_str().unwrap().starts_with("web-mig-schema-"));
        let long = job_name(&"a".repeat(52), &"b".repeat(40), "0123456789abcdef");
        assert_eq!(long.len(), LONGEST_NAME);
        assert!(job_name(&"a".repeat(41), "b", "0123456789abcdef").ends_with("a-mig-0123456789abcdef"));
    }
}
