//! Lays out the engine's files for `lib.rs`: as they are, and in copies that are broken on purpose.
//!
//! They are built with the cfg `engine_loom`, which is set here, so that nothing else has to be built anew for it.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The files that take part, and what they are called here.
const FILES: [(&str, &str); 6] = [
    ("object.rs", "object.rs"),
    ("object/map.rs", "object/map.rs"),
    ("backoff.rs", "backoff.rs"),
    ("sync.rs", "sync.rs"),
    // Of the module `trigger`, what knows nothing of caches.
    ("trigger/cause.rs", "trigger.rs"),
    ("queue.rs", "queue.rs"),
];

/// Names of copies, what is found in them once, and what is put in its place.
const BROKEN: [(&str, &str, &str); 2] = [
    // Lets go of the lock between a look for a key and the place among those who wait.
    (
        "looks_then_waits",
        "let (ticket, unused) = state.takers.enter(",
        "drop(state);\n        let mut state = queue.lock();\n        let (ticket, unused) = state.takers.enter(",
    ),
    // Keeps to itself that a key is ready when it gives up.
    ("gives_up_silently", "if unused.is_some() || state.core.ready() == 0 {", "if true {"),
];

fn main() {
    println!("cargo::rustc-check-cfg=cfg(engine_loom)");
    println!("cargo::rustc-cfg=engine_loom");
    println!("cargo::rerun-if-changed=build.rs");
    let engine = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says")).join("../src");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says"));

    let sound = out.join("sound");
    for (from, to) in FILES {
        copy(&engine.join(from), &sound.join(to), &mut |text| text);
    }
    copy_queue(&engine, &sound, &mut |text| text);
    let roots = FILES.iter().map(|(_, to)| to).filter(|to| !to.contains('/'));
    let modules: String = roots.map(|to| format!("pub mod {};\n", to.trim_end_matches(".rs"))).collect();
    let mut root = module(&sound, "sound", &modules);

    for (name, find, replace) in BROKEN {
        let folder = out.join(name);
        let mut found = 0;
        let mut breaking = |text: String| {
            found += text.matches(find).count();
            text.replace(find, replace)
        };
        copy(&engine.join("queue.rs"), &folder.join("queue.rs"), &mut breaking);
        copy_queue(&engine, &folder, &mut breaking);
        assert_eq!(found, 1, "{find:?} has to stand in the queue once");
        root += &module(&folder, name, "pub mod queue;\n");
    }
    fs::write(out.join("root.rs"), root).expect("the folder is there");
}

/// The files below `queue/`, without their tests.
fn copy_queue(engine: &Path, to: &Path, change: &mut dyn FnMut(String) -> String) {
    for entry in fs::read_dir(engine.join("queue")).expect("it is there").flatten() {
        let path = entry.path();
        if path.is_file() && path.file_name() != Some("tests.rs".as_ref()) {
            copy(&path, &to.join("queue").join(entry.file_name()), change);
        }
    }
}

fn copy(from: &Path, to: &Path, change: &mut dyn FnMut(String) -> String) {
    println!("cargo::rerun-if-changed={}", from.display());
    let text = fs::read_to_string(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    fs::create_dir_all(to.parent().expect("it is in a folder")).expect("a folder for the copy");
    fs::write(to, change(text)).expect("the folder is there");
}

/// Writes the file of a module that has `modules`, and returns its declaration.
fn module(folder: &Path, name: &str, modules: &str) -> String {
    let file = folder.join("mod.rs");
    fs::write(&file, modules).expect("the folder is there");
    format!("/// Laid out by `build.rs`.\n#[path = {file:?}]\npub mod {name};\n")
}
