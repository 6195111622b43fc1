//! What the kubelet and Prometheus ask: /healthz, /readyz, /metrics. Answers from memory, and asks nobody.

use engine::controller::Readiness;
use engine::metrics::{self, Metrics};
use http::{Request, Response, StatusCode, header};

/// `/healthz` is good while the process can answer; `/readyz` once every cache has had its first list.
pub fn probes(readiness: &Readiness, request: &Request<()>) -> Response<String> {
    match request.uri().path() {
        "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => match readiness.missing().as_slice() {
            [] => text(StatusCode::OK, "ok\n".to_owned()),
            missing => text(StatusCode::SERVICE_UNAVAILABLE, format!("not listed yet: {}\n", missing.join(", "))),
        },
        _ => not_found(),
    }
}

/// `/metrics` as Prometheus reads it.
pub fn metrics(metrics: &Metrics, request: &Request<()>) -> Response<String> {
    if request.uri().path() != "/metrics" {
        return not_found();
    }
    match metrics.render() {
        Ok(body) => {
            let mut response = text(StatusCode::OK, body);
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(metrics::CONTENT_TYPE));
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn not_found() -> Response<String> {
    text(StatusCode::NOT_FOUND, "there are /healthz, /readyz and, on its own address, /metrics\n".to_owned())
}

fn text(status: StatusCode, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
