//! Drives `watch` into `store`: sends the requests that the state machine asks for, and commits what comes back.
//!
//! Each commit's changes go to one callback, in order. This module knows no kind and no queue.

mod audits;
mod doubt;
mod looks;

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, info, warn};

use self::audits::{Audits, Task};
use self::doubt::Doubt;
use self::looks::{Look, Looks};
use crate::api::{Client, Entry, Error, Event, Start};
use crate::backoff::{Schedule, jittered};
use crate::object::Object;
use crate::store::{Change, Writer};
use crate::watch::{End, Machine, Pause, Reason, Request, Transaction};

/// Objects a page. client-go's number; a page of Deployments is then about 2 MB.
const PAGE_SIZE: u32 = 500;

/// The longest that a watch may bring nothing. Bookmarks come about once a minute, so a watch that has been silent for
/// longer than that and some slack is dead, even where its connection still answers pings.
const SILENCE: Duration = Duration::from_secs(75);

/// The longest that a streamed list may bring nothing before its end. A server that ignores the wish for one sends what it
/// has at once, and then no end; waiting longer would only delay the start.
const LIST_SILENCE: Duration = Duration::from_secs(10);

/// How long the server keeps a watch open, in seconds, and by how much that varies. The sum is below the 240 s after which
/// common load balancers drop a connection that they take for idle; the variation spreads the reconnects.
const WATCH_SECONDS: (u64, u64) = (180, 50);

/// Delay after the first failure in a row: short, since most failures are one cut connection.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// Longest delay between attempts: an API server that is back is noticed within this time, and a dozen sources that ask
/// every two seconds are no load on one that is overloaded.
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// The longest wait that a server may ask for: priority and fairness asks for up to 32 s, and one who asks for more is no API
/// server.
const LONGEST_ASKED: Duration = Duration::from_mins(1);

/// First and longest time between two looks for a resource that the server does not know, or does not let us read. The first is
/// for one whose CRD or role is being applied just now; the longest, for one that may never come, is as often as anybody waits for
/// it.
const PROBE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// By how much earlier than asked a watch may end and still have ended in time: the server's clock is another.
const EARLY: Duration = Duration::from_secs(2);

/// Keeps one part of a cache up to date.
pub struct Reflector<T> {
    client: Client,
    writer: Writer<T>,
    machine: Machine<T>,
    delays: Schedule,
    probes: Schedule,
    /// The longest time between two audits of the cache; `None` for never.
    audits: Option<Duration>,
    /// Whether a watch has ended before its time since anything was last heard: the server may be another one now.
    is_cut: bool,
    /// What was last said in the log, so that a lasting failure is said once and not with each attempt.
    said: Option<String>,
}

/// What is done beside lists and watches.
struct Upkeep<T> {
    looks: Looks<T>,
    doubt: Doubt,
    audits: Audits<T>,
}

impl<T: Object> Reflector<T> {
    /// A reflector that reads through `client` and writes to `writer`.
    pub fn new(client: Client, writer: Writer<T>) -> Self {
        let (delays, probes) = (Schedule::new(FIRST_DELAY, LONGEST_DELAY), Schedule::new(PROBE.0, PROBE.1));
        let (machine, audits) = (Machine::default(), Some(audits::AUDIT));
        Self { client, writer, machine, delays, probes, audits, is_cut: false, said: None }
    }

    /// Says how often the cache is held against a list of the server's, so that what a watch has lost is made good: after at
    /// most this time, and at least half of it. An hour by default; `None` for never.
    pub fn audited_every(self, audits: Option<Duration>) -> Self {
        Self { audits, ..self }
    }

