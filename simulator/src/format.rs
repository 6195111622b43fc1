//! A text and the name of a format → whether it is of that format, as kube-openapi's `strfmt` has it.

use std::net::IpAddr;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use regex::Regex;

/// The formats of texts that a definition may name, without their dashes (`supportedVersionedFormats`). What is of another
/// one goes unchecked.
const KNOWN: [&str; 26] = [
    "bsonobjectid",
    "byte",
    "cidr",
    "creditcard",
    "date",
    "datetime",
    "duration",
    "email",
    "hexcolor",
    "hostname",
    "ipv4",
    "ipv6",
    "isbn",
    "isbn10",
    "isbn13",
    "k8slongname",
    "k8sshortname",
    "mac",
    "password",
    "rgbcolor",
    "ssn",
    "uri",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
];

/// Units of durations, in nanoseconds, by their names; of the last one any longer word is one as well.
const UNITS: [(i128, &[&str]); 8] = [
    (1, &["ns", "nano"]),
    (1_000, &["us", "µs", "micro"]),
    (1_000_000, &["ms", "milli"]),
    (1_000_000_000, &["s", "sec"]),
    (60_000_000_000, &["m", "min"]),
    (3_600_000_000_000, &["h", "hr", "hour"]),
    (86_400_000_000_000, &["d", "day"]),
    (604_800_000_000_000, &["w", "wk", "week"]),
];

/// A number and its unit, as Scala writes a duration (`22 days`).
static SPAN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("([0-9]+)[ \t\n\r\x0c]*([A-Za-zµ]+)").ok());

/// The format that a value of a type is held to; empty for none. `kind` is empty as well if there is more than one type.
pub fn effective<'a>(kind: &str, format: &'a str) -> &'a str {
    let is_known = match kind {
        "" | "string" => KNOWN.contains(&format.replace('-', "").as_str()),
        "integer" => matches!(format, "int32" | "int64"),
        "number" => matches!(format, "float" | "double"),
        _ => false,
    };
    if is_known { format } else { "" }
}

/// Whether a text is of a format. Any text is one of the numbers of books and credit cards, of BSON's identifiers, and of
/// colours in decimals.
pub fn fits(format: &str, text: &str) -> bool {
    let has = |pattern: &str| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
    match format.replace('-', "").as_str() {
        "byte" => !text.is_empty() && STANDARD.decode(text).is_ok(),
        "cidr" => is_network(text),
        "date" => is_date(text),
        "datetime" => is_time(text),
        "duration" => duration(text).is_some(),
        "email" => has(r"^([^<>]*<)?[^@\s<>]+@[^@\s<>]+>?$"),
        "hexcolor" => has("^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"),
        "hostname" => is_host(text),
        "ipv4" => address(text).is_some() && text.contains('.'),
        "ipv6" => address(text).is_some() && text.contains(':'),
        "k8slongname" => text.len() <= 253 && text.split('.').all(is_name),
        "k8sshortname" => text.len() <= 63 && is_name(text),
        "mac" => has(
            "^(?i)[0-9a-f]{2}([:-][0-9a-f]{2}){5}$|^[0-9a-f]{2}([:-][0-9a-f]{2}){7}$|^[0-9a-f]{4}([.][0-9a-f]{4}){2,3}$",
        ),
        "ssn" => has("^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$"),
        "uri" => is_uri(text),
        "uuid" => has("^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$"),
        "uuid3" => has("^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?3[0-9a-f]{3}-?[0-9a-f]{4}-?[0-9a-f]{12}$"),
        "uuid4" => has("^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?4[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$"),
        "uuid5" => has("^(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?5[0-9a-f]{3}-?[89ab][0-9a-f]{3}-?[0-9a-f]{12}$"),
        _ => true,
    }
}

/// A duration in nanoseconds, as Go writes it (`-1h30.5m`) or Scala (`22 days`).
pub fn duration(text: &str) -> Option<i128> {
    gos(text).or_else(|| scalas(text))
}

fn gos(text: &str) -> Option<i128> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|sign: char| !sign.is_ascii_digit() && sign != '.')?);
        if !number.contains(|sign: char| sign.is_ascii_digit()) {
            return None;
        }
        let (unit, after) =
            after.split_at(after.find(|sign: char| sign.is_ascii_digit() || sign == '.').unwrap_or(after.len()));
        // Those of Go end with hours, and have no long names.
        let (length, _) = UNITS[..6].iter().find(|(_, names)| names[0] == unit || unit == "µs" && names[0] == "us")?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let number = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<i128>().ok() };
        let parts =
            number(fraction)?.checked_mul(*length)? / 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        total += number(whole)?.checked_mul(*length)? + parts;
        rest = after;
    }
    (!text.is_empty()).then_some(sign * total)
}

