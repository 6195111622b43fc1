//! An in-memory Kubernetes API server, true to the real one, for tests of what is built on it.
//!
//! ```
//! use simulator::{Answer, Request, Server};
//!
//! let now = jiff::Timestamp::UNIX_EPOCH;
//! let mut server = Server::new(7, now);
//! let mut request = Request::new("POST", "/api/v1/namespaces/default/configmaps");
//! request.body = br#"{"metadata": {"name": "colours"}, "data": {"sky": "blue"}}"#.to_vec();
//! let Answer::Document { code, .. } = server.handle(now, &request) else { panic!("a document") };
//! assert_eq!(code, 201);
//! ```
//!
//! [`Server`] is a function of its seed, the time and the requests so far. [`Simulator`] puts it behind the engine's
//! [`transport::Service`](engine::transport::Service), where the engine can't tell it from a real one. How true it is to
//! that is measured: `docs/fidelity.md`.

#![allow(clippy::missing_panics_doc)]

// In the order in which a request passes: words first, then what an object is, then what is done with it.
pub mod failure; // pure: why -> Status
pub mod object; // pure: what is asked of any object
pub mod identity; // pure: seed -> uids, addresses, suffixes
pub mod rule; // pure: a rule's text -> what keeps it
pub mod schema; // pure: OpenAPI -> how values are made and merged
pub mod format; // pure: text -> whether it is of a format
pub mod term; // pure: JSON and schema -> what rules see
pub mod typing; // pure: a rule and a schema -> whether its types are right
pub mod proto; // pure: the built-in types as Go has them
pub mod fields; // pure: sets of fields
pub mod typed; // pure: values and schema -> fields, differences, merges
pub mod managed; // pure: who owns which field
pub mod patch; // pure: object and patch -> object
pub mod selector; // pure: text -> which objects
pub mod request; // pure: method, path, query -> what is asked
pub mod user; // pure: who asks
pub mod history; // pure: objects and changes
pub mod resource; // pure: which resources there are
pub mod protobuf; // pure: a body in protobuf -> in JSON
pub mod decode; // pure: what was sent -> what is kept
pub mod kind; // pure: what each kind does of its own
pub mod state; // pure: all of it, and one call
pub mod alias; // pure: events under their two names
pub mod jsonpath; // pure: a path in a text -> values
pub mod table; // pure: objects -> what kubectl prints of them
pub mod view; // pure: what a client accepts -> how it is shown
pub mod discovery; // pure: resources -> which there are
pub mod openapi; // pure: resources -> what they are made of
pub mod review; // pure: what a client may do
pub mod mistype; // pure: what was sent -> a value that is not of its field's type
pub mod admit; // pure: body -> object, and whether it may be there
pub mod validation; // pure: what was sent -> unknown fields
pub mod write; // pure: create, update, patch, apply
pub mod read; // pure: get, list
pub mod delete; // pure: delete
pub mod bind; // pure: the subresource binding
pub mod scale; // pure: the subresource scale
pub mod watch; // pure: history -> events
pub mod server; // pure: (state, now, request) -> answer
pub mod controllers; // pure: (state, now) -> writes, by what acts behind the API
pub mod world; // pure: server and controllers in virtual time
pub mod service; // the lock, the clock and the timers around it
pub mod audit; // pure: request and code -> what the audit log says
pub mod port; // a port of this machine, for kubectl

pub use controllers::Controllers;
pub use request::Request;
pub use server::{Answer, Server};
pub use service::{Clock, Simulator};
pub use world::World;
