//! What the operator renders for a corpus of Applications, held still: a change of a pod template restarts pods.
//!
//! `tests/golden/<name>.yaml` is an Application; `tests/golden/<release>/<name>.json` is what that release made of it. The
//! present release's files have to match as a whole; of earlier ones, the pod template has to, unless [`RESTARTS`] says
//! why not. With `GOLDEN=write` in the environment, the present release's files are written anew.

use std::fs;
use std::path::{Path, PathBuf};

use application_operator::application::Application;
use application_operator::observe::{Kind, Observed};
use application_operator::plan;
use serde_json::Value;

/// Changes that restart pods on purpose: release, name of the Application, and why. The changelog has to say it as well.
const RESTARTS: [(&str, &str, &str); 0] = [];

const RELEASE: &str = env!("CARGO_PKG_VERSION");

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Name and content of each Application of the corpus.
fn corpus() -> Vec<(String, Application)> {
    let mut corpus = Vec::new();
    for entry in fs::read_dir(folder()).expect("a folder").flatten() {
        let file = entry.file_name().to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix(".yaml") {
            let text = fs::read_to_string(entry.path()).expect("a file");
            corpus.push((name.to_owned(), serde_saphyr::from_str(&text).expect("an Application")));
        }
    }
    assert!(corpus.len() >= 4, "there is a corpus");
    corpus
}

/// All children of an Application, in a namespace that enforces nothing.
fn rendered(application: &Application) -> Value {
    let observed = Observed::default();
    Kind::ALL.into_iter().filter_map(|kind| plan::render(application, &observed, kind)).collect()
}

#[test]
fn the_present_release_renders_what_its_golden_files_say() {
    for (name, application) in corpus() {
        let file = folder().join(RELEASE).join(format!("{name}.json"));
        let text = serde_json::to_string_pretty(&rendered(&application)).unwrap() + "\n";
        if std::env::var_os("GOLDEN").is_some_and(|wish| wish == "write") {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, &text).unwrap();
        }
        let golden = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            text == golden,
            "{name} is rendered in another way: see what it restarts, then set GOLDEN=write\n{text}"
        );
    }
}

#[test]
fn no_release_restarts_pods_whose_application_did_not_change() {
    let mut compared = 0;
    for release in fs::read_dir(folder()).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        let version = release.file_name().to_string_lossy().into_owned();
        for (name, application) in corpus() {
            // An Application that came to the corpus later.
            let Ok(text) = fs::read_to_string(release.path().join(format!("{name}.json"))) else { continue };
            let golden: Value = serde_json::from_str(&text).unwrap();
            let template = |children: &Value| children[0]["spec"]["template"].clone();
            let is_declared = RESTARTS.iter().any(|(before, whose, _)| *before == version && *whose == name);
            assert!(
                is_declared || template(&golden) == template(&rendered(&application)),
                "{version}: {name} restarts"
            );
            compared += 1;
        }
    }
    assert!(compared > 0, "there are golden files");
}