fn scalas(text: &str) -> Option<i128> {
    let mut total = None;
    for (_, [number, unit]) in SPAN.as_ref()?.captures_iter(text).map(|span| span.extract()) {
        let (number, unit) = (number.parse::<i64>().ok()?, unit.to_lowercase());
        for (length, names) in UNITS {
            if names.contains(&unit.as_str()) || names.last().is_some_and(|name| unit.starts_with(name)) {
                total = Some(total.unwrap_or(0) + i128::from(number) * length);
            }
        }
    }
    total
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.is_ascii() && text.parse::<Date>().is_ok()
}

fn is_time(text: &str) -> bool {
    let pattern = "^(?i)([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$";
    let (date, time) = text.split_once(['t', 'T']).unwrap_or_default();
    is_date(date) && Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(time))
}

/// An address, in which the numbers of version 4 may begin with zeros.
fn address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse().ok();
    }
    let numbers: Vec<&str> = text.split('.').map(|number| number.trim_start_matches('0')).collect();
    let numbers: Vec<&str> = numbers.into_iter().map(|number| if number.is_empty() { "0" } else { number }).collect();
    if text.split('.').any(str::is_empty) { None } else { numbers.join(".").parse().ok() }
}

fn is_network(text: &str) -> bool {
    let Some((base, length)) = text.split_once('/') else { return false };
    let most = if base.contains(':') { 128 } else { 32 };
    address(base).is_some() && !length.starts_with('+') && length.parse::<u8>().is_ok_and(|length| length <= most)
}

fn is_name(text: &str) -> bool {
    let is_in = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit();
    text.starts_with(is_in) && text.ends_with(is_in) && text.chars().all(|sign| is_in(sign) || sign == '-')
}

fn is_host(text: &str) -> bool {
    let is_in = |sign: char| sign.is_alphanumeric();
    let is_label = |label: &str| {
        label.len() <= 63
            && label.starts_with(is_in)
            && label.ends_with(is_in)
            && label.chars().all(|sign| is_in(sign) || sign == '-')
    };
    match text.rsplit_once('.') {
        // A name of one part has no dash but behind its first character.
        None => is_label(text) && text.chars().skip(2).all(is_in),
        Some((labels, last)) => {
            let is_last = last.chars().count() >= 2 && last.chars().all(char::is_alphabetic);
            text.len() <= 255 && is_last && last.len() <= 63 && labels.split('.').all(is_label)
        }
    }
}

/// What Go takes for the target of a request: a path, or an address with a scheme.
fn is_uri(text: &str) -> bool {
    let has_scheme = text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|sign: char| sign.is_ascii_alphabetic())
            && scheme.chars().all(|sign| sign.is_ascii_alphanumeric() || "+-.".contains(sign))
            && !rest.is_empty()
    });
    !text.contains(|sign: char| sign.is_control() || sign == ' ') && (text.starts_with('/') || has_scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_of_a_format_where_the_real_server_takes_it_for_one() {
        for (format, good, bad) in [
            ("byte", "YQ==", "a"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("date", "2024-02-29", "2023-02-29"),
            ("date-time", "2024-02-29T23:59:59.5+01:00", "2024-02-29T24:00:00Z"),
            ("email", "a@b.c", "a"),
            ("hexcolor", "#fff", "#ffff"),
            ("hostname", "a-b.example", "-a.example"),
            ("ipv4", "010.0.0.1", "10.0.0.256"),
            ("ipv6", "::1", "10.0.0.1"),
            ("k8s-long-name", "a.b-c", "A"),
            ("k8s-short-name", "a-b", "a.b"),
            ("mac", "00:00:5e:00:53:01", "00:00:5e"),
            ("ssn", "111-22-3333", "111"),
            ("uri", "https://a/b", "a b"),
            ("uuid", "0123456789ABCDEF0123456789abcdef", "0"),
            ("uuid3", "00000000-0000-3000-0000-000000000000", "00000000-0000-4000-0000-000000000000"),
            ("uuid4", "00000000-0000-4000-8000-000000000000", "00000000-0000-4000-0000-000000000000"),
            ("uuid5", "00000000-0000-5000-8000-000000000000", "00000000-0000-5000-0000-000000000000"),
        ] {
            assert!(fits(format, good), "{format}: {good}");
            assert!(!fits(format, bad), "{format}: {bad}");
        }
    }

    #[test]
    fn a_duration_is_one_of_go_or_of_scala() {
        assert_eq!(duration("-1h0.5m"), Some(-3_630_000_000_000));
        assert_eq!(duration("22 Days 1 ns"), Some(1_900_800_000_000_001));
        assert_eq!(duration("0"), Some(0));
        for none in ["", "1", "h", "soon"] {
            assert_eq!(duration(none), None, "{none}");
        }
    }

    #[test]
    fn formats_of_other_types_are_none() {
        assert_eq!(effective("string", "date-time"), "date-time");
        assert_eq!(effective("string", "int32"), "");
        assert_eq!(effective("integer", "int32"), "int32");
        assert_eq!(effective("object", "date"), "");
    }
}
