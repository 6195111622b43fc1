//! The files in `crds/` are what the types say, what a cluster accepts, and no more than is needed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use application_operator::application::ApplicationSpec;
use application_operator::manifests::{self, IMAGE, Manifest};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn objects() -> Vec<Value> {
    manifests::all(IMAGE).into_iter().flat_map(|manifest| manifest.objects).collect()
}

fn of_kind(kind: &str) -> Vec<Value> {
    objects().into_iter().filter(|object| object["kind"] == kind).collect()
}

fn documents(yaml: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(yaml).expect("documents in YAML")
}

#[test]
fn committed_files_are_what_is_generated() {
    let crds = Path::new(ROOT).join("crds");
    let mut expected = BTreeSet::new();
    for manifest in manifests::all(IMAGE) {
        let committed = fs::read_to_string(crds.join(manifest.file)).unwrap_or_default();
        assert!(
            committed == manifest.yaml().unwrap(),
            "{} is stale: run `cargo run -- manifests --output-dir crds`",
            manifest.file
        );
        expected.insert(manifest.file.to_owned());
    }
    let found: BTreeSet<_> =
        fs::read_dir(crds).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, expected, "crds/ holds what deploys the operator and nothing else");
}

#[test]
fn the_reference_is_what_the_types_say() {
    let kept = fs::read_to_string(Path::new(ROOT).join("docs/reference.md")).expect("`make manifests` writes it");
    assert!(kept == manifests::reference::markdown(), "docs/reference.md is stale: run `make manifests`");
}

#[test]
fn files_stand_in_the_order_in_which_they_are_applied() {
    let files: Vec<_> = manifests::all(IMAGE).iter().map(|manifest| manifest.file).collect();
    assert!(files.is_sorted(), "{files:?}");
    let kinds: Vec<_> = objects().iter().map(|object| object["kind"].clone()).collect();
    assert_eq!(
        kinds,
        [
            "Namespace",
            "CustomResourceDefinition",
            "ServiceAccount",
            "ClusterRole",
            "ClusterRoleBinding",
            "ClusterRole",
            "ClusterRole",
            "Role",
            "RoleBinding",
            "Deployment",
            "PodDisruptionBudget"
        ]
    );
}

#[test]
fn yaml_says_what_the_objects_say() {
    for manifest in manifests::all(IMAGE) {
        assert_eq!(documents(&manifest.yaml().unwrap()), manifest.objects, "{}", manifest.file);
    }
    let mut printed = Vec::new();
    manifests::print(&manifests::all(IMAGE), &mut printed).unwrap();
    assert_eq!(documents(&String::from_utf8(printed).unwrap()), objects());
}

#[test]
fn text_that_older_yaml_takes_for_something_else_is_quoted() {
    for text in ["yes", "on", "y", "null", "~", "1", "0x1f", "1:30", "1e3", "2026-01-02", "", "-"] {
        let manifest = Manifest { file: "x", objects: vec![json!({ "key": text })] };
        let yaml = manifest.yaml().unwrap();
        assert!(yaml == format!("key: \"{text}\"\n") || yaml == format!("key: '{text}'\n"), "{yaml}");
    }
}

#[test]
fn every_field_is_one_that_kubernetes_knows() {
    fn survives<T: DeserializeOwned + Serialize>(object: &Value) {
        let typed: T = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(whole_numbers(serde_json::to_value(typed).unwrap()), *object);
    }
    for object in objects() {
        match object["kind"].as_str().unwrap() {
            "Namespace" => survives::<Namespace>(&object),
            "CustomResourceDefinition" => survives::<CustomResourceDefinition>(&object),
            "ServiceAccount" => survives::<ServiceAccount>(&object),
            "ClusterRole" => survives::<ClusterRole>(&object),
            "ClusterRoleBinding" => survives::<ClusterRoleBinding>(&object),
            "Role" => survives::<Role>(&object),
            "RoleBinding" => survives::<RoleBinding>(&object),
            "Deployment" => survives::<Deployment>(&object),
            "PodDisruptionBudget" => survives::<PodDisruptionBudget>(&object),
            kind => panic!("{kind} is not looked at"),
        }
    }
}

/// `minimum` and `maximum` are floats in Kubernetes' types: 1.0 there is 1 here.
fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, field)| (name, whole_numbers(field))).collect(),
        Value::Number(number) if number.is_f64() => {
            format!("{number}").trim_end_matches(".0").parse().map_or(Value::Null, Value::Number)
        }
        other => other,
    }
}

