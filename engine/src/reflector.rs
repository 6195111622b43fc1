//! Drives `watch` into `store`: sends the requests that the state machine asks for, and commits what comes back.
//!
//! Each commit's changes go to one callback, in order. This module knows no kind and no queue.

mod upkeep;

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tracing::{debug, info, warn};

use self::upkeep::{Task, Upkeep};
use crate::api::{Client, Entry, Error, Event, Start};
use crate::backoff::{Schedule, jittered};
use crate::object::Object;
use crate::store::{Change, Writer};
use crate::watch::{End, Machine, Pause, Request, Transaction};

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

/// Longest delay between attempts: an API server that is back is noticed within this time, and three sources that ask
/// every two seconds are no load on one that is overloaded.
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// The longest wait that a server may ask for: priority and fairness asks for up to 32 s, and one who asks for more is no API
/// server.
const LONGEST_ASKED: Duration = Duration::from_mins(1);

/// Time between two looks for a resource that the server does not know, such as one whose CRD is not applied yet.
const PROBE: Duration = Duration::from_secs(2);

/// Keeps one part of a cache up to date.
pub struct Reflector<T> {
    client: Client,
    writer: Writer<T>,
    machine: Machine<T>,
    delays: Schedule,
    /// The longest time between two audits of the cache; `None` for never.
    audits: Option<Duration>,
    /// What was last said in the log, so that a lasting failure is said once and not with each attempt.
    said: Option<String>,
}

impl<T: Object> Reflector<T> {
    /// A reflector that reads through `client` and writes to `writer`.
    pub fn new(client: Client, writer: Writer<T>) -> Self {
        let delays = Schedule::new(FIRST_DELAY, LONGEST_DELAY);
        Self { client, writer, machine: Machine::default(), delays, audits: Some(upkeep::AUDIT), said: None }
    }

    /// Says how often the cache is held against a list of the server's, so that what a watch has lost is made good: after at
    /// most this time, and at least half of it. An hour by default; `None` for never.
    pub fn audited_every(self, audits: Option<Duration>) -> Self {
        Self { audits, ..self }
    }

    /// Lists and watches for as long as it is polled, and calls `changed` for each change.
    pub async fn run(mut self, changed: impl Fn(&Change<T>)) {
        let mut upkeep = Upkeep::new(self.audits);
        loop {
            let end = match self.machine.request() {
                Request::List { continue_token, whole } => {
                    let limit = (!whole).then_some(PAGE_SIZE);
                    upkeep.put_off();
                    self.list(limit, continue_token.as_deref(), &changed).await
                }
                Request::Watch(start) => self.watch(&start, &mut upkeep, &changed).await,
            };
            let Err((end, error)) = end else { continue };
            self.writer.stats().count_end(end);
            let pause = self.machine.ended(end);
            self.report(end, pause, error.as_ref());
            if let Some(transaction) = self.machine.vanished() {
                self.commit(transaction, &changed);
            }
            match pause {
                Pause::None => {}
                Pause::Backoff(failures) => {
                    let asked = error.as_ref().and_then(|error| error.status()?.retry_after());
                    let delay = jittered(self.delays.delay(failures), fastrand::f64());
                    sleep(asked.unwrap_or_default().min(LONGEST_ASKED).max(delay)).await;
                }
                Pause::Probe => sleep(jittered(PROBE, fastrand::f64())).await,
            }
        }
    }

    async fn list(
        &mut self,
        limit: Option<u32>,
        token: Option<&str>,
        changed: &impl Fn(&Change<T>),
    ) -> Result<(), (End, Option<Error>)> {
        let mut page = self.client.list(self.writer.collection(), limit, token).await.map_err(failed)?;
        self.writer.stats().hear(Instant::now().into_std());
        if self.machine.trusts_cache() {
            self.writer.reuse(&mut page.entries);
        }
        if let Some(transaction) = self.machine.page(page).map_err(|end| (end, None))? {
            self.commit(transaction, changed);
        }
        Ok(())
    }

    async fn watch(
        &mut self,
        start: &Start,
        upkeep: &mut Upkeep<T>,
        changed: &impl Fn(&Change<T>),
    ) -> Result<(), (End, Option<Error>)> {
        let seconds = WATCH_SECONDS.0 + fastrand::u64(0..=WATCH_SECONDS.1);
        let mut watch = self.client.watch(self.writer.collection(), start, seconds).await.map_err(failed)?;
        self.writer.stats().count_watch();
        let mut heard = Instant::now();
        loop {
            let patience = if self.machine.awaits_list_end() { LIST_SILENCE } else { SILENCE };
            let event = tokio::select! {
                // An event that is there goes first: it may spare the upkeep its work.
                biased;
                event = timeout_at(heard + patience, watch.next()) => event,
                task = upkeep.next(), if self.machine.version().is_some() => {
                    if self.keep_up(task, upkeep, changed).await {
                        return Ok(());
                    }
                    continue;
                }
            };
            let mut event = match event {
                Err(_elapsed) => return Err((End::Silent, None)),
                Ok(Err(error)) => return Err(failed(error)),
                Ok(Ok(None)) => return Err((End::Closed, None)),
                Ok(Ok(Some(event))) => event,
            };
            heard = Instant::now();
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
                        upkeep.put_off();
                    }
                    self.commit(transaction, |change| {
                        upkeep.touch(|| change.key());
                        changed(change);
                    });
                    if self.machine.version().is_some_and(|version| upkeep.is_wrong(version, &self.writer)) {
                        self.machine.distrust();
                        return Ok(());
                    }
                }
                Err(end) => return Err((end, status.map(Error::Status))),
            }
        }
    }

    /// Does what is to be done beside the watch. Returns true if everything is to be listed again.
    async fn keep_up(&mut self, task: Task, upkeep: &mut Upkeep<T>, changed: &impl Fn(&Change<T>)) -> bool {
        match (task, self.machine.version()) {
            (Task::Look, _) => {
                Upkeep::look(&self.client, &mut self.writer).await.iter().for_each(changed);
                false
            }
            (Task::Audit, Some(version)) => {
                upkeep.begin(self.client.clone(), self.writer.collection().clone(), version.clone());
                false
            }
            (Task::Listed(listed), Some(version)) => {
                upkeep.listed(listed);
                let is_wrong = upkeep.is_wrong(version, &self.writer);
                if is_wrong {
                    self.machine.distrust();
                }
                is_wrong
            }
            (Task::Audit | Task::Listed(_), None) => false,
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
        let cause = error.map_or_else(|| format!("{end:?}"), |error| crate::object::chain(error));
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
