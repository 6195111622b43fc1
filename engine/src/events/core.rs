//! Events as a state machine: occurrences and answers in, requests out. Pure: time is an argument.
//!
//! The rules are those of client-go's recorder for `events.k8s.io` (KEP-383): the first occurrence makes an Event; equal ones
//! make it a series, whose count is written when it has doubled, every half hour, and once it is over. So a thousand
//! occurrences cost about ten requests, and what is shown is at least half of the truth at any time.
//!
//! # Invariants
//!
//! 1. A subject is in `outbox` once if its series is `Queued`, and not at all else.
//! 2. Each series stands in `ages` once, under its `place`.
//! 3. What is remembered is bounded: `REMEMBERED` series, `WAITING` in the outbox, a budget for each of `REMEMBERED` objects.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Kind;
use super::budget::Budgets;

/// A moment, as the time since the recorder was made.
pub(super) type Now = Duration;

/// Events that wait to be sent: those of a fleet's start. Each is among those that are remembered anyway, and they are fewer.
pub(super) const WAITING: usize = 4_000;

/// How long nothing is sent after an answer, in times of what that took to come: an event at a time takes a quarter of one
/// connection, and the busier the server is, the fewer there are of them. Seen with four at a time and no rest: they took a
/// quarter of an API server that was the bottleneck, while a fleet of 500 waited for its children.
const REST: u32 = 3;

/// The longest rest. A server that is far away, or whose processor has to wake up first, takes as long to answer as a busy one
/// (seen: 90 ms, by a server that did nothing else), and what a fleet's start has to tell would take ten minutes. One event in
/// fifty milliseconds is little for any server.
const LONGEST_REST: Duration = Duration::from_millis(50);

/// Series that are remembered. Beyond it the one that was observed longest ago is forgotten: should it occur again, that is
/// another Event.
pub(super) const REMEMBERED: usize = 4_096;

/// A series is over when nothing was observed for this time: client-go's.
pub(super) const SILENCE: Duration = Duration::from_mins(6);

/// A series that goes on is written this often, lest the server forgets the Event, which it does after an hour by default:
/// client-go's.
pub(super) const REFRESH: Duration = Duration::from_mins(30);

/// Tries of one request: client-go's.
pub(super) const TRIES: u32 = 12;

/// Wait after a try that got no answer, of all that is to be sent: client-go's, which makes that up to 25% longer.
pub(super) const RETRY: Duration = Duration::from_secs(10);

/// For how long nothing is sent to a namespace where events are forbidden: it is being deleted, or a right is missing. The
/// first is over within a minute as a rule, and one request a minute is no load.
pub(super) const MUTED: Duration = Duration::from_mins(1);

/// Namespaces that are muted at the same time. Beyond it none is: a cluster that forbids all of them is asked a bit more often.
const MUTED_NAMESPACES: usize = 1_024;

/// An object that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Reference {
    pub(super) api_version: String,
    pub(super) kind: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
}

/// What makes two occurrences equal. Who reports them is the same for all that one recorder files.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) regarding: Reference,
    pub(super) related: Option<Reference>,
    pub(super) kind: Kind,
    pub(super) reason: &'static str,
    pub(super) action: &'static str,
    pub(super) note: String,
}

impl Subject {
    /// Where its Event stands. Those about objects without a namespace stand in this one.
    pub(super) fn namespace(&self) -> &str {
        if self.regarding.namespace.is_empty() { "default" } else { &self.regarding.namespace }
    }
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) subject: Arc<Subject>,
    /// What makes the Event's name unique, beside the object's.
    pub(super) serial: u64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) count: u32,
    /// Whether the Event is to be made; else its series is to be changed.
    pub(super) is_new: bool,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is written.
    Done,
    /// What was to be changed is not there.
    Missing,
    /// Nothing may be written in this namespace now.
    Forbidden,
    /// The server will never take it.
    Refused,
    /// There was no answer, or one that says "later".
    Unavailable,
}

