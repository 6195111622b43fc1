//! Watch machine and cache against a server that is a list of states, over a network that does anything.
//!
//! Whatever comes in whatever order: the cache is a state that the server had, never goes back, and tells every change; what a
//! reader sees is never older than what was written here or seen before; and once all is delivered, it is what the server has.

use std::collections::{BTreeMap, HashSet, VecDeque};

use proptest::prelude::*;

use super::*;
use crate::api::{Event, Page, Start};
use crate::store::ByNamespace;
use crate::watch::{End, Machine, Request};

/// Few, so that they meet.
const KEYS: u8 = 3;

/// So that versions grow a digit while a test runs, and sort wrongly as text.
const FIRST_REVISION: u64 = 95;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Somebody creates or changes an object.
    Put(u8),
    /// Somebody deletes an object.
    Delete(u8),
    /// This process creates or changes an object; the answer comes later.
    OwnPut(u8),
    /// This process deletes an object; the answer comes later.
    OwnDelete(u8),
    /// An answer to one of these comes, not always the oldest.
    Answer(bool),
    /// The next thing is sent or delivered.
    Deliver(u8),
    /// What was delivered so many events ago comes once more.
    Repeat(u8),
    Bookmark,
    End(End),
    /// The past is forgotten.
    Compact,
    /// The next list is answered by a server that is behind.
    Lag(u8),
    /// Overdue own writes are looked at; what the server has of them comes later.
    Look,
    /// The next such answer comes.
    Found,
    /// The resource goes, with all its objects, and stays away until this is noticed.
    Vanish,
}

type State = BTreeMap<u8, (u32, u64)>;

#[derive(Debug)]
enum Stream {
    Closed,
    Initial { at: u64, pending: Vec<u8> },
    Following { at: u64 },
}

struct World {
    /// Whether versions have no order. Then a server that repeats itself or is behind can't be told from one that goes on, and
    /// neither can the later of two answers: here it does not, and they come in order.
    opaque: bool,
    /// Whether a name lives again after its end. Without an order nobody can tell an earlier life from a later one, so that
    /// readers may see either until the server is asked.
    again: bool,
    /// The state at each revision, from `FIRST_REVISION` on.
    states: Vec<State>,
    compacted: u64,
    lives: u32,
    lag: u64,
    lags: u32,
    stream: Stream,
    machine: Machine<Thing>,
    writer: Writer<Thing>,
    reader: Reader<Thing>,
    /// Answers that are under way: key, and the state that is written or deleted.
    answers: Vec<(u8, Option<Thing>, Option<Metadata>, u64)>,
    /// What the server had of objects that were overdue, on its way.
    looks: VecDeque<(Overdue, Option<Thing>)>,
    /// By key: readers have seen this revision, or were told of it. Without an order, this process has written it.
    low: BTreeMap<u8, u64>,
    /// What the changes so far add up to.
    told: BTreeMap<u8, (String, String)>,
    /// Lives whose end was told.
    ended: HashSet<String>,
    /// Whether the resource is known to be gone.
    gone: bool,
    reached: u64,
}

impl World {
    fn new(opaque: bool, again: bool) -> Self {
        let (writer, reader) = one_part();
        reader.index::<ByNamespace>();
        Self {
            opaque,
            again,
            states: vec![State::new()],
            compacted: FIRST_REVISION,
            lives: 0,
            lag: 0,
            lags: 0,
            stream: Stream::Closed,
            machine: Machine::default(),
            writer,
            reader,
            answers: Vec::new(),
            looks: VecDeque::new(),
            low: BTreeMap::new(),
            told: BTreeMap::new(),
            ended: HashSet::new(),
            gone: false,
            reached: 0,
        }
    }

    fn now(&self) -> u64 {
        FIRST_REVISION + self.states.len() as u64 - 1
    }

    fn at(&self, revision: u64) -> &State {
        &self.states[usize::try_from(revision - FIRST_REVISION).expect("small")]
    }

    /// A revision as a version.
    fn text(&self, revision: u64) -> String {
        let order = if self.opaque { "of " } else { "" };
        format!("{order}{revision}")
    }

    fn identified(&self, (uid, revision): (u32, u64)) -> (String, String) {
        (uid.to_string(), self.text(revision))
    }

    fn object(&self, key: u8, (uid, revision): (u32, u64)) -> Thing {
        thing(&key.to_string(), &uid.to_string(), &self.text(revision))
    }

