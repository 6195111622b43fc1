//! Whether two quantities are the same, however they are written. Pure.
//!
//! The API server stores a quantity in its canonical form: `0.5` becomes `500m`, `1024Mi` becomes `1Gi`.

use serde_json::Value;

/// The largest number that a binary suffix can make, which the API server stores in place of any larger one.
const LARGEST: f64 = 9_223_372_036_854_775_807.0;

/// The least power of ten that the schema's pattern has no room for.
const TOO_LARGE: f64 = 1e100;

/// Powers of a suffix: the base, and the exponent.
const SUFFIXES: [(&str, i32, i32); 16] = [
    ("Ki", 2, 10),
    ("Mi", 2, 20),
    ("Gi", 2, 30),
    ("Ti", 2, 40),
    ("Pi", 2, 50),
    ("Ei", 2, 60),
    ("n", 10, -9),
    ("u", 10, -6),
    ("m", 10, -3),
    ("k", 10, 3),
    ("M", 10, 6),
    ("G", 10, 9),
    ("T", 10, 12),
    ("P", 10, 15),
    ("E", 10, 18),
    ("", 10, 0),
];

/// Returns true for a quantity as the schema's pattern has it: none that is negative, or beyond all measure.
pub(crate) fn is_one(text: &str) -> bool {
    number(&Value::from(text)).is_some_and(|number| (0.0..TOO_LARGE).contains(&number))
}

/// Returns true if both are quantities, and the same number.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    let (Some(one), Some(other)) = (number(one), number(other)) else { return false };
    // The API server keeps nine digits after the point at most, and rounds up.
    (one - other).abs() <= 1e-9_f64.max(one.abs() * 1e-12)
}

fn number(value: &Value) -> Option<f64> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    // An exponent, as in 1e3, is a number's own; E alone is a suffix.
    let plain = |text: &str| text.bytes().next_back().is_some_and(|last| last.is_ascii_digit() || last == b'.');
    if plain(&text) {
        return text.parse().ok();
    }
    let (digits, base, exponent) =
        SUFFIXES.iter().find_map(|(suffix, base, exponent)| Some((text.strip_suffix(suffix)?, base, exponent)))?;
    if !plain(digits) {
        return None;
    }
    let number = digits.parse::<f64>().ok()? * f64::from(*base).powi(*exponent);
    Some(if *base == 2 { number.min(LARGEST) } else { number })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_number_is_the_same_in_every_form() {
        for (one, other) in [
            (json!("0.5"), json!("500m")),
            (json!(1), json!("1000m")),
            (json!("1024Mi"), json!("1Gi")),
            (json!("1.5Gi"), json!("1536Mi")),
            (json!("1e3"), json!("1k")),
            (json!("2E"), json!("2e18")),
            (json!("0.0000000001"), json!("1n")),
            (json!("9999Ei"), json!("9223372036854775807")),
        ] {
            assert!(is_same(&one, &other), "{one} {other}");
        }
    }

    #[test]
    fn other_numbers_and_other_texts_are_not() {
        for (one, other) in [
            (json!("500m"), json!("501m")),
            (json!("1Gi"), json!("1G")),
            (json!("a"), json!("a")),
            (json!("1.Ki.Ki"), json!("1024")),
            (json!(null), json!(0)),
            (json!(""), json!("0")),
        ] {
            assert!(!is_same(&one, &other), "{one} {other}");
        }
    }

    #[test]
    fn what_the_pattern_has_is_one_and_nothing_else() {
        for text in ["0", "1", "+1", "1.", ".5", "0.5Gi", "500m", "1e3", "1E-3", "2E", "9999Ei", "1n"] {
            assert!(is_one(text), "{text}");
        }
        for text in
            ["", "-1", "abc", "512MB", "1 Gi", "1gi", "1K", "e3", "1e", "1e999", "Mi", ".", "1.5.5", "50%", "NaN"]
        {
            assert!(!is_one(text), "{text}");
        }
    }
}