/// What has become of all that was filed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were carried out.
    pub sent: u64,
    /// Occurrences that were counted in a series, rather than made an Event of their own.
    pub aggregated: u64,
    /// Occurrences that exceeded what one object may be told of.
    pub suppressed: u64,
    /// Occurrences and requests that the server would not take.
    pub refused: u64,
    /// Occurrences and requests that were given up: too many at once, or no server for too long.
    pub dropped: u64,
}

#[derive(Debug)]
struct Series {
    serial: u64,
    first: Timestamp,
    last: Timestamp,
    /// When it was last observed, and what makes that unique.
    place: (Now, u64),
    count: u32,
    /// The count of which the server knows, or will never know; zero while there is no Event.
    told: u32,
    told_at: Now,
    state: State,
    tries: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Queued,
    Sending(u32),
}

/// The state of a recorder.
#[derive(Debug, Default)]
pub(super) struct Core {
    series: HashMap<Arc<Subject>, Series>,
    ages: BTreeMap<(Now, u64), Arc<Subject>>,
    outbox: VecDeque<Arc<Subject>>,
    budgets: Budgets,
    muted: HashMap<String, Now>,
    serial: u64,
    sending: usize,
    /// When the last request was sent.
    sent_at: Now,
    not_before: Now,
    closing: bool,
    counts: Counts,
}

impl Core {
    /// `subject` occurred, at a time of the clock.
    pub(super) fn observe(&mut self, now: Now, at: Timestamp, subject: Subject) {
        if self.muted.get(subject.namespace()).is_some_and(|until| now < *until) {
            self.counts.refused += 1;
            return;
        }
        self.serial += 1;
        let place = (now, self.serial);
        let known = self.series.get_key_value(&subject).map(|(subject, _)| subject.clone());
        if let Some((subject, series)) = known.and_then(|known| Some((known.clone(), self.series.get_mut(&known)?))) {
            self.counts.aggregated += 1;
            self.ages.remove(&series.place);
            self.ages.insert(place, subject.clone());
            series.place = place;
            series.last = at;
            series.count = series.count.saturating_add(1);
            self.queue_if_due(&subject);
        } else if self.outbox.len() >= WAITING {
            self.counts.dropped += 1;
        } else if self.budgets.spend(now, &subject.regarding.uid) {
            self.make_room();
            let subject = Arc::new(subject);
            let (serial, state) = (self.serial, State::Queued);
            let series =
                Series { serial, first: at, last: at, place, count: 1, told: 0, told_at: now, state, tries: 0 };
            self.series.insert(subject.clone(), series);
            self.ages.insert(place, subject.clone());
            self.outbox.push_back(subject);
        } else {
            self.counts.suppressed += 1;
        }
    }

    /// What is to be sent now, if anything is. It has to be answered, and the next one waits for that, but at the end.
    pub(super) fn next(&mut self, now: Now) -> Option<Request> {
        if now < self.not_before || self.has_to_wait() {
            return None;
        }
        let subject = self.outbox.pop_front()?;
        let series = self.series.get_mut(&subject)?;
        series.state = State::Sending(series.count);
        self.sending += 1;
        self.sent_at = now;
        let Series { serial, first, last, count, told, .. } = *series;
        Some(Request { subject, serial, first, last, count, is_new: told == 0 })
    }

    /// What came of a request. `luck`, in [0, 1), spreads the retries of several processes.
    pub(super) fn answered(&mut self, now: Now, luck: f64, subject: &Arc<Subject>, answer: Answer) {
        let Some(series) = self.series.get_mut(subject) else { return };
        let State::Sending(sent) = series.state else { return };
        self.sending -= 1;
        if !self.closing {
            self.not_before = now + (now.saturating_sub(self.sent_at) * REST).min(LONGEST_REST);
        }
        series.state = State::Idle;
        series.tries += 1;
        let is_last_try = series.tries >= TRIES || self.closing;
        match answer {
            Answer::Done => {
                (series.told, series.told_at, series.tries) = (sent, now, 0);
                self.counts.sent += 1;
            }
            // The Event is gone, by its age or by somebody's hand: another one goes on where it ended.
            Answer::Missing if series.told > 0 && !is_last_try => {
                self.serial += 1;
                (series.told, series.serial) = (0, self.serial);
                self.queue(subject);
                return;
            }
            Answer::Unavailable if !is_last_try => {
                series.state = State::Queued;
                self.outbox.push_front(subject.clone());
                self.not_before = now + RETRY.mul_f64(1.0 + luck / 4.0);
                return;
            }
            Answer::Missing | Answer::Forbidden | Answer::Refused | Answer::Unavailable => {
                (series.told, series.told_at, series.tries) = (sent, now, 0);
                if answer == Answer::Unavailable {
                    self.counts.dropped += 1;
                } else {
                    self.counts.refused += 1;
                }
                if answer == Answer::Forbidden {
                    self.mute(now, subject.namespace());
                }
            }
        }
        self.queue_if_due(subject);
    }

