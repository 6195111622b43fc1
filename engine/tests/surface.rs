//! What of other crates the public items of this one name: as little as can be, so that no release of theirs breaks whoever
//! builds on it; and which enums may grow without breaking anybody. Held as a text, since the compiler's own account of a crate
//! is not stable yet.

use std::fs;
use std::path::Path;

/// What may be named, and why.
const ALLOWED: [&str; 11] = [
    "std",
    "core",
    "alloc",
    "crate",
    "self",
    "super",
    // The vocabulary of the seam between the engine and an API server: requests, responses, their bodies, a service.
    "http",
    "http_body_util",
    "bytes",
    "tower",
    // What objects are made of.
    "serde",
];

/// What a single file may name beyond that, and why.
const EXCEPTIONS: [(&str, &str); 7] = [
    // What a credential plugin is told of its cluster is JSON of its own.
    ("config", "serde_json"),
    // A value in a JSON patch, and what is wrong with an answer: the one JSON library that there is.
    ("api", "serde_json"),
    // The socket that probes and metrics are served on is the binary's to open.
    ("transport", "tokio"),
    // What a controller tells people is JSON.
    ("controller", "serde_json"),
    // Spans are taken from the subscriber that the binary has made.
    ("otlp", "tracing_subscriber"),
    ("otlp", "tracing"),
    // Metrics of a binary's own stand beside the engine's in one registry.
    ("metrics", "prometheus_client"),
];

/// Enums that are closed: their cases are all that there can be, so that the compiler asks whoever matches one about each. A
/// further case breaks them on purpose. All others are `#[non_exhaustive]`: see "What may change" in the README.
const CLOSED: [(&str, &str); 13] = [
    // What there can be under a key.
    ("api", "Entry"),
    ("controller", "Seen"),
    // What has become of a write: each asks for another next step, and none may be passed over.
    ("api", "Deleted"),
    ("api", "Finalizer"),
    ("settle", "Settled"),
    // What whoever drives the state machine has to carry out.
    ("watch", "Pause"),
    ("watch", "Request"),
    ("watch", "Transaction"),
    // What whoever answers in place of an API server has to know.
    ("api", "Precondition"),
    ("api", "Start"),
    // Said to the engine, and never by it.
    ("queue", "Verdict"),
    // Kubernetes has no other.
    ("events", "Kind"),
    // Yes and no.
    ("transport", "Repeatable"),
];

/// The public enums of a file, each with whether it may grow.
fn enums(text: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut may_grow = false;
    for line in code(text).lines() {
        let name = line.trim_start().strip_prefix("pub enum ");
        if let Some(name) = name.and_then(|rest| rest.split([' ', '<', '{']).next()) {
            found.push((name.to_owned(), may_grow));
        }
        // Of the attributes that stand directly above.
        may_grow = line.trim_start().starts_with("#[") && (may_grow || line.trim() == "#[non_exhaustive]");
    }
    found
}

/// A name of another crate in a public item.
fn leaks(module: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let imported = imports(&code);
    let allowed = |krate: &str| ALLOWED.contains(&krate) || EXCEPTIONS.contains(&(module, krate));
    let mut leaks = Vec::new();
    for item in public_items(&code) {
        let words =
            item.split(|character: char| !(character.is_alphanumeric() || character == '_' || character == ':'));
        for word in words.filter(|word| !word.is_empty()) {
            let first = word.split("::").next().unwrap_or_default();
            let krate = imported.iter().find(|(name, _)| name == first).map(|(_, krate)| krate.as_str());
            // A path that begins with a crate's name, where the file imports nothing of that name.
            let krate =
                krate.or_else(|| DEPENDENCIES.iter().find(|name| **name == first && word.contains("::")).copied());
            if let Some(krate) = krate.filter(|krate| !allowed(krate)) {
                leaks.push(format!(
                    "{module}: `{word}` is of {krate}, in `{}`",
                    item.lines().next().unwrap_or_default()
                ));
            }
        }
    }
    leaks
}

/// Crates that would be named without an import.
const DEPENDENCIES: [&str; 14] = [
    "hyper",
    "hyper_util",
    "hyper_rustls",
    "rustls",
    "rustls_pemfile",
    "rustls_native_certs",
    "tokio",
    "tracing",
    "jiff",
    "backoff",
    "prometheus_client",
    "serde_json",
    "serde_saphyr",
    "futures_util",
];