#[test]
fn the_schema_holds_every_rule() {
    let crd = &of_kind("CustomResourceDefinition")[0];
    let version = &crd["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let spec = &schema["properties"]["spec"];
    assert_eq!(spec["required"], json!(["image"]));
    let field = |name: &str| {
        let mut field = spec["properties"][name].clone();
        let text = field.as_object_mut().unwrap().remove("description");
        assert!(text.is_some(), "{name} is described");
        field
    };
    assert_eq!(
        field("image"),
        json!({
            "type": "string",
            "minLength": 1,
            "maxLength": 520,
            "x-kubernetes-validations": [{
                "rule": "!self.matches('[[:space:]]')",
                "message": "must be an image reference without spaces, such as nginx:1.29",
            }],
        })
    );
    assert_eq!(
        field("replicas"),
        json!({
            "type": "integer", "format": "int32", "minimum": 0, "maximum": 10000, "default": 1,
        })
    );
    assert_eq!(field("port"), json!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 65535 }));
    let rules = schema["x-kubernetes-validations"].as_array().unwrap();
    let at_creation = [
        "has(self.spec)",
        "self.metadata.name.size() <= 52",
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    ];
    for (rule, expected) in rules.iter().zip(at_creation) {
        assert_eq!(rule["rule"], format!("oldSelf.hasValue() || {expected}"));
    }
    assert_eq!(rules.len(), at_creation.len() + 1, "and one of the names of init containers");
    assert!(rules.iter().all(|rule| rule["optionalOldSelf"] == true), "{rules:#?}");
    assert_eq!(schema.get("required"), None, "it would bind objects from before the schema");

    let status = &schema["properties"]["status"];
    assert_eq!(status.get("required"), None);
    assert_eq!(status.get("default"), None);
    assert_eq!(status["properties"]["conditions"]["x-kubernetes-list-type"], "map");
    assert_eq!(status["properties"]["conditions"]["x-kubernetes-list-map-keys"], json!(["type"]));
    assert_eq!(version["subresources"]["status"], json!({}));
    assert_eq!(version["subresources"]["scale"]["specReplicasPath"], ".spec.replicas");
    let columns: Vec<_> = version["additionalPrinterColumns"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|column| column.get("priority").is_none())
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["Ready", "Reason", "Replicas", "Image", "Age"]);
}

#[test]
fn the_schema_is_structural() {
    fn check(path: &str, schema: &Value) {
        for foreign in ["$ref", "$schema", "$defs", "definitions", "title", "nullable", "anyOf"] {
            assert_eq!(schema.get(foreign), None, "{foreign} at {path}");
        }
        if schema["x-kubernetes-int-or-string"] == true {
            assert_eq!(schema.get("type"), None, "either at {path}");
            return;
        }
        let kind = schema["type"].as_str().unwrap_or_else(|| panic!("a type at {path}"));
        if kind == "integer" {
            assert!(schema["format"].is_string(), "a format at {path}");
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            check(&format!("{path}.{name}"), field);
        }
        for below in ["items", "additionalProperties"] {
            if let Some(schema) = schema.get(below) {
                check(&format!("{path}[]"), schema);
            }
        }
    }
    let crd = &of_kind("CustomResourceDefinition")[0];
    check("", &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
}

#[test]
fn everything_that_users_write_is_bounded() {
    fn check(path: &str, schema: &Value) {
        let bounds: &[&str] = match schema["type"].as_str() {
            Some("string") => &["maxLength", "enum", "format"],
            Some("array") => &["maxItems"],
            Some("object") if schema.get("additionalProperties").is_some() => &["maxProperties"],
            None if schema["x-kubernetes-int-or-string"] == true => &["maxLength"],
            _ => &[],
        };
        assert!(bounds.is_empty() || bounds.iter().any(|bound| schema.get(*bound).is_some()), "{path} has no bound");
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            check(&format!("{path}.{name}"), field);
        }
        for below in ["items", "additionalProperties"] {
            if let Some(schema) = schema.get(below) {
                check(&format!("{path}[]"), schema);
            }
        }
    }
    let crd = &of_kind("CustomResourceDefinition")[0];
    let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    check("spec", spec);
    for (name, field) in spec["properties"].as_object().unwrap() {
        assert!(field["description"].is_string(), "{name} is described");
    }
}

#[test]
fn the_crd_fits_into_the_annotation_of_a_client_side_apply() {
    // The API server's limit on all annotations together.
    const LIMIT: usize = 256 * 1024;
    let compact = serde_json::to_string(&of_kind("CustomResourceDefinition")[0]).unwrap();
    assert!(compact.len() < LIMIT, "{}", compact.len());
}

