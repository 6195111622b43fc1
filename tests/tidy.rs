//! What holds of the source as a text: headers, the direction of imports, who may name what, what pure means, sizes.

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;

use std::path::Path;
use std::sync::LazyLock;

use self::tree::File;

static TREE: LazyLock<Vec<File>> = LazyLock::new(|| tree::read(Path::new(env!("CARGO_MANIFEST_DIR"))));

#[track_caller]
fn holds(rule: fn(&[File]) -> Vec<String>) {
    let complaints = rule(&TREE);
    assert!(complaints.is_empty(), "\n\n{}\n", complaints.join("\n"));
}

#[test]
fn there_is_a_tree_to_look_at() {
    for path in ["Cargo.toml", "engine/src/lib.rs", "src/lib.rs", "tests/tidy.rs"] {
        assert!(TREE.iter().any(|file| file.path == path), "{path}");
    }
}

#[test]
fn every_rust_file_begins_by_saying_what_it_is() {
    holds(rules::headers);
}

#[test]
fn imports_point_upstream() {
    holds(rules::directions);
}

#[test]
fn only_the_transport_names_what_talks_to_sockets() {
    holds(rules::names);
}

#[test]
fn the_engine_has_never_heard_of_the_operator() {
    holds(rules::strangers);
}

#[test]
fn what_is_called_pure_neither_waits_nor_logs_nor_reads_a_clock() {
    holds(rules::purity);
}

#[test]
fn files_are_short() {
    holds(rules::sizes);
}

#[test]
fn nothing_is_left_for_later() {
    holds(rules::leftovers);
}

#[test]
fn no_file_names_a_path_of_somebodys_machine() {
    holds(rules::paths);
}

#[test]
fn links_and_paths_in_documents_lead_somewhere() {
    holds(documents::links);
}

#[test]
fn the_architectures_tables_name_every_module_in_its_place() {
    holds(documents::tables);
}
