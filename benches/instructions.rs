//! Instructions that each step takes, counted by valgrind: a number that hardly differs from run to run, whatever else the
//! machine does, so that it can be held. Without valgrind it is left out, loudly.
//!
//! The program runs itself under valgrind, each work once with N rounds and once with 2 N; the difference is that of N.

mod fleet;

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use application_operator::application::Application;
use application_operator::observe::{Deployment, Kind};
use application_operator::plan::plan;
use engine::api::Entry;
use engine::backoff::Schedule;
use engine::object::{Key, ResourceVersion};
use engine::queue::{Bucket, Limits, Queue, Verdict};
use engine::store::{self, ByNamespace};
use engine::trigger::Reason;
use engine::watch::Transaction;

/// A work, its rounds, and the most instructions that a round of it may take: a tenth more than were counted (1,634, 1,515,
/// 70,312, 8,984, 232,482), which is more than another seed of a hash and another processor's way to copy make, and less than any
/// change that is worth a look. A Deployment bears the text of its first revision, which takes a sixth of its decoding, and an
/// object less to decode.
const WORKS: [(&str, u32, u64); 5] = [
    ("queue: add, take, done", 20_000, 1_800),
    ("queue: add, next", 20_000, 1_670),
    ("decode: a Deployment", 500, 76_500),
    ("store: an event, one index", 2_000, 9_900),
    ("plan: an unchanged Application", 200, 255_000),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [work, rounds] = &arguments[..]
        && let Ok(rounds) = rounds.parse()
    {
        run(work, rounds);
        return ExitCode::SUCCESS;
    }
    let there = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        eprintln!("\n****\nLEFT OUT: instruction counts: there is no valgrind\n****");
        return ExitCode::SUCCESS;
    }
    let (mut code, mut counts) = (ExitCode::SUCCESS, BTreeMap::new());
    for (work, rounds, bound) in WORKS {
        let (once, twice) = (instructions(work, rounds), instructions(work, 2 * rounds));
        let each = (twice - once) / u64::from(rounds);
        let verdict = if each <= bound { "" } else { ": TOO MANY" };
        eprintln!("{work}: {each} instructions, at most {bound}{verdict}");
        if each > bound {
            code = ExitCode::FAILURE;
        }
        counts.insert(work, each);
    }
    // For `make plots`. This program stands in the folder deps of a profile's.
    let target = std::env::current_exe().ok().and_then(|program| Some(program.ancestors().nth(3)?.to_owned()));
    if let Some(target) = target {
        let text = serde_json::to_string_pretty(&counts).expect("counts are JSON");
        fs::write(target.join("instructions.json"), text + "\n").expect("a file in the target folder");
    }
    code
}

/// What cachegrind counts.
fn instructions(work: &str, rounds: u32) -> u64 {
    let program = std::env::current_exe().expect("a path");
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(program)
        .args([work, &rounds.to_string()])
        .output()
        .expect("valgrind runs");
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find_map(|line| line.split_once("I refs:").or_else(|| line.split_once("I   refs:")));
    let count = line.map(|(_, count)| count.replace([',', ' '], ""));
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("a count in {text}"))
}

fn run(work: &str, rounds: u32) {
    match work {
        "queue: add, take, done" | "queue: add, next" => queue(rounds, work.ends_with("next")),
        "decode: a Deployment" => {
            let json = fleet::child(7, Kind::Deployment).expect("each has one").to_string();
            for _ in 0..rounds {
                black_box(serde_json::from_str::<Deployment>(black_box(&json)).is_ok());
            }
        }
        "store: an event, one index" => {
            let (mut writers, reader) = store::new::<Application>(&[]);
            reader.index::<ByNamespace>();
            let application: Application = fleet::decoded(&fleet::application(7));
            for version in 1_000..1_000 + rounds {
                let mut application = application.clone();
                application.metadata.resource_version = ResourceVersion(version.to_string().into());
                black_box(writers[0].commit(Transaction::Upsert(Entry::Valid(application.into()))));
            }
        }
        _ => {
            let (application, observed): (Application, _) =
                (fleet::decoded(&fleet::application(7)), fleet::observed(7));
            for _ in 0..rounds {
                black_box(plan(black_box(&application), black_box(&observed), &fleet::allowed()));
            }
        }
    }
}

/// Ten namespaces of a hundred keys, which a worker takes as they come.
fn queue(rounds: u32, by_next: bool) {
    let keys: Vec<Key> =
        (0..1_000).map(|number| Key::new(fleet::namespace(number), format!("application-{number}"))).collect();
    let per_key = Schedule::new(Duration::from_millis(5), Duration::from_mins(1));
    let queue = Queue::new(Limits { per_key, overall: Bucket::new(10, 100) });
    for round in keys.iter().cycle().take(rounds as usize).collect::<Vec<_>>().chunks(keys.len()) {
        for key in round {
            queue.add((*key).clone(), Reason::Updated);
        }
        let mut taken = queue.try_take();
        while let Some(key) = taken {
            taken = if by_next {
                key.next(Verdict::Done)
            } else {
                key.done(Verdict::Done);
                queue.try_take()
            };
        }
    }
}
