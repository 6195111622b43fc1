//! Get and list: what is there, or was at a version; in pages, selected.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::failure::{Cause, Failure};
use crate::object;
use crate::resource::{Nature, Resource};
use crate::selector::Selector;
use crate::state::{Call, State};

/// The fields by which pods are selected.
const POD: [&str; 9] = [
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
];

/// The fields by which events are selected.
const EVENT: [&str; 11] = [
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
];

/// Where a list goes on: the version that its first page was of, and the place of the last object so far.
struct Continue {
    version: u64,
    after: (String, String),
}

/// The object.
///
/// # Errors
///
/// If it isn't there, or not yet.
pub fn get(state: &State, call: &Call<'_>) -> Result<Value, Failure> {
    let version = number(call.request.parameter("resourceVersion"))?;
    not_yet(state, version)?;
    Ok(Value::clone(&*state.object(call)?))
}

/// Which objects a call asks for.
///
/// # Errors
///
/// If a selector makes no sense.
pub fn selector(call: &Call<'_>) -> Result<Selector, Failure> {
    let parameter = |name| call.request.parameter(name);
    let selector = Selector::parse(parameter("labelSelector"), parameter("fieldSelector"))?;
    let resource = &call.resource;
    let others: &[&str] = match resource.nature {
        Nature::Namespace => &["status.phase", "name"],
        Nature::Service => &["spec.clusterIP", "spec.type"],
        Nature::Job => &["status.successful"],
        Nature::Pod => &POD,
        Nature::Plain if resource.kind == "Event" => &EVENT,
        _ => &[],
    };
    match selector.unknown_field(others) {
        Some(field) => {
            let message = match resource.nature {
                Nature::Job => format!("field label {field:?} not supported for Job"),
                Nature::Custom => format!("field label not supported: {field}"),
                _ if !others.is_empty() => format!("field label not supported: {field}"),
                _ => format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""),
            };
            Err(Failure::bad_request(message))
        }
        None => Ok(selector),
    }
}

