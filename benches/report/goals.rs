//! What was aimed at, and what came of it.

use std::fmt::Write as _;

use super::data::{Data, short};

/// One goal: a quotient, or a plain number, and its bound.
struct Goal {
    what: String,
    /// Where it has to be at least, and not at most, the bound.
    at_least: bool,
    bound: f64,
    unit: &'static str,
    measured: Option<f64>,
    /// The heading of the page below which it is said why it is missed, where it is.
    why: &'static str,
}

impl Goal {
    fn new(what: impl Into<String>, at_least: bool, bound: f64, unit: &'static str, measured: Option<f64>) -> Self {
        Self { what: what.into(), at_least, bound, unit, measured, why: "" }
    }

    fn missed_for(self, why: &'static str) -> Self {
        Self { why, ..self }
    }

    fn row(&self) -> String {
        let sign = if self.at_least { "≥" } else { "≤" };
        let goal = format!("{sign} {}{}", short(self.bound), self.unit);
        let Some(measured) = self.measured else {
            return format!("|{}|{goal}|not measured| |", self.what);
        };
        let is_met = if self.at_least { measured >= self.bound } else { measured <= self.bound };
        let by = if self.at_least { self.bound / measured } else { measured / self.bound };
        let verdict = match is_met {
            true => "met".to_owned(),
            false if self.bound > 0.0 => format!("**missed** by a factor of {}: [{1}](#{1})", short(by), self.why),
            false => format!("**missed**: [{0}](#{0})", self.why),
        };
        format!("|{}|{goal}|{}{}|{verdict}|", self.what, short(measured), self.unit)
    }
}

pub(crate) fn table(data: &Data) -> String {
    let mut text = "|goal| |measured| |\n|-|-:|-:|-|\n".to_owned();
    for goal in queue(data).into_iter().chain(decode(data)).chain(fleets(data)) {
        let _ = writeln!(text, "{}", goal.row());
    }
    text
}

fn queue(data: &Data) -> Vec<Goal> {
    let ours = |name: &str| data.bench(name).map(super::data::Bench::each);
    let times = |theirs: &str, mine: &str| Some(data.queue(theirs)?.median / ours(mine)?);
    let why = "queue";
    let flat = || Some(ours("backlog_drain/1000000/64 workers")? / ours("backlog_drain/1000/64 workers")?);
    vec![
        Goal::new(
            "Queue, a key all the way: faster than client-go's, with metrics as ours",
            true,
            5.0,
            "×",
            times("Cycle/client-go", "cycle/key"),
        )
        .missed_for(why),
        Goal::new("… than client-go's without metrics", true, 5.0, "×", times("Cycle/client-go-bare", "cycle/key"))
            .missed_for(why),
        Goal::new(
            "Queue, add+get+done of 1,000 keys: faster than controller-runtime's priority queue",
            true,
            25.0,
            "×",
            times("AddGetDone/priority-queue", "add_get_done/key"),
        )
        .missed_for(why),
        Goal::new(
            "… the same, as informers and workers do it (`add_all`, `next`)",
            true,
            25.0,
            "×",
            times("AddGetDone/priority-queue", "add_get_done/key/at once"),
        )
        .missed_for(why),
        Goal::new("Queue: a key of 1,000,000 against one of 1,000", false, 3.0, "×", flat()).missed_for(why),
    ]
}

fn decode(data: &Data) -> Vec<Goal> {
    ["applications", "deployments", "pods"]
        .into_iter()
        .map(|kind| {
            let of = |what: &str| data.bench(&format!("watch/{kind}/{what}/10000")).map(|bench| bench.ns);
            let times = || Some(of("decode")? / of("validate")?);
            Goal::new(
                format!("Watch of {kind}: decoding, in times of serde_json's validation"),
                false,
                1.5,
                "×",
                times(),
            )
            .missed_for("decoding")
        })
        .collect()
}

fn fleets(data: &Data) -> Vec<Goal> {
    let mut goals = Vec::new();
    for count in data.fleets() {
        let median = |peer: &str, metric: &str| data.peer(peer, count, metric).map(|spread| spread.median);
        let times = |peer: &str, metric: &str| Some(median("ours", metric)? / median(peer, metric)?);
        let (cold, cpu, peak) = ("cold: seconds to converge", "cold: processor seconds", "peak MiB in the end");
        let of = format!("{count} Applications");
        goals.extend([
            Goal::new(
                format!("{of}: time to converge from cold, in times of the floor"),
                false,
                1.2,
                "×",
                times("floor", cold),
            )
            .missed_for("converging"),
            Goal::new("… in times of controller-runtime's", false, 0.7, "×", times("controller-runtime", cold))
                .missed_for("converging"),
            Goal::new(
                "… processor time meanwhile, in times of controller-runtime's",
                false,
                0.3,
                "×",
                times("controller-runtime", cpu),
            )
            .missed_for("processor"),
            Goal::new(
                format!("{of}: peak memory, in times of controller-runtime's"),
                false,
                0.25,
                "×",
                times("controller-runtime", peak),
            )
            .missed_for("memory"),
            Goal::new("… of kube-rs's", false, 0.6, "×", times("kube", peak)).missed_for("memory"),
        ]);
        // Single changes are made with one size of a fleet alone.
        goals.extend(["1/s", "10/s", "100/s"].into_iter().filter_map(|rate| {
            let p99 = median("ours", &format!("heal at {rate}: p99 ms"))?;
            let what = format!("{of}: a deleted child is back, p99 at {rate}");
            Some(Goal::new(what, false, 50.0, " ms", Some(p99)).missed_for("converging"))
        }));
        goals.extend([
            Goal::new(format!("{of}: restart, writes"), false, 0.0, "", median("ours", "restart: writes"))
                .missed_for("processor"),
            Goal::new(
                "… processor time, in times of controller-runtime's",
                false,
                0.25,
                "×",
                times("controller-runtime", "restart: processor seconds"),
            )
            .missed_for("processor"),
        ]);
    }
    goals
}
