//! The raw results: what `benches/results` holds, as values.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Whose line in `peers.json` tells what each form of a write costs the API server, and no life.
const WRITES: &str = "writes";

/// All results.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) about: About,
    /// Lives of operators, by `make bench-peers`.
    pub(crate) lives: Vec<Life>,
    /// Criterion's estimates, by name.
    pub(crate) benches: BTreeMap<String, Bench>,
    /// Nanoseconds a key of Go's queues, each time that they were measured.
    pub(crate) queues: BTreeMap<String, Vec<f64>>,
    /// Fleets that no API server here would hold, by `make scale`.
    pub(crate) scales: Vec<BTreeMap<String, f64>>,
    /// One noisy namespace among many, by `make scale`.
    pub(crate) fairness: BTreeMap<String, f64>,
    /// Lives with fleets as large as a real API server here holds, by `make bench-large`.
    pub(crate) large: Vec<Life>,
    /// Milliseconds that a write costs the API server, by its form.
    pub(crate) writes: BTreeMap<String, f64>,
    /// Instructions that each step takes, by `benches/instructions.rs`.
    pub(crate) instructions: BTreeMap<String, u64>,
}

/// What was measured on what.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) machine: String,
    pub(crate) versions: String,
    /// What else ran meanwhile.
    pub(crate) load: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Life {
    pub(crate) peer: String,
    pub(crate) applications: usize,
    pub(crate) values: BTreeMap<String, f64>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Bench {
    /// Of one round.
    pub(crate) ns: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) elements: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<f64>,
}

impl Bench {
    /// Of one element, or of all bytes.
    pub(crate) fn each(&self) -> f64 {
        self.ns / self.elements.unwrap_or(1.0)
    }
}

/// Several measurements of one thing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { median, least, most })
    }

    pub(crate) fn text(&self) -> String {
        format!("{} ({}–{})", short(self.median), short(self.least), short(self.most))
    }
}

impl Data {
    /// What is in that folder.
    pub(crate) fn read(results: &Path) -> Result<Self, Box<dyn Error>> {
        let text = |file: &str| fs::read_to_string(results.join(file));
        let lives = |file: &str| -> Result<Vec<Life>, Box<dyn Error>> {
            Ok(text(file)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
        };
        let (writes, lives_of_all) = lives("peers.json")?.into_iter().partition(|life| life.peer == WRITES);
        let writes: Vec<Life> = writes;
        Ok(Self {
            about: serde_json::from_str(&text("about.json")?)?,
            lives: lives_of_all,
            benches: serde_json::from_str(&text("benches.json")?)?,
            queues: serde_json::from_str(&text("queues.json")?)?,
            scales: text("scale.json")?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?,
            fairness: serde_json::from_str(&text("fairness.json")?)?,
            large: lives("large.json")?,
            writes: writes.into_iter().flat_map(|life| life.values).collect(),
            instructions: serde_json::from_str(&text("instructions.json")?)?,
        })
    }

    /// Sizes of fleets, rising.
    pub(crate) fn fleets(&self) -> Vec<usize> {
        self.lives.iter().map(|life| life.applications).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Each peer once, in the order in which they first come.
    pub(crate) fn peers(&self, count: usize) -> Vec<String> {
        let lives = self.lives.iter().filter(|life| life.applications == count);
        let mut seen = BTreeSet::new();
        lives.map(|life| life.peer.clone()).filter(|peer| seen.insert(peer.clone())).collect()
    }

    pub(crate) fn metrics(&self, count: usize) -> BTreeSet<String> {
        let lives = self.lives.iter().filter(|life| life.applications == count);
        lives.flat_map(|life| life.values.keys().cloned()).collect()
    }

    pub(crate) fn peer(&self, peer: &str, count: usize, metric: &str) -> Option<Spread> {
        let lives = self.lives.iter().filter(|life| life.applications == count && life.peer == peer);
        Spread::of(lives.filter_map(|life| life.values.get(metric).copied()).collect())
    }

    pub(crate) fn bench(&self, name: &str) -> Option<&Bench> {
        self.benches.get(name)
    }

    pub(crate) fn queue(&self, name: &str) -> Option<Spread> {
        Spread::of(self.queues.get(name)?.clone())
    }

    pub(crate) fn about(&self) -> String {
        let About { date, commit, machine, versions, load } = &self.about;
        format!("Measured on {date} at commit {commit}, on {machine}; {versions}. {load}")
    }

    pub(crate) fn footnote(&self, command: &str) -> String {
        format!("{command} · {} · {}", self.about.date, self.about.machine)
    }
}

pub(crate) fn short(value: f64) -> String {
    if value >= 100.0 || value == 0.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// Nanoseconds, in the unit that fits.
pub(crate) fn time(ns: f64) -> String {
    let (value, unit) = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")]
        .into_iter()
        .find(|(unit, _)| ns >= *unit)
        .map_or((ns, "ns"), |(unit, name)| (ns / unit, name));
    format!("{} {unit}", short(value))
}
