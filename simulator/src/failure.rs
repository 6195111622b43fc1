//! Why a request was refused → the `Status` that says so, in the words of a real API server.

use serde_json::{Value, json};

/// A request that was refused: code, reason, message and details of a `metav1.Status`.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The code of HTTP.
    pub code: u16,
    /// `metav1.StatusReason`; empty where the real server gives none.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// `metav1.StatusDetails`, where there are any.
    pub details: Option<Value>,
}

/// The resource and object that a failure is about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The API group; empty for the core.
    pub group: &'a str,
    /// The resource's plural name.
    pub plural: &'a str,
    /// The object's name.
    pub name: &'a str,
}

/// One field that is not as it has to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// `metav1.CauseType`.
    pub reason: &'static str,
    /// Where, as `spec.ports[0].name`.
    pub field: String,
    /// For people.
    pub message: String,
}

impl About<'_> {
    fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    fn details(&self) -> Value {
        let mut details = json!({"name": self.name, "kind": self.plural});
        if !self.group.is_empty() {
            details["group"] = self.group.into();
        }
        if self.name.is_empty() {
            details.as_object_mut().map(|details| details.remove("name"));
        }
        details
    }

    /// 404: there is no such object.
    pub fn not_found(&self) -> Failure {
        self.refuse(404, "NotFound", format!("{} {:?} not found", self.qualified(), self.name))
    }

    /// 409: the name is taken.
    pub fn already_exists(&self) -> Failure {
        self.refuse(409, "AlreadyExists", format!("{} {:?} already exists", self.qualified(), self.name))
    }

    /// 409: what was assumed does not hold.
    pub fn conflict(&self, why: &str) -> Failure {
        let message = format!("Operation cannot be fulfilled on {} {:?}: {why}", self.qualified(), self.name);
        self.refuse(409, "Conflict", message)
    }

    /// 403: an admission rule is against it.
    pub fn forbidden(&self, why: &str) -> Failure {
        self.refuse(403, "Forbidden", format!("{} {:?} is forbidden: {why}", self.qualified(), self.name))
    }

    /// 422: fields are not as they have to be. `kind` is the object's kind.
    pub fn invalid(&self, kind: &str, causes: &[Cause]) -> Failure {
        let about = About { plural: kind, ..*self };
        let mut told: Vec<String> = Vec::new();
        for cause in causes {
            let text = format!("{}: {}", cause.field, cause.message);
            if !told.contains(&text) {
                told.push(text);
            }
        }
        let told = if told.len() == 1 { told.remove(0) } else { format!("[{}]", told.join(", ")) };
        let mut failure =
            about.refuse(422, "Invalid", format!("{} {:?} is invalid: {told}", about.qualified(), self.name));
        let causes: Vec<Value> = causes.iter().map(Cause::render).collect();
        if let Some(details) = &mut failure.details {
            details["causes"] = causes.into();
        }
        failure
    }

    fn refuse(&self, code: u16, reason: &'static str, message: String) -> Failure {
        Failure { code, reason, message, details: Some(self.details()) }
    }
}

impl Cause {
    /// A value that is not allowed; `value` as the message shows it.
    pub fn invalid(field: impl Into<String>, value: &str, why: &str) -> Self {
        Self { reason: "FieldValueInvalid", field: field.into(), message: format!("Invalid value: {value}: {why}") }
    }

    /// A value that must not be there.
    pub fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self { reason: "FieldValueForbidden", field: field.into(), message: format!("Forbidden: {why}") }
    }

    /// A value that has to be there.
    pub fn required(field: impl Into<String>, why: &str) -> Self {
        let message = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        Self { reason: "FieldValueRequired", field: field.into(), message }
    }

    /// A value that is there already.
    pub fn duplicate(field: impl Into<String>, value: &str) -> Self {
        Self { reason: "FieldValueDuplicate", field: field.into(), message: format!("Duplicate value: {value}") }
    }

    /// A value that names what is not there.
    pub fn not_found(field: impl Into<String>, value: &str) -> Self {
        Self { reason: "FieldValueNotFound", field: field.into(), message: format!("Not found: {value}") }
    }

    /// A value out of a set that it has to be from.
    pub fn unsupported(field: impl Into<String>, value: &str, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|one| format!("{one:?}")).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", supported.join(", "));
        Self { reason: "FieldValueNotSupported", field: field.into(), message }
    }

    /// A text of more characters than the schema allows.
    pub fn too_long(field: impl Into<String>, most: u64) -> Self {
        let message = format!("Too long: may not be more than {most} byte{}", plural(most));
        Self { reason: "FieldValueTooLong", field: field.into(), message }
    }

    /// More items or fields than the schema allows.
    pub fn too_many(field: impl Into<String>, count: u64, most: u64) -> Self {
        let message = format!("Too many: {count}: must have at most {most} item{}", plural(most));
        Self { reason: "FieldValueTooMany", field: field.into(), message }
    }

    fn render(&self) -> Value {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

impl Failure {
    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { code: 400, reason: "BadRequest", message: message.into(), details: None }
    }

    /// 422: options of a request make no sense; `kind` as in `ListOptions`.
    pub fn options(kind: &str, causes: &[Cause]) -> Self {
        About { group: "meta.k8s.io", plural: "", name: "" }.invalid(kind, causes)
    }

    /// 500: what is the server's fault, or what the real one takes for that.
    pub fn internal(message: impl Into<String>) -> Self {
        let message = message.into();
        let details = json!({"causes": [{"message": message}]});
        let message = format!("Internal error occurred: {message}");
        Self { code: 500, reason: "InternalError", message, details: Some(details) }
    }

    /// 404 for a path that leads nowhere.
    pub fn no_route() -> Self {
        let message = "the server could not find the requested resource".into();
        Self { code: 404, reason: "NotFound", message, details: Some(json!({})) }
    }

    /// 405: the resource has no such verb.
    pub fn no_verb() -> Self {
        let message = "the server does not allow this method on the requested resource".into();
        Self { code: 405, reason: "MethodNotAllowed", message, details: Some(json!({})) }
    }

    /// 415: protobuf that can't be read.
    pub fn no_protobuf() -> Self {
        let message = "the simulator can't read this protobuf, or does not know its type: send JSON".into();
        Self { code: 415, reason: "UnsupportedMediaType", message, details: None }
    }

    /// 410: the history that is asked for is gone.
    pub fn expired(message: impl Into<String>) -> Self {
        Self { code: 410, reason: "Expired", message: message.into(), details: None }
    }

    /// The `metav1.Status`.
    pub fn render(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }
}
