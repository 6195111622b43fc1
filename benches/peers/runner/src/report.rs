//! Measurements in, a table in Markdown out: medians with their spread, and what they are as a part of the peers'.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::scenario::Measured;
use crate::writes;

/// Whom the others are compared with.
const OURS: &str = "ours";

pub(crate) fn table(results: &[Measured]) -> String {
    let mut text = String::new();
    let results: Vec<&Measured> = results.iter().filter(|result| result.peer != writes::NAME).collect();
    let counts: BTreeSet<usize> = results.iter().map(|result| result.applications).collect();
    let peers = names(results.iter().map(|result| result.peer.as_str()));
    for count in counts {
        let measured: Vec<&Measured> = results.iter().copied().filter(|result| result.applications == count).collect();
        let _ = writeln!(text, "\n{count} Applications\n\n| |{}|", peers.join("|"));
        let _ = writeln!(text, "|-|{}", "-|".repeat(peers.len()));
        for metric in names(measured.iter().flat_map(|result| result.values.keys().map(String::as_str))) {
            let of = |peer: &str| {
                let mut values: Vec<f64> = measured
                    .iter()
                    .filter(|result| result.peer == peer)
                    .filter_map(|result| result.values.get(metric).copied())
                    .collect();
                values.sort_by(f64::total_cmp);
                let (least, most) = (*values.first()?, *values.last()?);
                let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
                Some((median, least, most))
            };
            let ours = of(OURS).map(|(median, _, _)| median);
            let _ = write!(text, "|{metric}|");
            for peer in &peers {
                let Some((median, least, most)) = of(peer) else {
                    text.push_str(" |");
                    continue;
                };
                let _ = write!(text, "{} ({}–{})", short(median), short(least), short(most));
                if let Some(ours) = ours.filter(|_| *peer != OURS && median > 0.0) {
                    let _ = write!(text, ", ours {}×", short(ours / median));
                }
                text.push('|');
            }
            text.push('\n');
        }
    }
    text
}

/// Each once, in the order in which they first come.
fn names<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    all.filter(|name| seen.insert(*name)).collect()
}

fn short(value: f64) -> String {
    if value >= 100.0 || value == 0.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}
