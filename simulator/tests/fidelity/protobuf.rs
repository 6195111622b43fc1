//! The definitions of the built-in types in protobuf, as the real server's modules have them → `schemas/protobuf.json`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What clients send: the kinds that the simulator has, reviews, and how to delete.
const ROOTS: [&str; 22] = [
    "k8s.io.api.apps.v1.ControllerRevision",
    "k8s.io.api.apps.v1.Deployment",
    "k8s.io.api.apps.v1.ReplicaSet",
    "k8s.io.api.authentication.v1.SelfSubjectReview",
    "k8s.io.api.authorization.v1.SelfSubjectAccessReview",
    "k8s.io.api.authorization.v1.SelfSubjectRulesReview",
    "k8s.io.api.autoscaling.v1.Scale",
    "k8s.io.api.autoscaling.v2.HorizontalPodAutoscaler",
    "k8s.io.api.batch.v1.Job",
    "k8s.io.api.coordination.v1.Lease",
    "k8s.io.api.core.v1.ConfigMap",
    "k8s.io.api.core.v1.Event",
    "k8s.io.api.core.v1.Namespace",
    "k8s.io.api.core.v1.Pod",
    "k8s.io.api.core.v1.Secret",
    "k8s.io.api.core.v1.Service",
    "k8s.io.api.core.v1.ServiceAccount",
    "k8s.io.api.discovery.v1.EndpointSlice",
    "k8s.io.api.events.v1.Event",
    "k8s.io.api.networking.v1.Ingress",
    "k8s.io.api.policy.v1.PodDisruptionBudget",
    "k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions",
];

/// Those that read themselves.
const SPECIAL: [&str; 6] = ["FieldsV1", "IntOrString", "MicroTime", "Quantity", "RawExtension", "Time"];

/// Those that are no structs.
const PLAIN: [&str; 5] = ["string", "bytes", "bool", "int32", "int64"];

/// The modules with the definitions, and how the packages in them begin.
const MODULES: [(&str, &str); 2] = [("k8s.io/api", "k8s.io.api."), ("k8s.io/apimachinery", "k8s.io.apimachinery.")];

/// Fields of a message: number, name, type with its form.
type Fields = BTreeMap<u64, (String, String, String)>;

/// The file, a type a line; nothing, said loudly, where there is no Go to ask for the modules.
pub(crate) fn render() -> Option<String> {
    let modules = MODULES.map(|(module, prefix)| (prefix, folder(module)));
    if modules.iter().any(|(_, folder)| folder.is_none()) {
        eprintln!("LEFT OUT: fidelity: the numbers of fields need Go's modules, and there is no Go");
        return None;
    }
    let published = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/builtin.json"));
    let published: Value = serde_json::from_str(&published.expect("the schemas")).expect("JSON");
    let mut packages: BTreeMap<String, BTreeMap<String, Fields>> = BTreeMap::new();
    let (mut types, mut wanted) = (BTreeMap::new(), ROOTS.map(str::to_owned).to_vec());
    while let Some(full) = wanted.pop() {
        let (package, name) = full.rsplit_once('.').expect("a package");
        if SPECIAL.contains(&name) {
            continue;
        }
        let Entry::Vacant(entry) = types.entry(short(&full)) else { continue };
        let messages = packages.entry(package.to_owned()).or_insert_with(|| {
            let (prefix, folder) = modules.iter().find(|(prefix, _)| package.starts_with(prefix)).expect("a module");
            let path = package[prefix.len()..].replace('.', "/");
            read(&folder.as_ref().expect("a folder").join(path).join("generated.proto"))
        });
        let properties = &published[short(&full)]["properties"];
        let line = messages[name].iter().map(|(number, (name, form, of))| {
            let of = match of.strip_prefix('.') {
                _ if PLAIN.contains(&of.as_str()) => of.clone(),
                Some(full) => full.to_owned(),
                None => format!("{package}.{of}"),
            };
            let is_plain = PLAIN.contains(&of.as_str());
            // What JSON does not have stands in its place.
            let is_inline = !is_plain && properties.is_object() && properties.get(name).is_none();
            let name = if is_inline { "..." } else { name };
            let text = format!("\"{number}\":\"{name} {form}{}\"", if is_plain { of.clone() } else { short(&of) });
            if !is_plain {
                wanted.push(of);
            }
            text
        });
        let line = line.collect::<Vec<_>>().join(",");
        entry.insert(line);
    }
    let lines: Vec<String> = types.iter().map(|(name, fields)| format!("{name:?}:{{{fields}}}")).collect();
    Some(format!("{{\n{}\n}}\n", lines.join(",\n")))
}

/// Where Go keeps a module that the control plane is built from.
fn folder(module: &str) -> Option<PathBuf> {
    let plane = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster/control-plane");
    let asked = Command::new("go").args(["list", "-m", "-f", "{{.Dir}}", module]).current_dir(plane).output().ok()?;
    let folder = String::from_utf8(asked.stdout).ok()?.trim().to_owned();
    (asked.status.success() && !folder.is_empty()).then(|| folder.into())
}

/// A type's name without its package, but for those that would be two of the same name.
fn short(full: &str) -> String {
    let last = full.rsplit('.').next().unwrap_or(full);
    if full.contains(".events.") { format!("events.{last}") } else { last.to_owned() }
}

/// The messages of a file.
fn read(file: &Path) -> BTreeMap<String, Fields> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (mut messages, mut current) = (BTreeMap::new(), String::new());
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        if let Some(rest) = line.strip_prefix("message ") {
            rest.trim_end_matches(['{', ' ']).clone_into(&mut current);
            messages.insert(current.clone(), Fields::new());
        } else if line == "}" {
            current.clear();
        } else if let Some(fields) = messages.get_mut(&current)
            && let Some((declared, number)) = line.strip_suffix(';').and_then(|line| line.split_once(" = "))
        {
            fields.insert(number.parse().expect("a number"), field(declared));
        }
    }
    messages
}

/// `optional string name`, `repeated Container containers`, `map<string, bytes> data`.
fn field(declared: &str) -> (String, String, String) {
    let (rest, name) = declared.rsplit_once(' ').expect("a name");
    let (form, of) = match rest.split_once(' ').expect("a type") {
        ("repeated", of) => ("[]", of),
        ("optional", of) => ("", of),
        ("map<string,", of) => ("{}", of.trim_end_matches('>')),
        _ => panic!("{declared}"),
    };
    (name.to_owned(), form.to_owned(), of.to_owned())
}