    /// Lists and watches for as long as it is polled, and calls `changed` for each change.
    pub async fn run(mut self, changed: impl Fn(&Change<T>)) {
        let mut upkeep = Upkeep { looks: Looks::new(), doubt: Doubt::default(), audits: Audits::new(self.audits) };
        loop {
            let end = match self.machine.request() {
                Request::List { continue_token, whole } => {
                    let limit = (!whole).then_some(PAGE_SIZE);
                    upkeep.audits.put_off();
                    self.list(limit, continue_token, &mut upkeep, &changed).await
                }
                Request::Watch(start) => self.watch(start, &mut upkeep, &changed).await,
            };
            let Err((end, error)) = end else { continue };
            self.writer.stats().count_end(end);
            let pause = self.machine.ended(end);
            self.report(end, pause, error.as_ref());
            if let Some(transaction) = self.machine.vanished() {
                self.commit(transaction, &changed);
            }
            let delay = match pause {
                Pause::None => continue,
                Pause::Backoff(failures) => {
                    let asked = error.as_ref().and_then(|error| error.status()?.retry_after());
                    let delay = jittered(self.delays.delay(failures), fastrand::f64());
                    asked.unwrap_or_default().min(LONGEST_ASKED).max(delay)
                }
                Pause::Probe(looks) => jittered(self.probes.delay(looks), fastrand::f64()),
            };
            self.looking_meanwhile(sleep(delay), &mut upkeep.looks, &changed).await;
        }
    }

    async fn list(
        &mut self,
        limit: Option<u32>,
        token: Option<String>,
        upkeep: &mut Upkeep<T>,
        changed: &impl Fn(&Change<T>),
    ) -> Result<(), (End, Option<Error>)> {
        let (client, collection) = (self.client.clone(), self.writer.collection().clone());
        let page = async move { client.list(&collection, limit, token.as_deref()).await };
        let mut page = self.looking_meanwhile(page, &mut upkeep.looks, changed).await.map_err(failed)?;
        self.writer.stats().hear(Instant::now().into_std());
        if self.machine.trusts_cache() {
            self.writer.reuse(&mut page.entries);
        }
        if let Some(transaction) = self.machine.page(page).map_err(|end| (end, None))? {
            self.is_cut = false;
            self.commit(transaction, changed);
        }
        Ok(())
    }

    async fn watch(
        &mut self,
        start: Start,
        upkeep: &mut Upkeep<T>,
        changed: &impl Fn(&Change<T>),
    ) -> Result<(), (End, Option<Error>)> {
        let seconds = WATCH_SECONDS.0 + fastrand::u64(0..=WATCH_SECONDS.1);
        let goes_on = matches!(start, Start::After(_));
        let (client, collection) = (self.client.clone(), self.writer.collection().clone());
        let opening = async move { client.watch(&collection, &start, seconds).await };
        let is_cut = std::mem::replace(&mut self.is_cut, true);
        let mut watch = self.looking_meanwhile(opening, &mut upkeep.looks, changed).await.map_err(failed)?;
        self.writer.stats().count_watch();
        if is_cut && goes_on {
            upkeep.doubt.raise();
        }
        let opened = Instant::now();
        let mut heard = opened;
        loop {
            let patience = if self.machine.awaits_list_end() { LIST_SILENCE } else { SILENCE };
            let event = tokio::select! {
                // An event that is there goes first: it may spare the upkeep its work.
                biased;
                event = timeout_at(heard + patience, watch.next()) => event,
                look = upkeep.looks.next(&self.client) => {
                    self.look(look, &mut upkeep.looks, changed);
                    continue;
                }
                () = upkeep.doubt.confirmed(&self.client, &self.writer, self.machine.version()) => {
                    upkeep.doubt.settle();
                    self.machine.distrust(Reason::Ended(End::Regressed));
                    return Ok(());
                }
                task = upkeep.audits.next(), if self.machine.version().is_some() => {
                    if self.audit(task, &mut upkeep.audits) {
                        return Ok(());
                    }
                    continue;
                }
            };
            let mut event = match event {
                Err(_elapsed) => return Err((End::Silent, None)),
                Ok(Err(error)) => return Err(failed(error)),
                Ok(Ok(None)) => {
                    self.is_cut = opened.elapsed() + EARLY < Duration::from_secs(seconds);
                    return Err((End::Closed, None));
                }
                Ok(Ok(Some(event))) => event,
            };
            heard = Instant::now();
            upkeep.doubt.settle();
            self.writer.stats().hear(heard.into_std());
            if let Event::Upsert(entry) = &mut event
                && self.machine.awaits_list_end()
                && self.machine.trusts_cache()
            {
                self.writer.reuse([entry]);
            }
            let status = if let Event::Error(status) = &event { Some(status.clone()) } else { None };
            match self.machine.event(event) {
                Ok(None) => {}
                Ok(Some(transaction)) => {
                    if matches!(transaction, Transaction::Replace { .. }) {
                        upkeep.audits.put_off();
                    }
                    self.commit(transaction, |change| {
                        upkeep.audits.touch(|| change.key());
                        changed(change);
                    });
                    if self.machine.version().is_some_and(|version| upkeep.audits.is_wrong(version, &self.writer)) {
                        self.machine.distrust(Reason::Audit);
                        return Ok(());
                    }
                }
                Err(end) => return Err((end, status.map(Error::Status))),
            }
        }
    }

