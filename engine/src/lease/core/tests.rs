//! Electors on a model of an API server and of everything that can go wrong between them: requests and answers that are late,
//! lost or executed twice, processes that sleep, crash or end, and clocks that run at different rates.
//!
//! Each run is a function of its seed. What [`Shell`] does wrong must be found, or the model would prove nothing.

use fastrand::Rng;
use serde_json::json;

use super::*;

/// A step of the model.
const TICK: Duration = Duration::from_millis(100);

/// How fast a clock may run, in hundredths: together less than the half by which the lease is longer than the deadline.
const RATES: std::ops::RangeInclusive<u32> = 90..=110;

/// How far wall clocks are apart at most.
const SKEW: Duration = Duration::from_secs(5);

/// Time with faults, and without any after it: longer than a lease, and what came before it may have left under way.
const TICKS: (u32, u32) = (400, 150);

fn timing() -> Timing {
    Timing::new(Duration::from_secs(3), Duration::from_secs(2), Duration::from_millis(500)).unwrap()
}

/// How the core is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shell {
    /// As `lease.rs` does.
    Right,
    /// The deadline counts from the answer, as client-go's does.
    DeadlineFromAnswer,
    /// Whether a Lease is over is judged by the time that it states.
    RemoteClock,
    /// The Lease is given back while workers still work.
    ReleaseBeforeJoin,
}

/// What the server has.
#[derive(Debug, Clone)]
struct Stored {
    version: u64,
    holder: String,
    seconds: u64,
    transitions: i64,
    /// When it was renewed, by its writer's wall clock.
    renewed: Duration,
}

impl Stored {
    fn lease(&self) -> Lease {
        serde_json::from_value(json!({
            "metadata": {"name": "l", "namespace": "n", "resourceVersion": self.version.to_string()},
            "spec": {
                "holderIdentity": self.holder, "leaseDurationSeconds": self.seconds, "leaseTransitions": self.transitions,
            },
        }))
        .unwrap()
    }
}

#[derive(Debug, Clone)]
enum Answer {
    Is(Option<Stored>),
    Written(Stored),
    Conflict,
    Absent,
}

#[derive(Debug, Clone)]
enum Carried {
    /// `None` is a read.
    Request(Option<Write>, Duration),
    Answer(Answer),
}

#[derive(Debug, Clone)]
struct Message {
    process: usize,
    request: u64,
    at: u32,
    carried: Carried,
}

struct Process {
    core: Core,
    life: u32,
    rate: u32,
    offset: Duration,
    wall: Duration,
    /// Asleep until then.
    wakes: u32,
    /// Whether workers act, or have not yet stopped.
    busy: bool,
    ends: bool,
    /// Its number, its start, and the write; no write is a read.
    request: Option<(u64, Now, Option<Write>)>,
}

impl Process {
    fn new(number: usize, life: u32, rng: &mut Rng) -> Self {
        let identity = format!("{number}-{life}");
        Self {
            core: Core::new(identity.into(), timing()),
            life,
            rate: rng.u32(RATES),
            offset: Duration::from_millis(rng.u64(0..10_000)),
            wall: SKEW.mul_f64(rng.f64()) + Duration::from_secs(100),
            wakes: 0,
            busy: false,
            ends: false,
            request: None,
        }
    }

    fn now(&self, tick: u32) -> Now {
        self.offset + TICK * tick * self.rate / 100
    }
}

struct Model {
    shell: Shell,
    rng: Rng,
    tick: u32,
    version: u64,
    stored: Option<Stored>,
    processes: Vec<Process>,
    wire: Vec<Message>,
    requests: u64,
    faulty: bool,
    terms: u64,
}

impl Model {
    fn new(seed: u64, processes: usize, shell: Shell) -> Self {
        let mut rng = Rng::with_seed(seed);
        let processes = (0..processes).map(|number| Process::new(number, 0, &mut rng)).collect();
        let wire = Vec::new();
        Self { shell, rng, tick: 0, version: 0, stored: None, processes, wire, requests: 0, faulty: true, terms: 0 }
    }

    /// Plays a whole history; says what went wrong in it.
    fn play(mut self) -> Result<u64, String> {
        for tick in 0..TICKS.0 + TICKS.1 {
            (self.tick, self.faulty) = (tick, tick < TICKS.0);
            self.carry()?;
            for number in 0..self.processes.len() {
                self.live(number);
            }
            let awake = |process: &&Process| process.wakes <= tick;
            let leads = |process: &&Process| process.core.term(process.now(tick)).is_some();
            let leaders = self.processes.iter().filter(awake).filter(leads).count();
            if leaders > 1 {
                return Err(format!("{leaders} lead at tick {tick}"));
            }
        }
        let leads = |process: &Process| process.core.term(process.now(self.tick)).is_some();
        if self.processes.iter().any(leads) { Ok(self.terms) } else { Err("nobody leads in the end".to_owned()) }
    }

