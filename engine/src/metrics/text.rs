//! Which text format somebody takes, and OpenMetrics rewritten as the classic format. Pure.

/// A text format for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own, older one (0.0.4), which everything reads.
    Prometheus,
}

impl Format {
    /// The format that somebody prefers who sends this `Accept` header: OpenMetrics only to those who ask for it by name.
    pub fn accepted(accept: Option<&str>) -> Self {
        let weight = |wanted: &str| {
            let ranges = accept.unwrap_or_default().split(',').map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let name = parts.next().unwrap_or_default().to_ascii_lowercase();
                let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
                (name, weight.unwrap_or(0.0_f64))
            });
            ranges.filter(|(name, _)| name == wanted).map(|(_, weight)| weight).fold(0.0, f64::max)
        };
        let (open, classic) = (weight("application/openmetrics-text"), weight("text/plain"));
        if open > 0.0 && open >= classic { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The content type of such a text.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// OpenMetrics as the classic format: there a counter's family bears the name of its samples, units are unknown, and the
/// text has no mark at its end. Samples are the same in both.
pub(super) fn classic(open: &str) -> String {
    let mut classic = String::with_capacity(open.len());
    // In OpenMetrics the type, which decides about the name, comes after the help.
    let mut help = None;
    for line in open.lines() {
        if let Some(text) = line.strip_prefix("# HELP ") {
            help = text.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|text| text.split_once(' ')) {
            let suffix = if kind == "counter" { "_total" } else { "" };
            let kind = if kind == "unknown" { "untyped" } else { kind };
            if let Some((_, text)) = help.take().filter(|(helped, _)| *helped == name) {
                classic.extend(["# HELP ", name, suffix, " ", text, "\n"]);
            }
            classic.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            classic += line;
            classic.push('\n');
        }
    }
    classic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_goes_to_those_who_prefer_it_and_the_classic_format_to_all_others() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, format) in [
            (Some(prometheus), Format::OpenMetrics),
            (Some("application/openmetrics-text"), Format::OpenMetrics),
            (Some("text/plain;q=0.8, application/openmetrics-text;q=0.3"), Format::Prometheus),
            (Some("application/openmetrics-text;q=0"), Format::Prometheus),
            (Some("application/openmetrics-text;q=much"), Format::Prometheus),
            (Some("text/html,*/*;q=0.8"), Format::Prometheus),
            (Some(",;,q="), Format::Prometheus),
            (None, Format::Prometheus),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn the_classic_format_names_counters_by_their_samples() {
        let open = "# HELP a_b Things.\n# TYPE a_b counter\na_b_total{x=\"# y\"} 1\n# HELP c_seconds D.\n# TYPE c_seconds gauge\n\
            # UNIT c_seconds seconds\nc_seconds 2.0\n# TYPE e unknown\ne 3\n# EOF\n";
        let expected = "# HELP a_b_total Things.\n# TYPE a_b_total counter\na_b_total{x=\"# y\"} 1\n# HELP c_seconds D.\n\
            # TYPE c_seconds gauge\nc_seconds 2.0\n# TYPE e untyped\ne 3\n";
        assert_eq!(classic(open), expected);
    }
}