    fn write(&mut self, key: u8, put: bool) -> Option<Thing> {
        let (revision, mut state) = (self.now() + 1, self.states.last().expect("the first").clone());
        let former = state.get(&key).copied();
        let is_over = former.is_none() && self.states.iter().any(|state| state.contains_key(&key));
        let written = if put {
            if is_over && !self.again {
                return None;
            }
            let uid = former.map_or_else(
                || {
                    self.lives += 1;
                    self.lives
                },
                |(uid, _)| uid,
            );
            state.insert(key, (uid, revision));
            self.object(key, (uid, revision))
        } else {
            state.remove(&key);
            self.object(key, former?)
        };
        self.states.push(state);
        Some(written)
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Put(key) => drop(self.write(key, true)),
            Step::Delete(key) => drop(self.write(key, false)),
            Step::OwnPut(key) => {
                if let Some(written) = self.write(key, true) {
                    self.answers.push((key, Some(written), None, self.now()));
                }
            }
            Step::OwnDelete(key) => {
                if let Some(deleted) = self.write(key, false) {
                    self.answers.push((key, None, Some(deleted.metadata), self.now()));
                }
            }
            Step::Answer(oldest) if !self.answers.is_empty() => {
                let index = if oldest || self.opaque { 0 } else { self.answers.len() - 1 };
                let (key, written, deleted, revision) = self.answers.remove(index);
                if let Some(written) = written {
                    self.reader.remember(written);
                }
                if let Some(deleted) = deleted {
                    self.reader.remember_deleted(&deleted);
                }
                let low = self.low.entry(key).or_insert(FIRST_REVISION);
                *low = match (self.opaque, self.again) {
                    (false, _) => revision.max(*low),
                    (true, false) => revision,
                    (true, true) => *low,
                };
            }
            Step::Deliver(times) => {
                for _ in 0..times {
                    self.deliver();
                }
            }
            Step::Repeat(back) => {
                if let Stream::Following { at } = self.stream
                    && at > FIRST_REVISION + u64::from(back)
                    && !self.opaque
                {
                    let event = self.event(at - u64::from(back));
                    self.take(event);
                }
            }
            Step::Bookmark => {
                if let Stream::Following { at } = self.stream {
                    // A bookmark tells how far the stream is that comes with it.
                    self.take(Event::Bookmark { version: version(&self.text(at)), ends_initial: false });
                }
            }
            Step::End(end) => self.end(end),
            Step::Compact => self.compacted = self.now(),
            Step::Lag(by) => {
                // A cluster that insists for longer than this is believed to have gone back in time.
                if self.lags < 5 && !self.opaque {
                    (self.lag, self.lags) = (u64::from(by), self.lags + 1);
                }
            }
            // One round after the other.
            Step::Look if self.looks.is_empty() => {
                for overdue in self.writer.overdue() {
                    let number = overdue.key().name.parse().expect("a number");
                    let state = self.states.last().expect("the first").get(&number).copied();
                    let found = state.map(|state| self.object(number, state));
                    self.looks.push_back((overdue, found));
                }
            }
            Step::Look | Step::Answer(_) => {}
            Step::Vanish => self.vanish(),
            Step::Found => {
                if let Some((overdue, found)) = self.looks.pop_front() {
                    let changes = self.writer.found(&overdue, found);
                    self.tell(&changes);
                    // What the server says is gone, the stream says once more when it comes to it.
                    for old in changes.iter().filter_map(|change| change.old.as_ref()) {
                        self.ended.remove(&identity(old).0);
                    }
                    if self.opaque {
                        // What the stream brings after that is believed.
                        self.low.insert(overdue.key().name.parse().expect("a number"), FIRST_REVISION);
                    }
                }
            }
        }
        self.check();
    }

    fn vanish(&mut self) {
        while !self.answers.is_empty() {
            self.step(Step::Answer(true));
        }
        for key in 0..KEYS {
            drop(self.write(key, false));
        }
        // That it is gone has no version that a later list could be held against.
        (self.compacted, self.lag) = (self.now(), 0);
        for _ in 0..3 {
            self.end(End::Absent);
            let transaction = self.machine.vanished();
            self.commit(transaction);
        }
    }

    fn event(&self, revision: u64) -> Event<Thing> {
        let differs = |key: &u8| self.at(revision).get(key) != self.at(revision - 1).get(key);
        let key = (0..KEYS).find(differs).expect("one changes with each revision");
        if let Some(state) = self.at(revision).get(&key) {
            return Event::Upsert(Entry::Valid(Arc::new(self.object(key, *state))));
        }
        let (uid, _) = self.at(revision - 1)[&key];
        Event::Delete(Entry::Valid(Arc::new(self.object(key, (uid, revision)))))
    }

    fn list_revision(&mut self) -> u64 {
        let revision = self.now().saturating_sub(std::mem::take(&mut self.lag)).max(FIRST_REVISION);
        revision.max(self.compacted)
    }

    fn deliver(&mut self) {
        match &mut self.stream {
            Stream::Closed => match self.machine.request() {
                Request::List { continue_token, whole } => self.page(continue_token.as_deref(), whole),
                Request::Watch(Start::WithList) => {
                    let at = self.list_revision();
                    self.stream = Stream::Initial { at, pending: self.at(at).keys().copied().collect() };
                }
                Request::Watch(Start::After(version)) => {
                    let at = revision(&version);
                    if at < self.compacted {
                        self.end(End::Expired);
                    } else {
                        self.stream = Stream::Following { at };
                    }
                }
            },
            Stream::Initial { at, pending } => {
                let (at, key) = (*at, pending.pop());
                if let Some(key) = key {
                    let mut entry = Entry::Valid(Arc::new(self.object(key, self.at(at)[&key])));
                    if self.machine.trusts_cache() {
                        self.writer.reuse([&mut entry]);
                    }
                    self.take(Event::Upsert(entry));
                } else {
                    self.stream = Stream::Following { at };
                    self.take(Event::Bookmark { version: version(&self.text(at)), ends_initial: true });
                }
            }
            Stream::Following { at } => {
                let revision = *at + 1;
                if revision <= self.now() {
                    self.stream = Stream::Following { at: revision };
                    let event = self.event(revision);
                    self.take(event);
                }
            }
        }
    }

    fn page(&mut self, token: Option<&str>, whole: bool) {
        let parse = |text: &str| text.parse::<u64>().expect("a number");
        let (revision, from) = match token.and_then(|token| token.split_once(':')) {
            Some((revision, from)) => (parse(revision), parse(from)),
            None => (self.list_revision(), 0),
        };
        if revision < self.compacted {
            return self.end(End::Expired);
        }
        let size = if whole { usize::MAX } else { 1 };
        let rest: Vec<_> = self.at(revision).iter().filter(|(key, _)| u64::from(**key) >= from).collect();
        let next = rest.get(size).map(|(key, _)| format!("{revision}:{key}"));
        let entries = rest.iter().take(size).map(|(key, state)| Entry::Valid(Arc::new(self.object(**key, **state))));
        let mut entries: Vec<_> = entries.collect();
        if self.machine.trusts_cache() {
            self.writer.reuse(&mut entries);
        }
        let page = Page { version: version(&self.text(revision)), continue_token: next, entries };
        match self.machine.page(page) {
            Ok(transaction) => self.commit(transaction),
            Err(end) => self.end(end),
        }
    }

    fn take(&mut self, event: Event<Thing>) {
        match self.machine.event(event) {
            Ok(transaction) => self.commit(transaction),
            Err(end) => self.end(end),
        }
    }

    fn end(&mut self, end: End) {
        self.stream = Stream::Closed;
        self.machine.ended(end);
    }

    fn commit(&mut self, transaction: Option<Transaction<Thing>>) {
        if let Some(transaction) = transaction {
            self.gone = matches!(transaction, Transaction::Clear);
            let changes = self.writer.commit(transaction);
            self.tell(&changes);
        }
    }

    fn tell(&mut self, changes: &[Change<Thing>]) {
        for change in changes {
            let key: u8 = change.key().name.parse().expect("a number");
            match (&change.old, &change.new) {
                (_, Some(new)) => {
                    self.ended.remove(&identity(new).0);
                    self.told.insert(key, identity(new));
                }
                (Some(old), None) => {
                    // Without an order, an answer that comes late may bring back what is gone, until the server is asked.
                    let is_first = self.ended.insert(identity(old).0);
                    assert!(is_first || self.opaque, "the end of {} is told twice", identity(old).0);
                    self.told.remove(&key);
                }
                (None, None) => panic!("nothing has changed"),
            }
        }
    }

    fn check(&mut self) {
        let state = self.reader.parts[0].read();
        if let Some(version) = state.version() {
            let reached = revision(version);
            assert!(reached >= self.reached, "the cache went from {} back to {reached}", self.reached);
            self.reached = reached;
            let streamed = state.objects();
            let streamed: BTreeMap<u8, (String, String)> =
                streamed.iter().map(|(key, entry)| (key.name.parse().expect("a number"), identity(entry))).collect();
            let server = self.at(reached).iter().map(|(key, state)| (*key, self.identified(*state)));
            let server = if self.gone { BTreeMap::new() } else { server.collect() };
            assert_eq!(streamed, server, "the cache is what the server had at {reached}");
        }
        drop(state);
        let all: BTreeMap<Key, (String, String)> =
            self.reader.list().iter().map(|entry| (entry.key(), identity(entry))).collect();
        let indexed = self.reader.by_index::<ByNamespace>(&"n".into());
        assert_eq!(all, indexed.iter().map(|entry| (entry.key(), identity(entry))).collect(), "the index");
        assert_eq!((all.len(), indexed.len(), self.reader.len()), (all.len(), all.len(), self.reader.keys().len()));
        if self.reached == 0 {
            return;
        }
        for number in 0..KEYS {
            let seen = self.reader.get(&key(&number.to_string())).map(|entry| identity(&entry));
            assert_eq!(seen.as_ref(), all.get(&key(&number.to_string())));
            let low = self.low.get(&number).copied().unwrap_or(FIRST_REVISION);
            let had = |revision: &u64| self.at(*revision).get(&number).map(|state| self.identified(*state)) == seen;
            let revision = (low..=self.now()).find(had);
            let revision = revision.unwrap_or_else(|| panic!("{number} was not {seen:?} at or after {low}"));
            if !self.opaque {
                self.low.insert(number, revision);
            }
        }
    }

    /// Delivers everything, and looks twice at what is overdue.
    fn settle(&mut self) {
        while !self.answers.is_empty() {
            self.step(Step::Answer(true));
        }
        for _ in 0..3 {
            self.lag = 0;
            // Lists, events, and lists that are refused.
            for _ in 0..self.states.len() + 20 {
                self.deliver();
            }
            self.step(Step::Bookmark);
            self.step(Step::Look);
            while !self.looks.is_empty() {
                self.step(Step::Found);
            }
        }
        let server = self.states.last().expect("the first").iter();
        let server: BTreeMap<u8, (String, String)> =
            server.map(|(key, state)| (*key, self.identified(*state))).collect();
        let seen = self.reader.list();
        let seen = seen.iter().map(|entry| (entry.key().name.parse().expect("a number"), identity(entry))).collect();
        assert_eq!(server, seen, "no ghost, and nothing lost");
        if self.opaque {
            // Of one life, an earlier state may be told after a later one: what counts is that it is told.
            let lives = |states: &BTreeMap<u8, (String, String)>| {
                states.iter().map(|(key, (uid, _))| (*key, uid.clone())).collect::<BTreeMap<_, _>>()
            };
            assert_eq!(lives(&server), lives(&self.told), "the end of every life was told");
        } else {
            assert_eq!(server, self.told, "every change was told");
        }
        assert_eq!(self.writer.stats().unconfirmed(), 0, "nothing is kept for ever");
    }
}