    fn chance(&mut self, one_in: u32) -> bool {
        self.faulty && self.rng.u32(0..one_in) == 0
    }

    fn send(&mut self, process: usize, request: u64, carried: &Carried) {
        let copies = if self.chance(20) { 2 } else { u32::from(!self.chance(10)) };
        for _ in 0..copies {
            // Some are very late: later than a lease.
            let late = if self.chance(15) { 50 } else { 3 };
            let delay = if self.faulty { self.rng.u32(0..late) } else { 0 };
            self.wire.push(Message { process, request, at: self.tick + delay, carried: carried.clone() });
        }
    }

    /// Delivers what is due.
    fn carry(&mut self) -> Result<(), String> {
        let (due, later): (Vec<_>, Vec<_>) = self.wire.drain(..).partition(|message| message.at <= self.tick);
        self.wire = later;
        for message in due {
            match message.carried {
                Carried::Request(write, wall) => {
                    let answer = self.serve(message.process, write, wall)?;
                    self.send(message.process, message.request, &Carried::Answer(answer));
                }
                Carried::Answer(answer) if self.processes[message.process].wakes <= self.tick => {
                    self.answered(message.process, message.request, answer);
                }
                // It is read when the process wakes.
                carried @ Carried::Answer(_) => {
                    let at = self.processes[message.process].wakes;
                    self.wire.push(Message { at, carried, ..message });
                }
            }
        }
        Ok(())
    }

    fn serve(&mut self, process: usize, write: Option<Write>, wall: Duration) -> Result<Answer, String> {
        let Some(write) = write else { return Ok(Answer::Is(self.stored.clone())) };
        let version = self.stored.as_ref().map(|stored| stored.version.to_string());
        let expected = write.version.as_ref().map(|version| version.0.to_string());
        match (&version, &expected) {
            (None, Some(_)) => return Ok(Answer::Absent),
            (version, expected) if version != expected => return Ok(Answer::Conflict),
            _ => {}
        }
        let sender = &self.processes[process];
        if write.kind == Kind::Release && sender.busy {
            return Err(format!("given back at tick {} by one that works", self.tick));
        }
        self.version += 1;
        let (holder, seconds) = match write.kind {
            Kind::Release => (String::new(), 1),
            Kind::Acquire | Kind::Renew => (sender.core.identity.to_string(), 3),
        };
        let stored = Stored { version: self.version, holder, seconds, transitions: write.transitions, renewed: wall };
        self.stored = Some(stored.clone());
        Ok(Answer::Written(stored))
    }

    /// When what was seen now counts as seen.
    fn seen_at(&self, number: usize, stored: Option<&Stored>) -> Now {
        let process = &self.processes[number];
        let now = process.now(self.tick);
        match (self.shell, stored) {
            (Shell::RemoteClock, Some(stored)) => {
                let age = (process.wall + TICK * self.tick).saturating_sub(stored.renewed);
                now.saturating_sub(age)
            }
            _ => now,
        }
    }

    fn answered(&mut self, number: usize, request: u64, answer: Answer) {
        let (tick, shell) = (self.tick, self.shell);
        let pause = Duration::from_millis(500 + self.rng.u64(0..100));
        let at = match &answer {
            Answer::Is(stored) => self.seen_at(number, stored.as_ref()),
            Answer::Written(stored) => self.seen_at(number, Some(stored)),
            Answer::Conflict | Answer::Absent => self.processes[number].now(tick),
        };
        let process = &mut self.processes[number];
        let now = process.now(tick);
        let Some((_, started, write)) = process.request.take_if(|(sent, ..)| *sent == request) else { return };
        match answer {
            Answer::Is(stored) => process.core.seen(at, stored.map(|stored| stored.lease()).as_ref()),
            Answer::Absent => process.core.seen(now, None),
            Answer::Conflict => process.core.failed(started, Failure::Conflict, pause),
            Answer::Written(_) if write.is_some_and(|write| write.kind == Kind::Release) => process.core.released(),
            Answer::Written(stored) => {
                let started = if shell == Shell::DeadlineFromAnswer { now } else { started };
                let former = process.core.term(now);
                process.core.won(started, now, &stored.lease(), pause);
                let term = process.core.term(now);
                self.terms += u64::from(term.map(|term| term.number) != former.map(|term| term.number));
            }
        }
    }

