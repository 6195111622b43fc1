//! What the controllers behind the API make of objects, in virtual time.

mod collected;
mod jobs;
mod pods;
mod rollouts;
mod seeds;
mod world;
