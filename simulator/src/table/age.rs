//! Times → how long ago they were, as kubectl shows it.

use jiff::Timestamp;
use serde_json::Value;

/// How long ago a time of an object was; `<unknown>` if it has none.
pub(super) fn since(time: Option<&Value>, now: Timestamp) -> String {
    let time = time.and_then(Value::as_str).and_then(|time| time.parse::<Timestamp>().ok());
    time.map_or_else(|| "<unknown>".to_owned(), |time| short(now.as_second() - time.as_second()))
}

/// A number of seconds in one or two units: the longer it is, the coarser.
pub(super) fn short(seconds: i64) -> String {
    /// `a` of the unit `x`, and as many `b` of the unit `y` as are left, if any are.
    fn two(a: i64, x: &str, b: i64, y: &str) -> String {
        if b == 0 { format!("{a}{x}") } else { format!("{a}{x}{b}{y}") }
    }
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    // The bounds are those of Kubernetes' `duration.HumanDuration`.
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_gets_coarser_the_longer_it_is() {
        let told = [0, 119, 125, 540, 700, 11_100, 40_000, 180_000, 800_000, 70_000_000].map(short);
        assert_eq!(told, ["0s", "119s", "2m5s", "9m", "11m", "3h5m", "11h", "2d2h", "9d", "2y80d"]);
    }
}
