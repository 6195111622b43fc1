//! What a container asks for, and what it may have: a request within its limit, quantities compared as numbers.

use serde_json::Value;

use crate::failure::Cause;

/// What quantities are counted in: none is finer.
const NANOS: i128 = 1_000_000_000;

/// What is wrong with `resources` at `path`.
pub(super) fn validate(resources: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (name, request) in resources["requests"].as_object().into_iter().flatten() {
        // What is counted by whole devices can't be promised to several.
        let may_exceed = !name.contains('/') || name.contains("kubernetes.io/");
        let Some(limit) = resources["limits"].get(name) else {
            if !may_exceed {
                let why = "Limit must be set for non overcommitable resources";
                causes.push(Cause::required(format!("{path}.limits"), why));
            }
            continue;
        };
        let (Some(wished), Some(most)) = (nanos(request), nanos(limit)) else { continue };
        let relation = if may_exceed && wished > most {
            "less than or equal to"
        } else if !may_exceed && wished != most {
            "equal to"
        } else {
            continue;
        };
        let why = format!("must be {relation} {name} limit of {}", text(limit));
        causes.push(Cause::invalid(format!("{path}.requests"), &format!("{:?}", text(request)), &why));
    }
    causes
}

/// Whether what a container asks for of processor and memory is what it may have.
pub(super) fn is_guaranteed(resources: &Value) -> bool {
    ["cpu", "memory"].iter().all(|name| {
        let (request, limit) = (&resources["requests"][name], &resources["limits"][name]);
        !limit.is_null() && (request.is_null() || nanos(request) == nanos(limit))
    })
}

fn text(quantity: &Value) -> String {
    quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned)
}

/// A quantity as a number; `None` if it is none, or too large to be one that is meant.
fn nanos(quantity: &Value) -> Option<i128> {
    let text = text(quantity);
    let end = text.find(|one: char| !one.is_ascii_digit() && !matches!(one, '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let (times, over) = factor(suffix)?;
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let places = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    // What is finer than a billionth is rounded up.
    let scaled = digits.checked_mul(times)?.checked_mul(NANOS)?;
    let divisor = places.checked_mul(over)?;
    Some(scaled / divisor + i128::from(scaled % divisor > 0))
}

/// By what a suffix multiplies, and by what it divides.
fn factor(suffix: &str) -> Option<(i128, i128)> {
    let power =
        |base: i128, name: &str| "kMGTPE".find(name).and_then(|at| base.checked_pow(u32::try_from(at).ok()? + 1));
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, NANOS),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "Ki" => (1_024, 1),
        _ if suffix.len() == 1 => (power(1_000, suffix)?, 1),
        _ if suffix.len() == 2 && suffix.ends_with('i') => (power(1_024, &suffix[..1])?, 1),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
            if exponent < 0 { (1, power) } else { (power, 1) }
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_compared_as_numbers() {
        for (same, other) in [("1Gi", "1024Mi"), ("0.5", "500m"), ("1e3", "1k"), ("2E", "2e18"), ("1000000n", "1m")] {
            assert_eq!(nanos(&json!(same)), nanos(&json!(other)), "{same} {other}");
            assert!(nanos(&json!(same)).is_some(), "{same}");
        }
        assert!(nanos(&json!(2)) > nanos(&json!("1999m")));
        assert_eq!((nanos(&json!("512MB")), nanos(&json!("a"))), (None, None));
    }

    #[test]
    fn what_is_asked_for_is_guaranteed_if_it_is_the_limit_in_whatever_unit() {
        let limits = json!({"cpu": "500m", "memory": "1Gi"});
        let asks = |requests: Value| is_guaranteed(&json!({"requests": requests, "limits": limits}));
        assert!(asks(json!({"cpu": "0.5", "memory": "1024Mi"})) && asks(Value::Null));
        assert!(!asks(json!({"cpu": "0.4", "memory": "1Gi"})));
        assert!(!is_guaranteed(&json!({"limits": {"cpu": "1"}})), "memory has no limit");
    }

    #[test]
    fn a_request_is_within_its_limit_and_that_of_a_device_is_its_limit() {
        let told = |resources: Value| -> Vec<String> {
            validate(&resources, "r").into_iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect()
        };
        assert_eq!(told(json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1"}})), [""; 0]);
        let much = json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}});
        assert_eq!(told(much), ["r.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1"]);
        let device = json!({"requests": {"a.b/c": "1"}});
        let needed = "r.limits: Required value: Limit must be set for non overcommitable resources";
        assert_eq!(told(device), [needed]);
        let fewer = json!({"requests": {"a.b/c": "1"}, "limits": {"a.b/c": "2"}});
        assert_eq!(told(fewer), ["r.requests: Invalid value: \"1\": must be equal to a.b/c limit of 2"]);
    }
}
