//! Raw results in, the tables and pictures of `docs/performance.md` out. Pure: the same data make the same page, and a test
//! holds the page to it.

#![allow(dead_code, reason = "each program that includes this uses a part of it")]

pub(crate) mod chart;
pub(crate) mod data;
pub(crate) mod goals;

use std::fmt::Write as _;

use self::chart::{Bar, bars};
use self::data::{Data, short};

/// Everything that is made of the data: pictures by file name below `docs`, and parts of the page by their names.
pub(crate) struct Report {
    pub(crate) pictures: Vec<(&'static str, String)>,
    pub(crate) parts: Vec<(&'static str, String)>,
}

pub(crate) fn report(data: &Data) -> Report {
    let mut pictures = vec![
        ("performance-queue.svg", queue(data)),
        ("performance-backlog.svg", backlog(data)),
        ("performance-decode.svg", decode(data)),
        ("performance-store.svg", store(data)),
    ];
    let mut parts = vec![
        ("about", data.about()),
        ("goals", goals::table(data)),
        ("benches", benches(data)),
        ("scale", scale(data)),
        ("large", large(data)),
        ("fairness", fairness(data)),
        ("writes", writes(data)),
        ("instructions", instructions(data)),
    ];
    for count in data.fleets() {
        let (file, part) =
            if count < 1_000 { ("performance-500.svg", "peers-500") } else { ("performance-3000.svg", "peers-3000") };
        pictures.push((file, fleet(data, count)));
        parts.push((part, format!("![{count} Applications]({file})\n\n{}", peers(data, count))));
    }
    Report { pictures, parts }
}

/// Puts `parts` where the page has their marks.
///
/// # Errors
///
/// The name of a part that the page has no place for.
pub(crate) fn fill(page: &str, parts: &[(&'static str, String)]) -> Result<String, &'static str> {
    let mut page = page.to_owned();
    for (name, text) in parts {
        let (start, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
        let from = page.find(&start).ok_or(*name)? + start.len();
        let to = from + page[from..].find(&end).ok_or(*name)?;
        page.replace_range(from..to, &format!("\n{}\n\n", text.trim_end()));
    }
    Ok(page)
}

/// All metrics of a fleet of that size, for each peer.
fn peers(data: &Data, count: usize) -> String {
    let peers = data.peers(count);
    let mut text = format!("| |{}|\n|-|{}\n", peers.join("|"), "-:|".repeat(peers.len()));
    for metric in data.metrics(count) {
        let _ = write!(text, "|{metric}|");
        for peer in &peers {
            match data.peer(peer, count, &metric) {
                Some(spread) => {
                    let _ = write!(text, "{}|", spread.text());
                }
                None => text.push_str(" |"),
            }
        }
        text.push('\n');
    }
    text
}

/// What each bench of ours takes.
fn benches(data: &Data) -> String {
    let mut text = "|bench|time of one|in a second|\n|-|-:|-:|\n".to_owned();
    for (name, bench) in &data.benches {
        let rate = match (bench.bytes, bench.elements) {
            (Some(bytes), _) => format!("{} MB", short(bytes / bench.ns * 1_000.0)),
            (None, Some(elements)) => format!("{} million", short(elements / bench.ns * 1_000.0)),
            (None, None) => String::new(),
        };
        let _ = writeln!(text, "|{name}|{}|{rate}|", data::time(bench.each()));
    }
    text
}

/// What a fleet of each size takes the operator's own program to look at once.
fn scale(data: &Data) -> String {
    let columns = ["seconds", "processor seconds", "peak MiB", "bytes an Application"];
    let mut text = format!("|Applications|{}|\n|-:|{}\n", columns.join("|"), "-:|".repeat(columns.len()));
    for scale in &data.scales {
        let of = |name: &str| scale.get(name).map_or_else(String::new, |value| short(*value));
        let _ = writeln!(text, "|{}|{}|", of("applications"), columns.map(of).join("|"));
    }
    text
}

/// What a fleet of a size takes on a real API server.
fn large(data: &Data) -> String {
    let columns = [
        "cold: seconds to converge",
        "cold: processor seconds",
        "cold: the API server's processor seconds",
        "cold: peak MiB",
        "restart: processor seconds",
        "restart: peak MiB",
        "restart: writes",
    ];
    let mut text = format!("|Applications|{}|\n|-:|{}\n", columns.join("|"), "-:|".repeat(columns.len()));
    for life in &data.large {
        let of = |name: &str| life.values.get(name).map_or_else(String::new, |value| short(*value));
        let _ = writeln!(text, "|{}|{}|", life.applications, columns.map(of).join("|"));
    }
    text
}

/// Whom one noisy namespace keeps waiting.
fn fairness(data: &Data) -> String {
    let mut text = "| | |\n|-|-:|\n".to_owned();
    for (name, value) in &data.fairness {
        let _ = writeln!(text, "|{name}|{}|", short(*value));
    }
    text
}

/// What each form of a write costs the API server.
fn writes(data: &Data) -> String {
    let mut text = "|write|the API server's processor ms|\n|-|-:|\n".to_owned();
    for (form, ms) in &data.writes {
        let _ = writeln!(text, "|{form}|{}|", short(*ms));
    }
    text
}

/// What each step takes, in instructions.
fn instructions(data: &Data) -> String {
    let mut text = "|step|instructions|\n|-|-:|\n".to_owned();
    for (step, count) in &data.instructions {
        let _ = writeln!(text, "|{step}|{count}|");
    }
    text
}

fn queue(data: &Data) -> String {
    let mut all = Vec::new();
    let at_once = "add_get_done/key/at once";
    for (work, ours, theirs) in
        [("a key all the way", "cycle/key", "Cycle"), ("1,000 keys in, then out", "add_get_done/key", "AddGetDone")]
    {
        let together = data.bench(at_once).filter(|_| theirs == "AddGetDone");
        all.extend(together.map(|bench| Bar::new(work, "engine, add_all and next", bench.each())));
        all.extend(data.bench(ours).map(|bench| Bar::new(work, "engine", bench.each())));
        for (kind, name) in [
            ("client-go-bare", "client-go without metrics"),
            ("client-go", "client-go"),
            ("priority-queue", "priority queue"),
        ] {
            all.extend(data.queue(&format!("{theirs}/{kind}")).map(|spread| Bar::new(work, name, spread.median)));
        }
    }
    bars("Queue: nanoseconds a key", "ns", &all, &data.footnote("make bench-queues"))
}

fn backlog(data: &Data) -> String {
    let mut all = Vec::new();
    for count in ["1000", "10000", "100000", "1000000"] {
        let work = format!("{count} keys wait");
        let ours = data.bench(&format!("backlog_drain/{count}/64 workers"));
        all.extend(ours.map(|bench| Bar::new(&work, "engine", bench.each())));
        for (kind, name) in [("client-go", "client-go"), ("priority-queue", "priority queue")] {
            let theirs = data.queue(&format!("Backlog/{count}/{kind}"));
            all.extend(theirs.map(|spread| Bar::new(&work, name, spread.median)));
        }
    }
    bars("A backlog drained by 64 workers: nanoseconds a key", "ns", &all, &data.footnote("make bench-queues"))
}

fn decode(data: &Data) -> String {
    let mut all = Vec::new();
    for kind in ["applications", "deployments", "pods"] {
        for (what, name) in [("decode", "engine: decoded and typed"), ("validate", "serde_json: found to be JSON")] {
            let bench = data.bench(&format!("watch/{kind}/{what}/10000"));
            let rate = bench.and_then(|bench| Some(bench.bytes? / bench.ns * 1_000.0));
            all.extend(rate.map(|rate| Bar::new(kind, name, rate)));
        }
    }
    bars("Watch: megabytes a second, more is better", "MB/s", &all, &data.footnote("make bench"))
}

fn store(data: &Data) -> String {
    let mut all = Vec::new();
    for (work, name) in [("upsert", "an event"), ("relist", "a list, an object"), ("get", "a look-up")] {
        for (who, peer) in [("engine", "engine"), ("kube", "kube-rs")] {
            let bench = data.bench(&format!("store/{work}/{who}"));
            all.extend(bench.map(|bench| Bar::new(name, peer, bench.each())));
        }
    }
    bars("Store of 10,000 Deployments: nanoseconds", "ns", &all, &data.footnote("make bench-stores"))
}

fn fleet(data: &Data, count: usize) -> String {
    let mut all = Vec::new();
    for metric in [
        "cold: seconds to converge",
        "create: seconds to converge",
        "update: seconds to converge",
        "cold: processor seconds",
        "restart: processor seconds",
    ] {
        for peer in data.peers(count) {
            let name = if peer == "ours" { "engine" } else { &peer };
            all.extend(data.peer(&peer, count, metric).map(|spread| Bar::new(metric, name, spread.median)));
        }
    }
    let title = format!("{count} Applications: seconds, less is better");
    bars(&title, "s", &all, &data.footnote("make bench-peers"))
}
