//! Durations and sizes as people write them: `30s`, `64KiB`.

use std::time::Duration;

/// The longest duration: whatever is longer is a mistake, and clocks cannot overflow.
pub(super) const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

const DURATIONS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZES: &[(&str, u64)] =
    &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// A duration such as `30s`; the error is the mend.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let ms = quantity(text, DURATIONS, "s", "30s")?;
    let duration = Duration::from_millis(ms);
    if duration > DURATION_MAX {
        return Err(format!("at most {}", show_duration(DURATION_MAX)));
    }
    Ok(duration)
}

/// A number of bytes such as `64KiB`; the error is the mend.
pub(super) fn size(text: &str) -> Result<u64, String> {
    quantity(text, SIZES, "KiB", "64KiB")
}

fn quantity(text: &str, units: &[(&str, u64)], usual: &str, example: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let names = || units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    if number.is_empty() {
        return Err(format!("write a whole number and a unit, such as `{example}`"));
    }
    if unit.is_empty() {
        return Err(format!("a unit is missing; write `{number}{usual}`, or one of {}", names()));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("the units are {}; write it as in `{example}`", names()));
    };
    let value = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor));
    value.ok_or_else(|| "that is too large".to_owned())
}

/// A duration in the largest unit that it is a whole number of.
pub fn show_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let whole = DURATIONS.iter().rev().find(|(_, factor)| ms >= *factor && ms % factor == 0);
    let (unit, factor) = whole.unwrap_or(&("ms", 1));
    format!("{}{unit}", ms / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        fn check(text: &str, expected: Option<u64>) {
            let ms = duration(text).ok().map(|d| u64::try_from(d.as_millis()).expect("small"));
            assert_eq!(ms.or_else(|| size(text).ok()), expected, "{text:?}");
        }

        check("500ms", Some(500));
        check("10s", Some(10_000));
        check("2m", Some(120_000));
        check("7d", Some(7 * 86_400_000));
        check("8d", None);
        check("64KiB", Some(65_536));
        check("1B", Some(1));
        check("0s", Some(0));
        check("", None);
        check("s", None);
        check("10", None);
        check("10 s", None);
        check("1.5s", None);
        check("-1s", None);
        check("10S", None);
        check("64KB", None);
        check("99999999999999999999s", None);
        check("99999999TiB", None);
    }

    #[test]
    fn durations_are_shown_in_their_largest_unit() {
        for text in ["1500ms", "30s", "90s", "2m", "7d"] {
            assert_eq!(show_duration(duration(text).expect("a duration")), text);
        }
    }
}
