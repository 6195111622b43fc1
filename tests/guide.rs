//! The user guide, applied as it stands.

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{World, install_gateway_api, reason};

/// The YAML blocks of the guide, with the page that each stands on.
fn blocks() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide");
    let mut blocks = Vec::new();
    for page in fs::read_dir(folder).expect("the guide").flatten() {
        let text = fs::read_to_string(page.path()).expect("a page");
        let yaml = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
        blocks.extend(yaml.map(|yaml| (page.file_name().to_string_lossy().into_owned(), yaml.to_owned())));
    }
    blocks
}

#[test]
fn every_example_of_the_guide_is_taken_up_and_rolled_out() {
    let Some(world) = World::shared().filter(|_| testbed::has_kubectl()) else { return };
    let space = world.space("guide");
    world.label_nodes();
    let flags = ["--namespace", "guide", "--allow-volumes=emptyDir", "--allow-service-accounts"];
    let _operator = world.operator(&flags);
    let mut blocks = blocks();
    if !install_gateway_api(world) {
        blocks.retain(|(_, yaml)| !yaml.contains("parentRefs"));
    }
    assert!(blocks.len() >= 8, "there are examples");
    let mut names = Vec::new();
    for (page, yaml) in &blocks {
        let file = world.cluster.folder().join("guide.yaml");
        fs::write(&file, yaml).expect("a file in the cluster's folder");
        // What is unknown or doubled is an error.
        let apply = ["apply", "--validate=strict", "-f", file.to_str().expect("a path in UTF-8")];
        let said = space.kubectl(&apply);
        assert!(!said.contains("Warning"), "{page}: {said}");
        let objects = serde_saphyr::from_multiple::<Value>(yaml).expect("YAML");
        for object in objects.iter().filter(|object| object["kind"] == "Application") {
            names.push(object["metadata"]["name"].as_str().expect("a name").to_owned());
        }
    }
    for name in names {
        let seen = space.wait_for_status(&name, "to be ready", |seen| reason(seen, "Ready").0 == "True");
        assert_eq!(reason(&seen, "Degraded").0, "False");
    }
}
