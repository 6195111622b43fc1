//! One operator through one life: a cold start, a second fleet, an update, deletions, a quiet time, a restart.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use crate::audit::Request;
use crate::peer::{Peer, Running};
use crate::traffic;
use crate::world::{OPERATOR, World};

/// Between two looks at the audit log, which cost the machine next to nothing.
const LOOK: Duration = Duration::from_millis(100);

/// Without a request for so long, an operator has nothing left to do.
const QUIET: Duration = Duration::from_secs(3);

/// For how long it is watched while nothing happens.
const IDLE: Duration = Duration::from_secs(20);

/// Longer than any of them takes for the largest fleet: whoever needs longer has failed.
const PATIENCE: Duration = Duration::from_mins(10);

/// Changes a second, and how many of them.
const RATES: [(u32, usize); 3] = [(1, 10), (10, 100), (100, 400)];

/// What was measured, by name. Seconds, MiB, milliseconds or counts, as the name says.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) peer: String,
    pub(crate) applications: usize,
    pub(crate) values: BTreeMap<String, f64>,
}

/// What the operator's requests come to on the other side, which is what everybody waits for.
const SERVER: &str = "cold: the API server's processor seconds";

type Error = Box<dyn std::error::Error>;

/// The bare writes by 16 clients, for comparison.
pub(crate) async fn floor(count: usize) -> Result<Measured, Error> {
    let world = World::start()?;
    let service = &world.service;
    traffic::all(count, async |number| traffic::create(service, &name("cold", number)).await).await;
    let (started, before) = (Instant::now(), world.server_cpu());
    traffic::all(count, async |number| traffic::bring_about(service, &name("cold", number)).await).await;
    let elapsed = started.elapsed().as_secs_f64();
    let values = BTreeMap::from([
        ("cold: seconds to converge".to_owned(), elapsed),
        (SERVER.to_owned(), world.server_cpu() - before),
    ]);
    Ok(Measured { peer: "floor".to_owned(), applications: count, values })
}

/// How much of a life an operator is led through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// All of it.
    Whole,
    /// All but single changes at a rate: how long one of them takes does not depend on how large the fleet is.
    Unpaced,
    /// A cold start and a restart.
    Brief,
}

/// One life of an operator.
pub(crate) async fn measure(peer: &Peer, count: usize, workers: usize, life: Life) -> Result<Measured, Error> {
    let mut world = World::start()?;
    let mut values = BTreeMap::new();
    let mut note = |name: &str, value: f64| {
        eprintln!("{} of {count}: {name}: {value:.3}", peer.name);
        values.insert(name.to_owned(), value);
    };
    let service = world.service.clone();
    let (kubeconfig, log) = (world.kubeconfig(), world.peer_log());

    traffic::all(count, async |number| traffic::create(&service, &name("cold", number)).await).await;
    let (started, before) = (Timestamp::now(), world.server_cpu());
    let running = peer.start(&kubeconfig, workers, &log)?;
    let last = converged(&mut world, 0, "cold", count).await?;
    note(SERVER, world.server_cpu() - before);
    note("cold: seconds to converge", seconds(started, last));
    note("cold: processor seconds", running.cpu());
    quiet(&mut world).await;
    note("cold: peak MiB", running.peak_memory());
    let so_far = own(&world, 0);
    let per_application = |requests: usize| requests as f64 / count as f64;
    note("cold: writes each", per_application(so_far.iter().filter(|request| request.is_write()).count()));
    note("cold: reads each", per_application(so_far.iter().filter(|request| request.is_read()).count()));
    let refused =
        so_far.iter().filter(|request| request.code >= 400 && !request.is_read() && request.verb != "watch").count();
    note("cold: refused writes each", per_application(refused));

    if life != Life::Brief {
        changes(&mut world, &running, count, life, &mut note).await?;
    }
    note("peak MiB in the end", running.peak_memory());

    drop(running);
    world.log.read_on();
    let mark = world.log.requests.len();
    let running = peer.start(&kubeconfig, workers, &log)?;
    sleep(QUIET).await;
    quiet(&mut world).await;
    note("restart: processor seconds", running.cpu());
    note("restart: peak MiB", running.peak_memory());
    note("restart: writes", own(&world, mark).iter().filter(|request| request.is_write()).count() as f64);
    Ok(Measured { peer: peer.name.clone(), applications: count, values })
}