/// Text without comments, and without its tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| line.split(" // ").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Each name that the file imports, and the crate that it is of.
fn imports(code: &str) -> Vec<(String, String)> {
    let mut names = Vec::new();
    for (start, _) in code.match_indices("use ") {
        let is_statement = code[..start].ends_with('\n') || code[..start].ends_with(' ') || start == 0;
        let Some(end) = code[start..].find(';').filter(|_| is_statement) else { continue };
        let path = &code[start + 4..start + end];
        let krate = path.trim_start_matches("::").split("::").next().unwrap_or_default().trim();
        if matches!(krate, "crate" | "self" | "super" | "std") {
            continue;
        }
        for leaf in path.split(['{', '}', ',']) {
            let leaf = leaf.trim().rsplit(" as ").next().unwrap_or_default();
            let name = leaf.rsplit("::").next().unwrap_or_default().trim();
            if !name.is_empty() && name != "_" && name != "self" {
                names.push((name.to_owned(), krate.to_owned()));
            }
        }
    }
    names
}

/// The public items without the bodies of functions; structs and enums as a whole, without their private fields.
fn public_items(code: &str) -> Vec<String> {
    let mut items = Vec::new();
    let lines: Vec<&str> = code.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        let item = line.trim_start();
        if !item.starts_with("pub ") || item.starts_with("pub mod ") {
            continue;
        }
        let indent = line.len() - item.len();
        if item.starts_with("pub enum ") {
            let end = lines[number..].iter().position(|line| *line == format!("{}}}", " ".repeat(indent)));
            items.push(lines[number..=number + end.unwrap_or(0)].join("\n"));
            continue;
        }
        let mut text = String::new();
        for line in &lines[number..] {
            text.push_str(line);
            text.push('\n');
            if line.trim_end().ends_with(['{', ';', ',', '}']) && text.matches('(').count() == text.matches(')').count()
            {
                break;
            }
        }
        // What comes after the brace of a function that stands on one line is its body.
        items.push(text.split(" { ").next().unwrap_or_default().trim().to_owned());
    }
    items
}

/// Calls `look` with the module and the text of each file that is no test.
fn walk(folder: &Path, root: &Path, look: &mut dyn FnMut(&str, &str)) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let path = entry.strip_prefix(root).expect("below the root").with_extension("");
        if entry.is_dir() {
            walk(&entry, root, look);
        } else if entry.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests") {
            let module = path.iter().next().and_then(|step| step.to_str()).unwrap_or_default();
            let text = fs::read_to_string(&entry).expect("text");
            look(module, &text);
        }
    }
}

#[test]
fn public_items_name_no_other_crate_but_those_that_the_seam_and_the_objects_are_made_of() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut |module, text| found.extend(leaks(module, text)));
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn each_public_enum_may_grow_or_is_closed_for_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut closed, mut open) = (Vec::new(), 0);
    walk(&root, &root, &mut |module, text| {
        for (name, may_grow) in enums(text) {
            if may_grow { open += 1 } else { closed.push((module.to_owned(), name)) }
        }
    });
    closed.sort();
    let mut expected = CLOSED.map(|(module, name)| (module.to_owned(), name.to_owned()));
    expected.sort();
    assert_eq!(closed, expected, "left: those without #[non_exhaustive]; right: those that are meant to be");
    assert!(open > 20, "enums are found: {open}");
}

#[test]
fn an_enum_may_grow_if_its_own_attributes_say_so() {
    let text = "#[derive(Debug)]\n#[non_exhaustive]\npub enum A {\n    B,\n}\n\n/// C.\n#[derive(Debug)]\npub enum C<T> {\n}\n\
        #[non_exhaustive]\npub struct D;\npub enum E {\n}\n";
    let expected = [("A".to_owned(), true), ("C".to_owned(), false), ("E".to_owned(), false)];
    assert_eq!(enums(text), expected);
}

#[test]
fn a_leak_is_found_in_every_kind_of_item() {
    for text in [
        "use hyper::Error as Broken;\npub fn f() -> Result<(), Broken> {\n}\n",
        "use hyper::{body::Incoming, client};\n\npub struct A {\n    pub body: Incoming,\n}\n",
        "use tokio::sync::watch;\npub enum B {\n    C(watch::Sender<u8>),\n}\n",
        "pub type D = hyper_util::rt::TokioIo<u8>;\n",
        "use k8s_openapi::api::core::v1::Pod;\npub fn i(pod: &Pod) {\n}\n",
        "use jiff::Timestamp;\nimpl A {\n    pub fn g(\n        &self,\n        at: Timestamp,\n    ) {\n    }\n}\n",
    ] {
        assert_eq!(leaks("object", text).len(), 1, "{text}");
    }
}

#[test]
fn what_is_private_or_allowed_is_no_leak() {
    for text in [
        "use hyper::Error;\nfn f() -> Error {\n}\npub fn g() {\n    let a: Error = f();\n}\n",
        "use tokio::sync::mpsc;\npub struct A {\n    sender: mpsc::Sender<u8>,\n}\n",
        "use http::Request;\npub fn h(request: Request<bytes::Bytes>) {\n}\n",
    ] {
        assert_eq!(leaks("object", text), [""; 0], "{text}");
    }
}