/// The objects of a collection.
///
/// # Errors
///
/// If the version that is asked for is gone or to come, or the request makes no sense.
pub fn list(state: &State, call: &Call<'_>) -> Result<Value, Failure> {
    let selector = selector(call)?;
    let parameter = |name| call.request.parameter(name);
    check(call)?;
    for name in ["limit", "timeoutSeconds"] {
        let text = parameter(name);
        if !text.is_empty() && text.parse::<i64>().is_err() {
            return Err(Failure::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")));
        }
    }
    let limit: usize = parameter("limit").parse().unwrap_or(0);
    let matching = parameter("resourceVersionMatch");
    let invalid = |failure: Failure| Failure::bad_request(format!("invalid resource version: {}", failure.message));
    let wished = number(parameter("resourceVersion")).map_err(invalid)?;
    // Whatever is at hand is told whole.
    let limit = if wished == Some(0) { 0 } else { limit };
    let (version, after) = match parameter("continue") {
        "" => {
            not_yet(state, wished)?;
            let is_exact = matching == "Exact" || matching.is_empty() && limit > 0;
            (wished.filter(|wished| is_exact && *wished > 0).unwrap_or(state.history.version()), None)
        }
        token => {
            let token = Continue::parse(token)?;
            if wished.is_some_and(|wished| wished > 0) {
                let why = "specifying resource version is not allowed when using continue";
                return Err(Failure::bad_request(why));
            }
            (token.version, Some(token.after))
        }
    };
    if version < state.history.compacted() {
        let why = if after.is_some() {
            "The provided continue parameter is too old to display a consistent list result. You can start a new list \
             without the continue parameter, or use the continue token in this response to retrieve the remainder of \
             the results. Continuing with the provided token results in an inconsistent list - objects that were \
             created, modified, or deleted between the time the first chunk was returned and now may show up in the \
             list."
        } else {
            "The resourceVersion for the provided list is too old."
        };
        return Err(Failure::expired(why));
    }
    let all = state.history.list(&call.collection(), &call.target.namespace, version);
    let rest = all.into_iter().filter(|object| after.as_ref().is_none_or(|after| place(object) > *after));
    let is_named = !call.target.name.is_empty();
    let rest = rest.filter(|object| !is_named || object::text(object, "name") == call.target.name);
    let mut rest = rest.filter(|object| selector.matches(object));
    let page: Vec<Arc<Value>> = rest.by_ref().take(if limit == 0 { usize::MAX } else { limit }).collect();
    let left = rest.count();
    let mut metadata = json!({"resourceVersion": version.to_string()});
    if !call.resource.is_builtin() {
        metadata["continue"] = "".into();
    }
    if let Some(last) = page.last().filter(|_| left > 0) {
        metadata["continue"] = Continue { version, after: place(last) }.render().into();
        if selector.is_everything() {
            metadata["remainingItemCount"] = left.into();
        }
    }
    Ok(render(&call.resource, &metadata, &page))
}

/// The document of a list.
fn render(resource: &Resource, metadata: &Value, page: &[Arc<Value>]) -> Value {
    let item = |object: &Arc<Value>| {
        let mut item = Value::clone(object);
        if resource.is_builtin() {
            for name in ["apiVersion", "kind"] {
                object::map(&mut item).remove(name);
            }
        }
        item
    };
    json!({
        "kind": format!("{}List", resource.kind), "apiVersion": resource.api_version(), "metadata": metadata,
        "items": page.iter().map(item).collect::<Vec<_>>(),
    })
}

/// Options of a list that don't go together.
fn check(call: &Call<'_>) -> Result<(), Failure> {
    let parameter = |name| call.request.parameter(name);
    let (matching, version) = (parameter("resourceVersionMatch"), parameter("resourceVersion"));
    let mut causes = Vec::new();
    if !matching.is_empty() {
        let field = "resourceVersionMatch";
        if version.is_empty() {
            causes
                .push(Cause::forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
        }
        if !parameter("continue").is_empty() {
            causes.push(Cause::forbidden(field, "resourceVersionMatch is forbidden when continue is provided"));
        }
        if !matches!(matching, "Exact" | "NotOlderThan") {
            causes.push(Cause::unsupported(field, &format!("{matching:?}"), &["Exact", "NotOlderThan", ""]));
        }
        if (matching, version) == ("Exact", "0") {
            let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            causes.push(Cause::forbidden(field, why));
        }
    }
    if !parameter("sendInitialEvents").is_empty() {
        causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::options("ListOptions", &causes)) }
}

/// A version from its text; `None` if there is none.
///
/// # Errors
///
/// If it isn't one.
pub fn number(text: &str) -> Result<Option<u64>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let invalid = |_| {
        let why =
            format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax");
        Failure { code: 500, reason: "", message: why, details: None }
    };
    text.parse().map(Some).map_err(invalid)
}

fn not_yet(state: &State, version: Option<u64>) -> Result<(), Failure> {
    let present = state.history.version();
    match version.filter(|version| *version > present) {
        None => Ok(()),
        Some(version) => Err(Failure {
            code: 504,
            reason: "Timeout",
            message: format!("Too large resource version: {version}, current: {present}"),
            details: Some(json!({
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1,
            })),
        }),
    }
}

fn place(object: &Value) -> (String, String) {
    (object::text(object, "namespace").to_owned(), object::text(object, "name").to_owned())
}

impl Continue {
    fn render(&self) -> String {
        URL_SAFE_NO_PAD.encode(json!([self.version, self.after.0, self.after.1]).to_string())
    }

    fn parse(token: &str) -> Result<Self, Failure> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok();
        let parts = bytes.and_then(|bytes| serde_json::from_slice::<(u64, String, String)>(&bytes).ok());
        let invalid = || Failure::bad_request("invalid continue token: continue key is not valid");
        parts.map(|(version, space, name)| Self { version, after: (space, name) }).ok_or_else(invalid)
    }
}