    /// Does `work`, which is to know nothing of this cache, and looks at own writes that are overdue meanwhile.
    async fn looking_meanwhile<R>(
        &mut self,
        work: impl Future<Output = R>,
        looks: &mut Looks<T>,
        changed: &impl Fn(&Change<T>),
    ) -> R {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                look = looks.next(&self.client) => self.look(look, looks, changed),
            }
        }
    }

    fn look(&mut self, look: Look<T>, looks: &mut Looks<T>, changed: &impl Fn(&Change<T>)) {
        match look {
            Look::Due => looks.begin(self.writer.overdue()),
            Look::Found(overdue, object) => self.writer.found(&overdue, object).iter().for_each(changed),
        }
    }

    /// Takes an audit one step on. Returns true if everything is to be listed again.
    fn audit(&mut self, task: Task, audits: &mut Audits<T>) -> bool {
        let Some(version) = self.machine.version() else { return false };
        match task {
            Task::Begin => {
                audits.begin(self.client.clone(), self.writer.collection().clone(), version.clone());
                false
            }
            Task::Listed(listed) => {
                audits.listed(listed);
                let is_wrong = audits.is_wrong(version, &self.writer);
                if is_wrong {
                    self.machine.distrust(Reason::Audit);
                }
                is_wrong
            }
        }
    }

    fn commit(&mut self, transaction: Transaction<T>, mut changed: impl FnMut(&Change<T>)) {
        if let Transaction::Replace { version, entries, reason, .. } = &transaction {
            let namespace = self.writer.collection().namespace.as_deref().unwrap_or("*");
            let reason = reason.as_str();
            info!(resource = %T::RESOURCE, namespace, %version, objects = entries.len(), reason, "listed");
        }
        self.said = None;
        for change in self.writer.commit(transaction) {
            if let Some(Entry::Invalid(invalid)) = &change.new {
                warn!(resource = %T::RESOURCE, object = %change.key(), error = %invalid.error, "object can't be decoded");
            }
            changed(&change);
        }
    }

    fn report(&mut self, end: End, pause: Pause, error: Option<&Error>) {
        let cause = error.map_or_else(|| end.to_string(), |error| crate::object::chain(error));
        let resource = T::RESOURCE;
        let text = match (end, pause) {
            (End::Absent, _) => format!("the API server does not know {resource}: waiting until its CRD is applied"),
            (_, Pause::None) => {
                debug!(%resource, ?end, cause, "watch ended, going on");
                return;
            }
            (End::Regressed, _) => format!("a list of {resource} is older than what is known, asking again"),
            _ => format!("can't list or watch {resource}, retrying: {cause}"),
        };
        if self.said.as_ref() != Some(&text) {
            warn!(%resource, ?end, "{text}");
            self.said = Some(text);
        }
    }
}

fn failed(error: Error) -> (End, Option<Error>) {
    (End::from(&error), Some(error))
}
