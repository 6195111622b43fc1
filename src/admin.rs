//! What the kubelet, Prometheus and people ask: /healthz (or /livez), /readyz; /metrics; /debug/controllers. Answers from
//! memory, and asks nobody.

use engine::controller::{Liveness, Readiness};
use engine::metrics::{Format, Metrics};
use http::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};

/// One thing that has to be well for a probe to succeed, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, as in `source deployments.apps`.
    pub name: String,
    /// What is well about it, or what is not.
    pub result: Result<&'static str, String>,
}

/// A source that is not synced makes the operator unready: it would act on half of what there is.
pub fn synced(readiness: &Readiness) -> Vec<Check> {
    let sources = readiness.sources().map(|(name, is_synced)| Check {
        name: format!("source {name}"),
        result: if is_synced { Ok("synced") } else { Err("not listed yet".to_owned()) },
    });
    sources.collect()
}

/// What only a restart mends makes the operator dead; that the API server can't be reached is nothing of the kind.
pub fn alive(liveness: &Liveness) -> Vec<Check> {
    let workers = Check { name: "workers".to_owned(), result: liveness.workers().map(|()| "ok") };
    let runtime = Check { name: "runtime".to_owned(), result: liveness.runtime().map(|()| "ok") };
    Vec::from([workers, runtime])
}

/// Answers probes from what `live` and `ready` see, in the words of the API server's own: `ok`, or with `?verbose`, and
/// whenever a check fails, a line for each check. The kubelet shows them in its events.
pub fn probes(
    live: impl FnOnce() -> Vec<Check>,
    ready: impl FnOnce() -> Vec<Check>,
    request: &Request<()>,
) -> Response<String> {
    let probe = request.uri().path();
    if !["/healthz", "/livez", "/readyz"].contains(&probe) {
        return not_found();
    }
    if let Some(refusal) = refused(request) {
        return refusal;
    }
    let checks = if probe == "/readyz" { ready() } else { live() };
    let failed = checks.iter().any(|check| check.result.is_err());
    let verbose = request.uri().query().is_some_and(|query| query.split('&').any(|word| word.starts_with("verbose")));
    if !failed && !verbose {
        return text(StatusCode::OK, "ok\n".to_owned());
    }
    let lines = checks.iter().map(|Check { name, result }| match result {
        Ok(well) => format!("[+]{name} {well}\n"),
        Err(fault) => format!("[-]{name} {fault}\n"),
    });
    let verdict = if failed { "failed" } else { "passed" };
    let body = lines.chain([format!("{} check {verdict}\n", &probe[1..])]).collect();
    text(if failed { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }, body)
}

/// `/metrics` in the format that is asked for.
pub fn metrics(metrics: &Metrics, request: &Request<()>) -> Response<String> {
    if request.uri().path() != "/metrics" {
        return not_found();
    }
    if let Some(refusal) = refused(request) {
        return refusal;
    }
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accept);
    match metrics.render_as(format) {
        Ok(body) => typed(StatusCode::OK, format.content_type(), body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// `/debug/controllers`: what the controllers do just now, as JSON for people.
pub fn debug(controllers: impl FnOnce() -> Vec<Value>, request: &Request<()>) -> Response<String> {
    if request.uri().path() != "/debug/controllers" {
        return not_found();
    }
    if let Some(refusal) = refused(request) {
        return refusal;
    }
    typed(StatusCode::OK, "application/json", format!("{:#}\n", json!({ "controllers": controllers() })))
}

/// Says no to what would change something: there is nothing to change. The body of an answer to HEAD is left out below.
fn refused(request: &Request<()>) -> Option<Response<String>> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD are all that is answered\n".to_owned());
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
    Some(response)
}

fn not_found() -> Response<String> {
    text(
        StatusCode::NOT_FOUND,
        "there are /healthz, /livez and /readyz, and on addresses of their own /metrics and /debug/controllers\n"
            .to_owned(),
    )
}

fn text(status: StatusCode, body: String) -> Response<String> {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    // A probe's answer is of the moment, and what it says is no page for a browser to guess at.
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, result: Result<&'static str, &'static str>) -> Check {
        Check { name: name.to_owned(), result: result.map_err(str::to_owned) }
    }

    fn ask(method: Method, uri: &str, checks: &[Check]) -> (u16, String) {
        let request = Request::builder().method(method).uri(uri).body(()).expect("a request");
        let response = probes(Vec::new, || checks.to_vec(), &request);
        (response.status().as_u16(), response.into_body())
    }

    #[test]
    fn a_probe_says_which_check_failed_and_tells_of_all_when_it_is_asked_to() {
        let well = [check("source pods", Ok("synced")), check("source services", Ok("synced"))];
        assert_eq!(ask(Method::GET, "/readyz", &well), (200, "ok\n".to_owned()));
        let verbose = "[+]source pods synced\n[+]source services synced\nreadyz check passed\n";
        for uri in ["/readyz?verbose", "/readyz?verbose=true", "/readyz?a=b&verbose"] {
            assert_eq!(ask(Method::GET, uri, &well), (200, verbose.to_owned()));
        }
        let unwell = [check("source pods", Ok("synced")), check("source services", Err("not listed yet"))];
        let said = "[+]source pods synced\n[-]source services not listed yet\nreadyz check failed\n";
        assert_eq!(ask(Method::GET, "/readyz", &unwell), (503, said.to_owned()));
        assert_eq!(ask(Method::GET, "/livez", &unwell), (200, "ok\n".to_owned()), "each probe has its own checks");
        assert_eq!(ask(Method::GET, "/healthz?verbose", &unwell), (200, "healthz check passed\n".to_owned()));
    }

    #[test]
    fn what_is_not_there_is_404_and_what_would_change_something_405() {
        assert_eq!(ask(Method::GET, "/", &[]).0, 404);
        assert_eq!(ask(Method::GET, "/readyz/", &[]).0, 404);
        assert_eq!(ask(Method::HEAD, "/readyz", &[]).0, 200);
        let request = Request::post("/metrics").body(()).expect("a request");
        let response = metrics(&Metrics::default(), &request);
        assert_eq!(
            (response.status().as_u16(), &response.headers()[header::ALLOW]),
            (405, &"GET, HEAD".parse().unwrap())
        );
        assert_eq!(ask(Method::POST, "/healthz", &[]).0, 405);
    }

    #[test]
    fn what_controllers_do_is_json_under_its_own_path_alone() {
        let ask = |method: Method, path| {
            let request = Request::builder().method(method).uri(path).body(()).expect("a request");
            debug(|| vec![json!({"controller": "application"})], &request)
        };
        let response = ask(Method::GET, "/debug/controllers");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        let body: Value = serde_json::from_str(response.body()).expect("JSON");
        assert_eq!(body, json!({"controllers": [{"controller": "application"}]}));
        assert_eq!(ask(Method::GET, "/metrics").status(), 404);
        assert_eq!(ask(Method::DELETE, "/debug/controllers").status(), 405);
    }

    #[test]
    fn metrics_come_in_the_format_that_is_asked_for() {
        let ask = |accept| {
            let request = Request::get("/metrics").header(header::ACCEPT, accept).body(()).expect("a request");
            let response = metrics(&Metrics::default(), &request);
            let kind = response.headers()[header::CONTENT_TYPE].to_str().expect("text").to_owned();
            (kind, response.into_body().ends_with("# EOF\n"))
        };
        assert_eq!(ask("*/*"), (Format::Prometheus.content_type().to_owned(), false));
        let open = Format::OpenMetrics.content_type();
        assert_eq!(ask("application/openmetrics-text; version=1.0.0"), (open.to_owned(), true));
    }
}