    /// Ends what is over, and refreshes what goes on. To be called about once a minute.
    pub(super) fn tick(&mut self, now: Now) {
        self.muted.retain(|_, until| now < *until);
        let is_over = |place: (Now, u64)| place.0 + SILENCE <= now;
        let over: Vec<_> =
            self.ages.iter().take_while(|(place, _)| is_over(**place)).map(|(_, subject)| subject.clone()).collect();
        for subject in over {
            let Some(series) = self.series.get(&subject).filter(|series| series.state == State::Idle) else { continue };
            if series.count > series.told {
                self.queue(&subject);
            } else {
                self.forget(&subject);
            }
        }
        let is_old =
            |series: &Series| series.state == State::Idle && series.count > 1 && series.told_at + REFRESH <= now;
        let old: Vec<_> =
            self.series.iter().filter(|(_, series)| is_old(series)).map(|(subject, _)| subject.clone()).collect();
        for subject in old {
            self.queue(&subject);
        }
    }

    /// Has every count written that is not; what fails from now on is not tried again.
    pub(super) fn close(&mut self) {
        self.closing = true;
        self.not_before = Now::ZERO;
        let subjects: Vec<_> = self.series.keys().cloned().collect();
        for subject in subjects {
            self.queue_if_due(&subject);
        }
    }

    /// Until when nothing can be sent, if something is to be.
    pub(super) fn wake_at(&self) -> Option<Now> {
        (!self.outbox.is_empty() && !self.has_to_wait()).then_some(self.not_before)
    }

    fn has_to_wait(&self) -> bool {
        self.sending > 0 && !self.closing
    }

    /// Whether nothing is to be sent, or under way.
    pub(super) fn is_idle(&self) -> bool {
        self.outbox.is_empty() && self.sending == 0
    }

    /// What has become of all that was observed.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// How many requests wait, or are under way.
    pub(super) fn unsent(&self) -> usize {
        self.outbox.len() + self.sending
    }

    fn queue(&mut self, subject: &Arc<Subject>) {
        if let Some(series) = self.series.get_mut(subject) {
            series.state = State::Queued;
            self.outbox.push_back(subject.clone());
        }
    }

    fn queue_if_due(&mut self, subject: &Arc<Subject>) {
        let Some(series) = self.series.get(subject) else { return };
        let is_due = series.count >= series.told.saturating_mul(2) || self.closing;
        if series.state == State::Idle && series.count > series.told && is_due {
            self.queue(subject);
        }
    }

    fn make_room(&mut self) {
        while self.series.len() >= REMEMBERED {
            let is_idle = |subject: &&Arc<Subject>| self.series.get(*subject).is_some_and(|it| it.state == State::Idle);
            // Fewer are waiting or under way than are remembered.
            let Some(oldest) = self.ages.values().find(is_idle).cloned() else { return };
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, subject: &Arc<Subject>) {
        if let Some(series) = self.series.remove(subject) {
            self.ages.remove(&series.place);
        }
    }

    fn mute(&mut self, now: Now, namespace: &str) {
        if self.muted.len() < MUTED_NAMESPACES {
            self.muted.insert(namespace.to_owned(), now + MUTED);
        }
    }
}

#[cfg(test)]
mod tests;
