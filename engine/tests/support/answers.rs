//! Answers of a server that a test makes up.

use bytes::Bytes;
use engine::transport::Response;
use http_body_util::{BodyExt as _, Full};

/// A refusal by HTTP status.
pub(crate) fn refusal(code: u16, reason: &str) -> Response {
    let status = format!(r#"{{"kind":"Status","code":{code},"reason":"{reason}","message":"so says the test"}}"#);
    let body = Full::new(Bytes::from(status)).map_err(|never| match never {});
    http::Response::builder().status(code).body(body.boxed_unsync()).expect("a response")
}
