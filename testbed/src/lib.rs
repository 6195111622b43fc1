//! The server that a test runs against: a real control plane, or with `TEST_SERVER=simulator` the simulator in its place.
//!
//! ```no_run
//! let Some(server) = testbed::start_or_say(testbed::Options::api_only()) else { return };
//! server.admin().create("/api/v1/namespaces", &serde_json::json!({"metadata": {"name": "blue"}}));
//! server.kill(testbed::Component::ApiServer).expect("it runs");
//! ```
//!
//! A test is written once, and holds on both: so what the simulator lets pass, the real server lets pass, too. What only the real
//! one has, a test asks for by [`has`], which says so loudly where it ends the test.
//!
//! Every call blocks, and fails by a panic.

#![allow(clippy::missing_panics_doc)]

// From which server it is, over who asks it, to the server itself.
mod switch;
mod admin;
mod manifests;
mod simulated;
mod server;

pub use admin::Admin;
pub use cluster::{Component, Components, Options};
pub use server::{Server, start_or_say};
pub use switch::{Feature, has, has_kubectl, is_simulated};