    /// What a process does in a tick.
    fn live(&mut self, number: usize) {
        let tick = self.tick;
        if self.processes[number].wakes > tick {
            return;
        }
        if self.chance(150) {
            let sleep = self.rng.u32(1..80);
            self.processes[number].wakes = tick + sleep;
            return;
        }
        let is_over = self.chance(400) || self.processes[number].ends && self.processes[number].is_done(tick);
        if is_over {
            let life = self.processes[number].life + 1;
            self.processes[number] = Process::new(number, life, &mut self.rng);
            self.processes[number].offset = Duration::from_mins(1);
        }
        let (ends, joins, watches) = (self.chance(200), self.rng.u32(0..5) == 0, self.rng.bool());
        let pause = Duration::from_millis(500 + self.rng.u64(0..100));
        let at = self.seen_at(number, self.stored.as_ref());
        let (shell, stored) = (self.shell, self.stored.clone());
        let process = &mut self.processes[number];
        let now = process.now(tick);
        process.ends |= ends;
        if process.core.watched(now).is_some() && watches {
            process.core.seen(at, stored.map(|stored| stored.lease()).as_ref());
        }
        let leads = process.core.term(now).is_some();
        // Workers begin with a term, end where they are when it is lost, and finish what they hold when they are told to end.
        process.busy = match (leads, process.ends) {
            (true, false) => true,
            (true, true) => process.busy && !joins,
            (false, _) => process.busy && process.core.leaves() && !joins,
        };
        if process.ends && !process.core.leaves() && (!process.busy || shell == Shell::ReleaseBeforeJoin) {
            process.core.leave();
        }
        process.core.contend(!process.ends);
        if let Some((_, started, write)) = &process.request {
            if now < *started + timing().renew_deadline / 2 {
                return;
            }
            let failure = if write.is_some() { Failure::Ambiguous } else { Failure::Unread };
            process.core.failed(*started, failure, pause);
            process.request = None;
        }
        let write = match process.core.next(now) {
            Step::Read => None,
            Step::Write(write) => Some(write),
            Step::Wait(_) if process.core.known == Known::Absent && !leads => return process.core.forget(now + pause),
            Step::Wait(_) | Step::End => return,
        };
        self.requests += 1;
        let wall = process.wall + TICK * tick;
        process.request = Some((self.requests, now, write.clone()));
        let request = self.requests;
        self.send(number, request, &Carried::Request(write, wall));
    }
}

impl Process {
    fn is_done(&self, tick: u32) -> bool {
        self.request.is_none() && self.core.leaves() && self.core.next(self.now(tick)) == Step::End
    }
}

/// The first seeds of which something goes wrong, and what.
fn wrong(shell: Shell, seeds: u64) -> Vec<(u64, String)> {
    let runs = (0..seeds).map(|seed| (seed, Model::new(seed, 2 + usize::from(seed % 2 == 1), shell).play()));
    runs.filter_map(|(seed, played)| Some((seed, played.err()?))).take(3).collect()
}

/// Of a minute of the model's time each; 40,000 were played once.
#[test]
fn no_two_lead_at_a_time_and_somebody_does_once_all_is_well() {
    assert_eq!(wrong(Shell::Right, 500), []);
}

#[test]
fn terms_change_hands_often_enough_to_prove_something() {
    let terms: u64 = (0..100).filter_map(|seed| Model::new(seed, 3, Shell::Right).play().ok()).sum();
    assert!(terms > 500, "{terms} terms in 100 histories");
}

#[test]
fn a_deadline_that_counts_from_the_answer_lets_two_lead() {
    let wrong = wrong(Shell::DeadlineFromAnswer, 3_000);
    assert!(wrong.iter().any(|(_, what)| what.contains("lead at")), "{wrong:?}");
}

#[test]
fn a_lease_judged_by_anothers_clock_lets_two_lead() {
    let wrong = wrong(Shell::RemoteClock, 3_000);
    assert!(wrong.iter().any(|(_, what)| what.contains("lead at")), "{wrong:?}");
}

#[test]
fn a_lease_given_back_before_the_workers_have_stopped_is_found() {
    let wrong = wrong(Shell::ReleaseBeforeJoin, 3_000);
    assert!(wrong.iter().any(|(_, what)| what.contains("by one that works")), "{wrong:?}");
}
