//! Drives `watch` into `store`: sends the requests that the state machine asks for, and commits what comes back.
//!
//! Each commit's changes go to one callback, in order. This module knows no kind and no queue.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::api::{Client, Entry, Error};
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
    /// What was last said in the log, so that a lasting failure is said once and not with each attempt.
    said: Option<String>,
}

impl<T: Object> Reflector<T> {
    /// A reflector that reads through `client` and writes to `writer`.
    pub fn new(client: Client, writer: Writer<T>) -> Self {
        let delays = Schedule::new(FIRST_DELAY, LONGEST_DELAY);
        Self { client, writer, machine: Machine::default(), delays, said: None }
    }

    /// Lists and watches for as long as it is polled, and calls `changed` for each change.
    pub async fn run(mut self, changed: impl Fn(&Change<T>)) {
        loop {
            let end = match self.machine.request() {
                Request::List { continue_token } => self.list(continue_token.as_deref(), &changed).await,
                Request::Watch(start) => self.watch(&start, &changed).await,
            };
            let Err((end, error)) = end else { continue };
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

    async fn list(&mut self, token: Option<&str>, changed: &impl Fn(&Change<T>)) -> Result<(), (End, Option<Error>)> {
        let page = self.client.list(self.writer.namespace(), PAGE_SIZE, token).await.map_err(failed)?;
        if let Some(transaction) = self.machine.page(page).map_err(|end| (end, None))? {
            self.commit(transaction, changed);
        }
        Ok(())
    }

    async fn watch(
        &mut self,
        start: &crate::api::Start,
        changed: &impl Fn(&Change<T>),
    ) -> Result<(), (End, Option<Error>)> {
        let seconds = WATCH_SECONDS.0 + fastrand::u64(0..=WATCH_SECONDS.1);
        let mut watch = self.client.watch(self.writer.namespace(), start, seconds).await.map_err(failed)?;
        loop {
            let patience = if self.machine.awaits_list_end() { LIST_SILENCE } else { SILENCE };
            let event = match timeout(patience, watch.next()).await {
                Err(_elapsed) => return Err((End::Silent, None)),
                Ok(Err(error)) => return Err(failed(error)),
                Ok(Ok(None)) => return Err((End::Closed, None)),
                Ok(Ok(Some(event))) => event,
            };
            let status = if let crate::api::Event::Error(status) = &event { Some(status.clone()) } else { None };
            match self.machine.event(event) {
                Ok(None) => {}
                Ok(Some(transaction)) => self.commit(transaction, changed),
                Err(end) => return Err((end, status.map(Error::Status))),
            }
        }
    }

    fn commit(&mut self, transaction: Transaction<T>, changed: &impl Fn(&Change<T>)) {
        if let Transaction::Replace { version, entries } = &transaction {
            let namespace = self.writer.namespace().unwrap_or("*");
            info!(resource = %T::RESOURCE, namespace, %version, objects = entries.len(), "listed");
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