#[test]
fn no_rule_of_a_role_is_wide() {
    for role in [of_kind("ClusterRole"), of_kind("Role")].concat() {
        for rule in role["rules"].as_array().unwrap() {
            let text = rule.to_string();
            for wide in ["*", "secrets", "escalate", "bind", "impersonate", "roles"] {
                assert!(!text.contains(&format!("\"{wide}\"")), "{wide} in {text}");
            }
            assert!(
                !text.contains("\"pods\"") || rule["verbs"] == json!(["list", "watch"]),
                "pods are looked at: {text}"
            );
            let ours = role["metadata"]["name"] == "application-operator";
            // Children alone, whose owners can't be set without it.
            let child =
                ["apps", "policy", "autoscaling", "batch", "networking"].iter().any(|group| text.contains(group))
                    || text.contains("services");
            assert!(!ours || !text.contains("delete") || child && !text.contains("deletecollection"), "{text}");
        }
    }
}

#[test]
fn secrets_are_read_only_where_somebody_asks_for_it() {
    let all = manifests::all_with(IMAGE, true);
    assert!(all.is_sorted_by_key(|manifest| manifest.file));
    let others: Vec<_> = all.iter().filter(|manifest| manifest.file != "33-secrets-role.yaml").collect();
    let role = all.iter().find(|manifest| manifest.file == "33-secrets-role.yaml").unwrap();
    assert_eq!(
        role.objects[0]["rules"],
        json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]}])
    );
    assert_eq!(role.objects[1]["roleRef"]["name"], role.objects[0]["metadata"]["name"]);
    let differing = others.iter().zip(manifests::all(IMAGE)).filter(|(with, without)| ***with != *without);
    assert_eq!(differing.map(|(with, _)| with.file).collect::<Vec<_>>(), ["40-deployment.yaml"]);
    let args = &others.last().unwrap().objects[0]["spec"]["template"]["spec"]["containers"][0]["args"];
    assert_eq!(args.as_array().unwrap().last(), Some(&json!("--watch-secrets")));
}

#[test]
fn the_operator_keeps_the_rules_of_the_namespace_it_stands_in() {
    let namespace = &of_kind("Namespace")[0];
    assert_eq!(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
    let deployment = &of_kind("Deployment")[0];
    assert_eq!(deployment["metadata"]["namespace"], namespace["metadata"]["name"]);
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0];
    assert_eq!(container["image"], IMAGE);
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["capabilities"]["drop"], json!(["ALL"]));
}

#[test]
fn a_replica_stands_by_and_is_neither_evicted_nor_replaced_together_with_the_other() {
    let (deployment, budget) = (&of_kind("Deployment")[0], &of_kind("PodDisruptionBudget")[0]);
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    assert_eq!(budget["spec"]["selector"], deployment["spec"]["selector"]);
    let spread = &deployment["spec"]["template"]["spec"]["topologySpreadConstraints"][0];
    assert_eq!(spread["whenUnsatisfiable"], "ScheduleAnyway", "one node is enough");
    assert_eq!(spread["labelSelector"], deployment["spec"]["selector"]);
}

#[test]
fn the_lease_is_the_operators_own_and_no_other_is_read() {
    let role = &of_kind("Role")[0];
    assert_eq!(role["metadata"]["namespace"], manifests::NAMESPACE);
    for rule in role["rules"].as_array().unwrap() {
        assert_eq!(rule["resources"], json!(["leases"]));
        assert!(
            rule["verbs"] == json!(["create"]) || rule["resourceNames"] == json!(["application-operator"]),
            "{rule}"
        );
    }
}

#[test]
fn the_operator_is_started_with_arguments_that_it_knows() {
    let deployment = &of_kind("Deployment")[0];
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let words: Vec<String> = serde_json::from_value(container["args"].clone()).unwrap();
    let all = std::iter::once("application-operator".to_owned()).chain(words);
    application_operator::args::parse(all).unwrap();
}

#[test]
fn the_sample_is_an_application() {
    let sample = fs::read_to_string(Path::new(ROOT).join("samples/application.yaml")).unwrap();
    let application = &documents(&sample)[1];
    assert_eq!(application["apiVersion"], "minetto.dev/v1alpha1");
    let spec: ApplicationSpec = serde_json::from_value(application["spec"].clone()).unwrap();
    assert_eq!(
        spec,
        ApplicationSpec { image: "nginx:latest".into(), replicas: 2, port: Some(80), ..ApplicationSpec::default() }
    );
}

#[test]
fn the_binary_prints_and_writes_the_same() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manifests");
    let run = |words: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_application-operator")).arg("manifests").args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let image = "registry.example/operator:2";
    let printed = run(&["--image", image]);
    assert!(run(&["--image", image, "--output-dir", dir.to_str().unwrap()]).is_empty());
    let mut written = String::new();
    for manifest in manifests::all(image) {
        written += "---\n";
        written += &fs::read_to_string(dir.join(manifest.file)).unwrap();
    }
    assert_eq!(printed, written);
    assert!(printed.contains(image) && !printed.contains(IMAGE));
}
