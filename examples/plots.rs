//! Raw results in, `docs/performance.md` and its pictures out. `--collect` first takes over what the benches have left in the
//! target folder; without it, the results that are committed are drawn anew.

#[path = "../benches/report/mod.rs"]
mod report;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use report::data::{About, Bench, Data};
use serde::Deserialize;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let results = root.join("benches/results");
    if std::env::args().any(|argument| argument == "--collect") {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        collect(&target, &results)?;
    }
    let data = Data::read(&results)?;
    let report = report::report(&data);
    for (file, picture) in &report.pictures {
        fs::write(root.join("docs").join(file), picture)?;
    }
    let page = root.join("docs/performance.md");
    let text = report::fill(&fs::read_to_string(&page)?, &report.parts)?;
    fs::write(page, text)?;
    Ok(())
}

/// Takes over what is in the target folder. What is not there is kept as it was.
fn collect(target: &Path, results: &Path) -> Result<(), Box<dyn Error>> {
    for file in ["peers.json", "scale.json", "large.json", "fairness.json", "instructions.json"] {
        if let Ok(lines) = fs::read_to_string(target.join(file)) {
            fs::write(results.join(file), lines)?;
        }
    }
    let mut benches = BTreeMap::new();
    criterion(&target.join("criterion"), &mut benches)?;
    if !benches.is_empty() {
        fs::write(results.join("benches.json"), pretty(&benches)?)?;
    }
    if let Ok(log) = fs::read_to_string(target.join("queues.log")) {
        fs::write(results.join("queues.json"), pretty(&queues(&log))?)?;
    }
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("a processor");
    let cores = std::thread::available_parallelism()?;
    let about = About {
        date: said("date", &["-u", "+%Y-%m-%d"]),
        commit: said("git", &["rev-parse", "--short=12", "HEAD"]),
        machine: format!("{cores} cores of {model}"),
        versions: format!(
            "{}, {}; client-go 0.37, controller-runtime 0.25, kube-rs 5.0, Kubernetes 1.37",
            said("rustc", &["--version"]),
            said("go", &["version"]),
        ),
        load: std::env::var("LOAD").unwrap_or_else(|_| "Nothing else ran meanwhile.".to_owned()),
    };
    fs::write(results.join("about.json"), pretty(&about)?)?;
    Ok(())
}

fn pretty(value: &impl serde::Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(value).map(|text| text + "\n")
}

/// Criterion's latest estimates, wherever they are below `folder`.
fn criterion(folder: &Path, benches: &mut BTreeMap<String, Bench>) -> Result<(), Box<dyn Error>> {
    #[derive(Deserialize)]
    struct About {
        full_id: String,
        throughput: Option<BTreeMap<String, f64>>,
    }
    #[derive(Deserialize)]
    struct Estimates {
        median: Estimate,
    }
    #[derive(Deserialize)]
    struct Estimate {
        point_estimate: f64,
    }
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        // A bench may be called so as well.
        if path.file_name().is_some_and(|name| name == "new") && path.join("benchmark.json").exists() {
            let About { full_id, throughput } =
                serde_json::from_str(&fs::read_to_string(path.join("benchmark.json"))?)?;
            let Estimates { median } = serde_json::from_str(&fs::read_to_string(path.join("estimates.json"))?)?;
            let of = |unit: &str| throughput.as_ref().and_then(|throughput| throughput.get(unit).copied());
            let bench = Bench { ns: median.point_estimate, elements: of("Elements"), bytes: of("Bytes") };
            benches.insert(full_id, bench);
        } else if path.is_dir() {
            criterion(&path, benches)?;
        }
    }
    Ok(())
}

/// The lines of `go test -bench` that tell nanoseconds a key.
fn queues(log: &str) -> BTreeMap<String, Vec<f64>> {
    let mut queues = BTreeMap::<String, Vec<f64>>::new();
    for line in log.lines() {
        let mut words = line.split_whitespace();
        let Some(name) = words.next().and_then(|word| word.strip_prefix("Benchmark")) else { continue };
        let words: Vec<&str> = words.collect();
        let value = words.windows(2).find(|pair| pair[1] == "ns/key").and_then(|pair| pair[0].parse().ok());
        // Behind the last dash is the number of threads.
        let name = name.rsplit_once('-').map_or(name, |(name, _)| name);
        if let Some(value) = value {
            queues.entry(name.to_owned()).or_default().push(value);
        }
    }
    queues
}
