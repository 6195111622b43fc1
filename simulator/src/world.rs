//! A server and what acts behind it, in virtual time: time passes when it is told to, and at once.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::controllers::Controllers;
use crate::request::Request;
use crate::server::{Answer, Server};

/// A server and its controllers. A run is a function of the seed, the requests and the times at which they were made.
#[derive(Debug, Clone)]
pub struct World {
    /// The server.
    pub server: Server,
    controllers: Controllers,
    now: Timestamp,
}

impl World {
    /// A new world at a time.
    pub fn new(seed: u64, now: Timestamp) -> Self {
        Self { server: Server::new(seed, now), controllers: Controllers::new(seed), now }
    }

    /// What time it is there.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Makes a request, now.
    pub fn handle(&mut self, request: &Request) -> Answer {
        self.server.handle(self.now, request)
    }

    /// Lets so much time pass, and everything happen that falls into it.
    pub fn pass(&mut self, time: Duration) {
        let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        let end = self.now.saturating_add(time).unwrap_or(Timestamp::MAX);
        loop {
            while self.controllers.step(&mut self.server, self.now) {}
            match self.controllers.due().filter(|due| *due <= end) {
                Some(due) => self.now = self.now.max(due),
                None => break,
            }
        }
        self.now = end;
    }
}
