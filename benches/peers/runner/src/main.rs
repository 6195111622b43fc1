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

use std::path::PathBuf;

use clap::Parser;

use crate::peer::Peer;

/// Measures operators that do the same work.
#[derive(Parser)]
struct Args {
    /// Applications of one measurement; several are measured one after the other.
    #[arg(long, value_delimiter = ',', default_value = "500")]
    applications: Vec<usize>,
    /// How often each is measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Reconciles at a time, of each operator alike.
    #[arg(long, default_value_t = 10)]
    workers: usize,
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
    for round in 1..=args.rounds {
        for &count in &args.applications {
            let mut measured = vec![scenario::floor(count).await?];
            for peer in &args.peers {
                measured.push(scenario::measure(peer, count, args.workers).await?);
            }
            for result in measured {
                eprintln!("round {round}: {}", serde_json::to_string(&result)?);
                results.push(result);
            }
        }
    }
    let raw: String =
        results.iter().map(|result| serde_json::to_string(result).map(|line| line + "\n")).collect::<Result<_, _>>()?;
    std::fs::write(&args.raw, raw)?;
    print!("{}", report::table(&results));
    Ok(())
}
