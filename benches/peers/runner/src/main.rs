//! The same work for three operators and for nobody: numbers in, a table of medians, spreads and ratios out.
//!
//! Each measurement has a control plane of its own, etcd and API server alone, so that nobody else writes. The operators take
//! turns within a round, so that a machine that slows down slows them all. What is counted comes from the API server's audit
//! log, what is used from the kernel; the operators themselves are asked nothing.

mod audit;
mod peer;
mod report;
mod scenario;
mod traffic;
mod world;
mod writes;

use std::path::PathBuf;

use clap::Parser;

use crate::peer::Peer;
use crate::scenario::Life;

/// Measures operators that do the same work.
#[derive(Parser)]
struct Args {
    /// Applications of one measurement; several are measured one after the other. Single changes, at 1, 10 and 100 a second,
    /// are made with the first of them alone.
    #[arg(long, value_delimiter = ',', default_value = "500")]
    applications: Vec<usize>,
    /// How often each is measured: once for all, or a number for each of the fleets, of which the last goes for the rest.
    #[arg(long, value_delimiter = ',', default_value = "3")]
    rounds: Vec<usize>,
    /// Reconciles at a time, of each operator alike.
    #[arg(long, default_value_t = 10)]
    workers: usize,
    /// A cold start and a restart alone, as with a fleet that takes minutes to bring about.
    #[arg(long)]
    brief: bool,
    /// An operator: NAME=PROGRAM. The names `ours`, `controller-runtime` and `kube` say how it is started.
    #[arg(long = "peer", value_parser = Peer::parse, required = true)]
    peers: Vec<Peer>,
    /// Where the raw numbers go: a line of JSON for each measurement.
    #[arg(long)]
    raw: PathBuf,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let mut results = Vec::new();
    for round in 1..=args.rounds.iter().copied().max().unwrap_or_default() {
        for (place, &count) in args.applications.iter().enumerate() {
            if args.rounds.get(place).or(args.rounds.last()) < Some(&round) {
                continue;
            }
            let mut measured = Vec::new();
            if !args.brief {
                measured.push(scenario::floor(count).await?);
            }
            for peer in &args.peers {
                let life = match () {
                    () if args.brief => Life::Brief,
                    () if place == 0 => Life::Whole,
                    () => Life::Unpaced,
                };
                measured.push(scenario::measure(peer, count, args.workers, life).await?);
            }
            for result in measured {
                eprintln!("round {round}: {}", serde_json::to_string(&result)?);
                results.push(result);
            }
        }
    }
    if !args.brief {
        results.push(writes::measure().await?);
    }
    let raw: String =
        results.iter().map(|result| serde_json::to_string(result).map(|line| line + "\n")).collect::<Result<_, _>>()?;
    std::fs::write(&args.raw, raw)?;
    print!("{}", report::table(&results));
    Ok(())
}
