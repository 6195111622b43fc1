//! The server as a function: its state, the time and a request → an answer.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::alias;
use crate::bind;
use crate::delete;
use crate::discovery;
use crate::failure::Failure;
use crate::object;
use crate::openapi;
use crate::protobuf;
use crate::read;
use crate::request::Request;
use crate::resource::Nature;
use crate::review;
use crate::scale;
use crate::state::{Call, State};
use crate::validation;
use crate::view::View;
use crate::watch::Watch;
use crate::write;

/// An API server. What it answers depends on nothing but its seed, and the requests and times so far.
#[derive(Debug, Clone)]
pub struct Server {
    state: State,
}

/// What a request is answered.
#[derive(Debug)]
pub enum Answer {
    /// A document.
    Document {
        /// The code of HTTP.
        code: u16,
        /// What it says.
        body: Value,
        /// What the client is warned of (the header `Warning`).
        warnings: Vec<String>,
    },
    /// Events, as they happen.
    Watch(Box<Watch>),
}

impl Server {
    /// A server with the namespace `default`.
    pub fn new(seed: u64, now: Timestamp) -> Self {
        let mut server = Self { state: State::new(seed) };
        let mut request = Request::new("POST", "/api/v1/namespaces");
        request.body = json!({"metadata": {"name": "default"}}).to_string().into_bytes();
        request.user_agent = "kube-apiserver".into();
        server.handle(now, &request);
        server
    }

    /// Answers a request.
    pub fn handle(&mut self, now: Timestamp, request: &Request) -> Answer {
        match self.answer(now, request) {
            Ok(answer) => answer,
            Err(failure) => Answer::Document { code: failure.code, body: failure.render(), warnings: Vec::new() },
        }
    }

    /// What a watch has to tell.
    pub fn poll(&self, watch: &mut Watch, now: Timestamp) -> Vec<Value> {
        watch.poll(&self.state, now)
    }

    /// All that it knows.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The version of the last change.
    pub fn version(&self) -> u64 {
        self.state.history.version()
    }

    /// Forgets all changes up to a version, as etcd's compaction does: what asks for older ones is answered 410.
    pub fn compact(&mut self, version: u64) {
        self.state.history.compact(version);
    }

    fn answer(&mut self, now: Timestamp, request: &Request) -> Result<Answer, Failure> {
        if let Some(review) = review::answer(request) {
            return Ok(Answer::Document { code: 201, body: review?, warnings: Vec::new() });
        }
        if request.method == "GET" {
            let published = discovery::document(&self.state, request);
            if let Some(body) = published.or_else(|| openapi::document(&self.state, request)) {
                return Ok(Answer::Document { code: 200, body, warnings: Vec::new() });
            }
        }
        let target = request.target()?;
        let resource = self.state.catalog.get(&target.group, &target.version, &target.plural);
        let resource = resource.ok_or_else(Failure::no_route)?;
        if alias::is_alias(&resource) && request.method != "GET" {
            return match self.answer(now, &alias::request(request))? {
                Answer::Document { code, body, warnings } if body["kind"] == "Event" => {
                    Ok(Answer::Document { code, body: alias::shown(body), warnings })
                }
                answer => Ok(answer),
            };
        }
        let call = Call { request, target, resource, now };
        if call.resource.is_namespaced && call.target.namespace.is_empty() && !call.target.name.is_empty() {
            return Err(Failure::no_route());
        }
        if request.content_type == protobuf::MEDIA {
            return Err(Failure::no_protobuf());
        }
        let view = View::of(&self.state, &call)?;
        let warnings = validation::check(&self.state, &call)?;
        let state = &mut self.state;
        let is_named = !call.target.name.is_empty();
        let (code, body) = match (request.method.as_str(), is_named, call.target.subresource.as_str()) {
            ("GET", false, "") if request.is_set("watch") => {
                return Ok(Answer::Watch(Box::new(Watch::start(state, &call)?)));
            }
            ("GET", false, "") => (200, read::list(state, &call)?),
            ("GET", true, "") => (200, read::get(state, &call)?),
            ("POST", false, "") => write::create(state, &call)?,
            ("PUT", true, "") => write::update(state, &call)?,
            ("PATCH", true, "") => write::patch(state, &call)?,
            ("DELETE", true, "") => (200, delete::delete(state, &call)?),
            ("DELETE", false, "") => (200, delete_all(state, &call)?),
            ("GET", true, "status") if call.resource.has_status => (200, read::get(state, &call)?),
            ("PUT", true, "status") if call.resource.has_status => write::update(state, &call)?,
            ("PATCH", true, "status") if call.resource.has_status => write::patch(state, &call)?,
            ("GET", true, "scale") if call.resource.scale.is_some() => (200, scale::get(state, &call)?),
            ("PUT" | "PATCH", true, "scale") if call.resource.scale.is_some() => scale::write(state, &call)?,
            ("POST", true, "binding") if call.resource.nature == Nature::Pod => bind::bind(state, &call)?,
            ("PUT", true, "finalize") if call.resource.nature == Nature::Namespace => {
                (200, delete::finalize(state, &call)?)
            }
            (_, true, "log" | "exec" | "attach" | "portforward") if call.target.plural == "pods" => {
                return Err(no_containers());
            }
            (_, _, "") => return Err(Failure::no_verb()),
            (_, _, "status") if call.resource.has_status => return Err(Failure::no_verb()),
            (_, _, "scale") if call.resource.scale.is_some() => return Err(Failure::no_verb()),
            _ => return Err(Failure::no_route()),
        };
        Ok(Answer::Document { code, body: view.show(&call.resource, body, now), warnings })
    }
}

/// The answer to whoever wants something of a container.
fn no_containers() -> Failure {
    let message = "the simulator runs no containers: there are no logs, and nothing to connect to".into();
    Failure { code: 501, reason: "NotImplemented", message, details: None }
}

/// Deletes all that a list with the same selectors would show, and answers that list.
fn delete_all(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let list = read::list(state, call)?;
    let items = list["items"].as_array();
    for item in items.into_iter().flatten() {
        let mut target = call.target.clone();
        object::text(item, "name").clone_into(&mut target.name);
        object::text(item, "namespace").clone_into(&mut target.namespace);
        let one = Call { request: call.request, target, resource: call.resource.clone(), now: call.now };
        delete::delete(state, &one)?;
    }
    Ok(list)
}
