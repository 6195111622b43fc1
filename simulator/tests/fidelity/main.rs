//! The same requests to the real control plane and to the simulator: what is answered has to be the same.
//!
//! `FIDELITY_OPERATIONS` says how many requests are made (1,500 by default), `FIDELITY_SEED` which ones (new ones each time
//! by default). A sequence that differs is shrunk and printed; with `FIDELITY_KEEP=1` it is also written to `kept/`, all of
//! which is tried first each time.

mod grammar;
mod normal;
mod operation;
mod protobuf;
mod ratchet;
mod refused;
mod schemas;
mod side;

use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, process, thread};

use cluster::{Cluster, Options};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use serde_json::Value;

use crate::operation::Operation;
use crate::side::Pair;

/// So many that each verb of the grammar meets each kind, and few enough for every run of all tests.
const OPERATIONS: usize = 1_500;

/// Sequences that are tried at the same time: the real server waits for its disk.
const THREADS: usize = 4;

/// No namespace is used twice.
static NAMESPACES: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicUsize = AtomicUsize::new(0);

/// Part of each namespace's name: a server that is up already knows those of earlier runs.
static RUN: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(process::id()));

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} has to be a number, not {text}")))
}

/// Runs a sequence on both, in a namespace of its own, and says where they differ.
fn differ(pair: &Pair, operations: &[Operation]) -> Option<String> {
    let number = NAMESPACES.fetch_add(1, Ordering::Relaxed);
    let space = format!("fidelity-{:x}-{number}", *RUN);
    DONE.fetch_add(operations.len(), Ordering::Relaxed);
    pair.differ(&space, operations)
}

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fidelity/kept")
}

fn replay(pair: &Pair) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut files: Vec<_> = fs::read_dir(kept()).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).expect("a kept sequence");
        let operations: Vec<Operation> = serde_json::from_str(&text).expect("a kept sequence is JSON");
        if let Some(difference) = differ(pair, &operations) {
            complaints.push(format!("{}: {difference}", file.display()));
        }
    }
    complaints
}

fn explore(pair: &Pair, seed: u64, operations: usize) -> Option<String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let cases = u32::try_from(operations / grammar::LENGTH).expect("fewer operations") + 1;
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tried = runner.run(&grammar::sequences(), |operations| match differ(pair, &operations) {
        Some(difference) => Err(TestCaseError::fail(difference)),
        None => Ok(()),
    });
    match tried {
        Ok(()) => None,
        Err(TestError::Abort(reason)) => Some(reason.to_string()),
        Err(TestError::Fail(reason, operations)) => {
            let text = operation::render(&operations);
            if setting("FIDELITY_KEEP") == Some(1) {
                let name = format!("{seed}.json");
                fs::write(kept().join(name), &text).expect("the sequence is kept");
            }
            Some(format!("{reason}\nThe shortest sequence:\n{text}"))
        }
    }
}

/// The real server, which all tests here share; nothing, said loudly, where this machine can't run one.
fn kubeconfig() -> Option<&'static Path> {
    static CLUSTER: LazyLock<Option<Cluster>> =
        LazyLock::new(|| cluster::start_or_say(Options { audit: false, ..Options::api_only() }));
    static UP: LazyLock<Option<PathBuf>> = LazyLock::new(|| env::var_os("FIDELITY_KUBECONFIG").map(PathBuf::from));
    UP.as_deref().or_else(|| CLUSTER.as_ref().map(Cluster::kubeconfig))
}

fn pair() -> Option<Pair> {
    Some(Pair::new(
        kubeconfig()?,
        &[definition("../crds/10-application.yaml"), definition("tests/fidelity/sample.yaml")],
    ))
}

/// A definition from a file of the package.
fn definition(path: &str) -> Value {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("the definition");
    serde_saphyr::from_str(&text).expect("the definition is YAML")
}

#[test]
fn the_schemas_of_built_in_types_are_those_that_the_real_server_publishes() {
    let Some(pair) = pair() else { return };
    let documents = schemas::DOCUMENTS.map(|uri| pair.ask_real(uri));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/builtin.json");
    let published = schemas::render(&documents);
    if setting("FIDELITY_KEEP") == Some(1) {
        fs::write(&file, &published).expect("the schemas are kept");
    }
    let kept = fs::read_to_string(&file).expect("the schemas");
    let different: Vec<_> = published.lines().filter(|line| !kept.lines().any(|other| other == *line)).collect();
    assert!(kept == published, "FIDELITY_KEEP=1 writes them anew:\n{}", different.join("\n"));
}

#[test]
fn the_numbers_of_fields_are_those_of_the_definitions_that_the_real_server_is_built_from() {
    let Some(defined) = protobuf::render() else { return };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/protobuf.json");
    if setting("FIDELITY_KEEP") == Some(1) {
        fs::write(&file, &defined).expect("the numbers are kept");
    }
    let kept = fs::read_to_string(&file).expect("the numbers");
    let different: Vec<_> = defined.lines().filter(|line| !kept.lines().any(|other| other == *line)).collect();
    assert!(kept == defined, "FIDELITY_KEEP=1 writes them anew:\n{}", different.join("\n"));
}

#[test]
fn the_simulator_answers_as_the_real_server_does() {
    let Some(pair) = pair() else { return };
    let mut complaints = replay(&pair);
    let replayed = DONE.load(Ordering::Relaxed);
    let seed = setting("FIDELITY_SEED").unwrap_or(*RUN);
    let count = setting("FIDELITY_OPERATIONS").map_or(OPERATIONS, |count| usize::try_from(count).expect("a number"));
    println!("FIDELITY_SEED={seed} FIDELITY_OPERATIONS={count}");
    thread::scope(|scope| {
        let explore = |thread: u64| {
            let pair = &pair;
            // Told at once, since the others may go on for long.
            let told = |difference: &String| println!("{difference}");
            scope.spawn(move || explore(pair, seed.wrapping_add(thread), count / THREADS).inspect(told))
        };
        let threads: Vec<_> = (0..THREADS as u64).map(explore).collect();
        complaints.extend(threads.into_iter().filter_map(|thread| thread.join().expect("no panic")));
    });
    println!("{replayed} operations of kept sequences and {} new ones", DONE.load(Ordering::Relaxed) - replayed);
    assert!(complaints.is_empty(), "FIDELITY_SEED={seed}\n\n{}", complaints.join("\n\n"));
}

#[test]
fn a_definition_with_a_rule_that_makes_no_sense_is_refused_where_the_real_server_refuses_it() {
    let Some(pair) = pair() else { return };
    for definition in refused::definitions() {
        let [real, simulated] = pair.refusals(&definition);
        assert_eq!(real[0], 422, "{definition}");
        assert_eq!(real, simulated, "{definition}");
    }
}

#[test]
fn an_object_may_go_on_breaking_what_its_definition_did_not_forbid_before() {
    let Some(pair) = pair() else { return };
    let strict = definition("tests/fidelity/ratchet.yaml");
    let loose = ratchet::loose(&strict);
    let space = format!("ratchet-{:x}", *RUN);
    let (before, after) = (ratchet::before(), ratchet::after());
    let difference = pair.differ_across(&space, [&loose, &strict], &ratchet::probe(), [&before, &after]);
    assert!(difference.is_none(), "{}", difference.unwrap_or_default());
}