/// What happens to a fleet that has converged: nothing, then an update, a second fleet, and single changes.
async fn changes(
    world: &mut World,
    running: &Running,
    count: usize,
    life: Life,
    note: &mut impl FnMut(&str, f64),
) -> Result<(), Error> {
    let service = world.service.clone();
    let (mark, before) = (world.log.requests.len(), running.cpu());
    sleep(IDLE).await;
    world.log.read_on();
    note("idle: processor ms a minute", (running.cpu() - before) * 1000.0 * 60.0 / IDLE.as_secs_f64());
    let asked = own(&world, mark).iter().filter(|request| request.verb != "watch").count();
    note("idle: requests a minute", asked as f64 * 60.0 / IDLE.as_secs_f64());

    let mark = world.log.requests.len();
    let started = Timestamp::now();
    traffic::all(count, async |number| traffic::set_image(&service, &name("cold", number), "nginx:1.30").await).await;
    let last = updated(world, mark, count).await?;
    note("update: seconds to converge", seconds(started, last));
    quiet(world).await;

    let mark = world.log.requests.len();
    let started = Timestamp::now();
    traffic::all(count, async |number| traffic::create(&service, &name("warm", number)).await).await;
    let last = converged(world, mark, "warm", count).await?;
    note("create: seconds to converge", seconds(started, last));
    quiet(world).await;

    for (rate, changes) in RATES.into_iter().filter(|_| life == Life::Whole) {
        let changes = changes.min(count);
        let mark = world.log.requests.len();
        traffic::at_rate(changes, rate, async |number| {
            traffic::delete_deployment(&service, &name("cold", number)).await
        })
        .await;
        let healed = latencies(world, mark, "deployments", "delete", changes).await?;
        for (percentile, value) in percentiles(&healed) {
            note(&format!("heal at {rate}/s: p{percentile} ms"), value);
        }
        quiet(world).await;
        let mark = world.log.requests.len();
        let image = format!("nginx:1.3{rate}");
        traffic::at_rate(changes, rate, async |number| {
            traffic::set_image(&service, &name("cold", number), &image).await
        })
        .await;
        let applied = latencies(world, mark, "applications", "patch", changes).await?;
        for (percentile, value) in percentiles(&applied) {
            note(&format!("apply at {rate}/s: p{percentile} ms"), value);
        }
        quiet(world).await;
    }
    Ok(())
}

fn name(fleet: &str, number: usize) -> String {
    format!("{fleet}-{number}")
}

fn own(world: &World, mark: usize) -> Vec<&Request> {
    world.log.requests[mark..].iter().filter(|request| request.user == OPERATOR).collect()
}

/// Waits until each Application of a fleet has both children and a status, and says when the last of them was written.
async fn converged(world: &mut World, mark: usize, fleet: &str, count: usize) -> Result<Timestamp, Error> {
    let fleet = format!("{fleet}-");
    until(world, "the fleet to converge", |world| {
        let (mut done, mut last) = (HashSet::new(), Timestamp::MIN);
        for request in
            own(world, mark).into_iter().filter(|request| request.is_write() && request.name.starts_with(&fleet))
        {
            if matches!(request.resource.as_str(), "deployments" | "services" | "applications/status")
                && done.insert((&request.resource, &request.name))
            {
                last = last.max(request.answered);
            }
        }
        (done.len() >= 3 * count).then_some(last)
    })
    .await
}

/// Waits until each Application of the first fleet has a new Deployment.
async fn updated(world: &mut World, mark: usize, count: usize) -> Result<Timestamp, Error> {
    until(world, "the update", |world| {
        let mut last: HashMap<&str, Timestamp> = HashMap::new();
        for request in
            own(world, mark).into_iter().filter(|request| request.is_write() && request.resource == "deployments")
        {
            last.entry(&request.name).or_insert(request.answered);
        }
        (last.len() >= count).then(|| last.values().max().copied().unwrap_or_default())
    })
    .await
}

/// From the arrival of each change of a user's to the answer to the operator's next write of the Deployment, in milliseconds.
async fn latencies(
    world: &mut World,
    mark: usize,
    resource: &str,
    verb: &str,
    count: usize,
) -> Result<Vec<f64>, Error> {
    until(world, "the children", |world| {
        let writes = || world.log.requests[mark..].iter().filter(|request| request.is_write());
        let mut answers: HashMap<&str, Vec<Timestamp>> = HashMap::new();
        for write in writes().filter(|write| write.user == OPERATOR && write.resource == "deployments") {
            answers.entry(write.name.trim_end_matches("-deployment")).or_default().push(write.answered);
        }
        let changes =
            writes().filter(|write| write.user != OPERATOR && write.resource == resource && write.verb == verb);
        // A request is logged once it is answered, and the operator may be answered before the user whom it answers.
        let latencies: Vec<f64> = changes
            .filter_map(|change| {
                let answers = answers.get(change.name.trim_end_matches("-deployment"))?;
                let first = answers.iter().filter(|answer| **answer > change.received).min()?;
                Some(seconds(change.received, *first) * 1000.0)
            })
            .collect();
        (latencies.len() >= count).then_some(latencies)
    })
    .await
}

fn percentiles(latencies: &[f64]) -> [(u32, f64); 2] {
    let mut sorted = latencies.to_vec();
    sorted.sort_by(f64::total_cmp);
    [50, 99].map(|percentile| (percentile, sorted[(sorted.len() - 1) * percentile as usize / 100]))
}

async fn until<T>(world: &mut World, what: &str, seen: impl Fn(&World) -> Option<T>) -> Result<T, Error> {
    let started = Instant::now();
    loop {
        world.log.read_on();
        if let Some(seen) = seen(world) {
            return Ok(seen);
        }
        if started.elapsed() > PATIENCE {
            return Err(format!("waited for {what} for {PATIENCE:?}; see {}", world.peer_log().display()).into());
        }
        sleep(LOOK).await;
    }
}

/// Waits until the operator asks nothing any more.
async fn quiet(world: &mut World) {
    let mut last = (0, Instant::now());
    loop {
        world.log.read_on();
        let count = own(world, 0).len();
        if count != last.0 {
            last = (count, Instant::now());
        } else if last.1.elapsed() > QUIET {
            return;
        }
        sleep(LOOK).await;
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}
