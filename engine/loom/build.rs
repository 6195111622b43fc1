//! Lays out the engine's files for `lib.rs`: as they are, and in copies that are broken on purpose.
//!
//! They are built with the cfg `engine_loom`, which is set here, so that nothing else has to be built anew for it.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The files of the engine that take part, and what they are called here. A folder brings all that is in it, but for tests.
const FILES: [(&str, &str); 15] = [
    ("object.rs", "object.rs"),
    ("object", "object"),
    ("backoff.rs", "backoff.rs"),
    ("sync.rs", "sync.rs"),
    ("frame.rs", "frame.rs"),
    // Of the module `api`, what knows nothing of sockets.
    ("api/decode.rs", "api/decode.rs"),
    ("api/error.rs", "api/error.rs"),
    ("api/selector.rs", "api/selector.rs"),
    ("watch.rs", "watch.rs"),
    ("watch", "watch"),
    ("store.rs", "store.rs"),
    ("store", "store"),
    // Of the module `trigger`, what knows nothing of caches.
    ("trigger/cause.rs", "trigger.rs"),
    ("queue.rs", "queue.rs"),
    ("queue", "queue"),
];

/// Files of this crate in place of the engine's, and what they are called here.
const STAND_INS: [(&str, &str); 3] =
    [("api.rs", "api.rs"), ("transport.rs", "transport.rs"), ("watched.rs", "watched.rs")];

/// The modules that these make, those that come first in the engine first.
const MODULES: [&str; 11] =
    ["object", "backoff", "watched", "sync", "transport", "frame", "api", "watch", "store", "trigger", "queue"];

/// Names of copies of a module, what is found in them once, and what is put in its place.
const BROKEN: [(&str, &str, &str, &str); 7] = [
    // Lets go of the lock between a look for a key and the place among those who wait.
    (
        "looks_then_waits",
        "queue",
        "let (ticket, unused) = state.takers.enter(",
        "drop(state);\n        let mut state = queue.lock();\n        let (ticket, unused) = state.takers.enter(",
    ),
    // Keeps to itself that a key is ready when it gives up.
    ("gives_up_silently", "queue", "if unused.is_some() || state.core.ready() == 0 {", "if true {"),
    // Looks whether the first list is there, and then begins to wait for it.
    (
        "looks_then_subscribes",
        "store",
        "let _ = part.synced.subscribe().wait_for(|synced| *synced).await;",
        "if !*part.synced.borrow() {\n                let _ = part.synced.subscribe().changed().await;\n            }",
    ),
    // Says that the first list is there before it is.
    (
        "promises_too_early",
        "store",
        "let (former, shells) = {",
        "self.part.synced.send_replace(true);\n        let (former, shells) = {",
    ),
    // Puts the indexes that it knew of in place of those that there are.
    ("forgets_an_index", "store", "objects.take_if(|_| indexes.are_those_of(&state.indexes))", "objects.take()"),
    // Reads an index that somebody else has only begun to build.
    (
        "trusts_a_begun_index",
        "store",
        "self.0.get(&TypeId::of::<I>()).is_some_and(|held| held.is_complete)",
        "self.0.contains_key(&TypeId::of::<I>())",
    ),
    // Keeps an own write although the stream has passed it.
    ("leaves_a_ghost", "store", "let is_passed = self.has_passed(&version);", "let is_passed = false;"),
];

fn main() {
    println!("cargo::rustc-check-cfg=cfg(engine_loom)");
    println!("cargo::rustc-cfg=engine_loom");
    println!("cargo::rerun-if-changed=build.rs");
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says"));
    let engine = here.join("../src");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says"));

    let sound = out.join("sound");
    for (from, to) in FILES {
        copy(&engine.join(from), &sound.join(to), &mut |text| text);
    }
    for (from, to) in STAND_INS {
        copy(&here.join("stand_in").join(from), &sound.join(to), &mut |text| text);
    }
    let modules = MODULES.map(|name| format!("pub mod {name};\n")).concat();
    let mut root = module(&sound, "sound", &modules);

    for (name, of, find, replace) in BROKEN {
        let folder = out.join(name);
        let mut found = 0;
        let mut breaking = |text: String| {
            found += text.matches(find).count();
            text.replace(find, replace)
        };
        for (from, to) in FILES.iter().filter(|(from, _)| from.split(['.', '/']).next() == Some(of)) {
            copy(&engine.join(from), &folder.join(to), &mut breaking);
        }
        assert_eq!(found, 1, "{find:?} has to stand in the {of} once");
        root += &module(&folder, name, &format!("pub mod {of};\n"));
    }
    fs::write(out.join("root.rs"), root).expect("the folder is there");
}

/// Copies a file, or the files of a folder.
fn copy(from: &Path, to: &Path, change: &mut dyn FnMut(String) -> String) {
    println!("cargo::rerun-if-changed={}", from.display());
    if from.is_dir() {
        for entry in fs::read_dir(from).expect("it is there").flatten() {
            let path = entry.path();
            if path.is_file() && path.file_name() != Some("tests.rs".as_ref()) {
                copy(&path, &to.join(entry.file_name()), change);
            }
        }
        return;
    }
    let text = fs::read_to_string(from).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    fs::create_dir_all(to.parent().expect("it is in a folder")).expect("a folder for the copy");
    fs::write(to, change(text)).expect("the folder is there");
}

/// Writes the file of a module that has `modules`, and returns its declaration.
fn module(folder: &Path, name: &str, modules: &str) -> String {
    let file = folder.join("mod.rs");
    fs::write(&file, modules).expect("the folder is there");
    // Not all of it is used here.
    format!("/// Laid out by `build.rs`.\n#[allow(dead_code, unused_imports)]\n#[path = {file:?}]\npub mod {name};\n")
}
