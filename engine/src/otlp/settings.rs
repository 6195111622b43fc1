//! What the environment says of traces: variables in, settings or what is wrong with them out. Pure.
//!
//! Only what this crate decides is read here. Headers, sampler and resource are read by OpenTelemetry's library.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::Error;
use crate::config::{Source, Tls};

/// How traces are exported.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Where each batch is posted.
    pub(super) endpoint: Uri,
    pub(super) authority: Option<PathBuf>,
    /// How long an export may take.
    pub(super) timeout: Duration,
    /// Spans that may wait. OpenTelemetry's default, and at half a kilobyte a span a megabyte.
    pub(super) buffer: usize,
    /// Spans of one export; OpenTelemetry's default.
    pub(super) batch: usize,
    /// The longest that a span waits for its batch to fill; OpenTelemetry's default.
    pub(super) delay: Duration,
}

impl Settings {
    /// [`read`](Self::read), but for where the collector is, and whether there is one.
    pub(super) fn read_for(endpoint: &Uri, variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let endpoint = endpoint.to_string();
        let read = Self::read(|name| match name {
            "OTEL_SDK_DISABLED" | "OTEL_TRACES_EXPORTER" => None,
            name if name == ENDPOINTS[0] => Some(endpoint.as_str().into()),
            name => variable(name),
        });
        read?.ok_or_else(|| problem(ENDPOINTS[0], "there is none".to_owned()))
    }

    /// Settings from variables, of which one that is empty counts as not set; `None` if they want no traces.
    pub(super) fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<Self>, Error> {
        let variable = |name: &'static str| match variable(name).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => value.into_string().map(Some).map_err(|_| problem(name, "its value is no UTF-8".to_owned())),
        };
        let first = |names: [&'static str; 2]| {
            let found = names.into_iter().map(|name| Ok(variable(name)?.map(|value| (name, value))));
            found.collect::<Result<Vec<_>, Error>>().map(|found| found.into_iter().flatten().next())
        };
        let is =
            |name, word: &str| Ok::<_, Error>(variable(name)?.is_some_and(|value| value.eq_ignore_ascii_case(word)));
        if is("OTEL_SDK_DISABLED", "true")? || is("OTEL_TRACES_EXPORTER", "none")? {
            return Ok(None);
        }
        let Some(endpoint) = endpoint(&variable)? else { return Ok(None) };
        let protocol = first(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"])?;
        if let Some((name, _)) = protocol.filter(|(_, protocol)| protocol != "http/protobuf") {
            let told = "only http/protobuf is spoken, which collectors listen for on port 4318";
            return Err(problem(name, told.to_owned()));
        }
        let authority = first(["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"])?;
        let timeout = first(["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"])?;
        let number = |found: Option<(&'static str, String)>, default: u32| {
            let Some((name, value)) = found else { return Ok(default) };
            let number = value.parse::<u32>().ok().filter(|number| *number > 0);
            number.ok_or_else(|| problem(name, "its value is no whole number above zero".to_owned()))
        };
        let of = |name, default| number(variable(name)?.map(|value| (name, value)), default);
        let (buffer, batch) = (of("OTEL_BSP_MAX_QUEUE_SIZE", 2048)?, of("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?);
        Ok(Some(Self {
            endpoint,
            authority: authority.map(|(_, path)| path.into()),
            timeout: Duration::from_millis(number(timeout, 10_000)?.into()),
            buffer: buffer as usize,
            batch: batch.min(buffer) as usize,
            delay: Duration::from_millis(of("OTEL_BSP_SCHEDULE_DELAY", 5_000)?.into()),
        }))
    }

    /// The collector without the path.
    pub(super) fn server(&self) -> Result<Uri, Error> {
        let mut parts = self.endpoint.clone().into_parts();
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
        Uri::from_parts(parts).map_err(|error| problem(ENDPOINTS[0], error.to_string()))
    }

    pub(super) fn tls(&self) -> Tls {
        Tls { authority: self.authority.clone().map(Source::File), ..Tls::default() }
    }
}

/// The variables that say where the collector is: of traces, and of all signals.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// The first is taken as it is, and the second is the base of one path for each signal (OTLP exporter specification).
fn endpoint(variable: &impl Fn(&'static str) -> Result<Option<String>, Error>) -> Result<Option<Uri>, Error> {
    let [of_traces, of_all] = ENDPOINTS;
    let (name, url) = match (variable(of_traces)?, variable(of_all)?) {
        (Some(url), _) => (of_traces, url),
        (None, Some(base)) => (of_all, format!("{}/v1/traces", base.trim_end_matches('/'))),
        (None, None) => return Ok(None),
    };
    let uri: Uri = url.parse().map_err(|_| problem(name, "its value is no URL".to_owned()))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return Err(problem(name, "its value must begin with http:// or https:// and a host".to_owned()));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        let told = "its value must not carry a login: OTEL_EXPORTER_OTLP_HEADERS is for that";
        return Err(problem(name, told.to_owned()));
    }
    Ok(Some(uri))
}

fn problem(variable: &'static str, problem: String) -> Error {
    Error::Variable { variable, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, Error> {
        let found = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Settings::read(found)
    }

    const ALL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");
    const TRACES: (&str, &str) = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces:1/in?x=y");

    #[test]
    fn traces_are_exported_if_there_is_an_endpoint_and_nobody_forbids_it() {
        let endpoint = |variables: &[(&str, &str)]| read(variables).unwrap().map(|found| found.endpoint.to_string());
        assert_eq!(endpoint(&[]), None);
        assert_eq!(endpoint(&[(ALL.0, "")]), None);
        assert_eq!(endpoint(&[ALL]).as_deref(), Some("http://collector:4318/v1/traces"));
        assert_eq!(endpoint(&[ALL, TRACES]).as_deref(), Some(TRACES.1), "taken as it is");
        assert_eq!(endpoint(&[ALL, ("OTEL_SDK_DISABLED", "TRUE")]), None);
        assert_eq!(endpoint(&[ALL, ("OTEL_TRACES_EXPORTER", "none")]), None);
        assert_eq!(
            endpoint(&[ALL, ("OTEL_TRACES_EXPORTER", "otlp")]).as_deref(),
            Some("http://collector:4318/v1/traces")
        );
        assert_eq!(read(&[TRACES]).unwrap().unwrap().server().unwrap(), "https://traces:1/");
    }

    #[test]
    fn numbers_are_opentelemetrys_where_nothing_is_said() {
        let settings = read(&[ALL]).unwrap().unwrap();
        assert_eq!((settings.buffer, settings.batch), (2048, 512));
        assert_eq!((settings.timeout, settings.delay), (Duration::from_secs(10), Duration::from_secs(5)));
        let said = [ALL, ("OTEL_BSP_MAX_QUEUE_SIZE", "10"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "7")];
        let settings = read(&said).unwrap().unwrap();
        assert_eq!((settings.buffer, settings.batch, settings.timeout), (10, 10, Duration::from_millis(7)));
    }

    #[test]
    fn what_makes_no_sense_is_named_and_not_quoted() {
        for (variable, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "hunter2:4317"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hunter2@collector"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://hunter2"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc-hunter2"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_SCHEDULE_DELAY", "-hunter2"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "10s"),
        ] {
            let error = read(&[(variable, value), ALL]).unwrap_err().to_string();
            assert!(error.contains(variable) && !error.contains("hunter2"), "{error}");
        }
    }
}