fn identity(entry: &Entry<Thing>) -> (String, String) {
    let metadata = entry.metadata();
    (metadata.uid.to_string(), metadata.resource_version.to_string())
}

fn revision(version: &ResourceVersion) -> u64 {
    version.0.trim_start_matches("of ").parse().expect("a number")
}

fn step() -> impl Strategy<Value = Step> {
    let ends = [End::Closed, End::Silent, End::Garbled, End::Failed, End::Behind, End::Expired, End::Refused];
    prop_oneof![
        4 => (0..KEYS).prop_map(Step::Put),
        3 => (0..KEYS).prop_map(Step::Delete),
        4 => (0..KEYS).prop_map(Step::OwnPut),
        3 => (0..KEYS).prop_map(Step::OwnDelete),
        5 => any::<bool>().prop_map(Step::Answer),
        9 => (1..6_u8).prop_map(Step::Deliver),
        2 => (0..4_u8).prop_map(Step::Repeat),
        1 => Just(Step::Bookmark),
        2 => proptest::sample::select(ends.to_vec()).prop_map(Step::End),
        1 => Just(Step::Compact),
        1 => (1..5_u8).prop_map(Step::Lag),
        2 => Just(Step::Look),
        2 => Just(Step::Found),
        1 => Just(Step::Vanish),
    ]
}

proptest! {
    // Thousands, and seconds in a debug build.
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cache_is_right_whatever_the_network_does(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new(false, true);
        for step in steps {
            world.step(step);
        }
        world.settle();
    }

    #[test]
    fn a_cache_is_right_where_versions_have_no_order(
        again in any::<bool>(),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut world = World::new(true, again);
        for step in steps {
            world.step(step);
        }
        world.settle();
    }
}
