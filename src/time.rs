//! Moments of a drill and the durations that scenario files write (`30m`, `1h30m`, `500ms`).
//!
//! All times of a drill count from its start, on the drill's clock: a log has no time of day. A
//! duration of a scenario is exact to the millisecond.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A moment, counted from the start of the drill.
///
/// It prints as a duration: `1h30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub Duration);

impl Moment {
    /// The start of the drill.
    pub const START: Self = Self(Duration::ZERO);

    /// The moment that is `wait` later; the last there is, if that would be beyond it.
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&HumanDuration(self.0).to_string())
    }
}

/// In a log a moment is a number of seconds, to the microsecond.
impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let micros = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        #[expect(clippy::cast_precision_loss, reason = "exact up to 285 years")]
        serializer.serialize_f64(micros as f64 / 1e6)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        let rounded = Duration::try_from_secs_f64((seconds * 1e6).round() / 1e6);
        rounded.map(Self).map_err(|_| {
            D::Error::custom(format!(
                "found {seconds}, expected the seconds since the start of the drill"
            ))
        })
    }
}

/// A duration in the notation of scenario files: numbers with units, `ms`, `s`, `m`, `h`, `d` or
/// `w`, one after the other.
///
/// ```
/// use mxdrill::time::HumanDuration;
///
/// let span: HumanDuration = "1h30m".parse()?;
/// assert_eq!(span.0.as_secs(), 5400);
/// # Ok::<(), mxdrill::time::InvalidDuration>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HumanDuration(pub Duration);

/// The units and their milliseconds, longest first. Weeks are read and not written.
const UNITS: [(&str, u64); 6] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A text that is no duration.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "found {0:?}, expected a duration such as \"500ms\", \"30s\", \"20m\", \"1h30m\" or \"4d\""
)]
pub struct InvalidDuration(String);

impl FromStr for HumanDuration {
    type Err = InvalidDuration;

    /// Units may come in any order and more than once; what they make is added up. A number without
    /// a unit is a mistake: seconds and milliseconds would be taken for each other.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidDuration(text.to_owned());
        let mut rest = text;
        let mut millis = 0_u64;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let letters = rest[digits..]
                .bytes()
                .take_while(u8::is_ascii_alphabetic)
                .count();
            let unit = &rest[digits..digits + letters];
            let amount: u64 = rest[..digits].parse().map_err(|_| invalid())?;
            let (_, factor) = UNITS
                .iter()
                .find(|(name, _)| *name == unit)
                .ok_or_else(invalid)?;
            millis = amount
                .checked_mul(*factor)
                .and_then(|part| millis.checked_add(part))
                .ok_or_else(invalid)?;
            rest = &rest[digits + letters..];
        }
        // A hundred years: past any queue's life, and far from where clocks overflow.
        if text.is_empty() || millis > 100 * 365 * 86_400_000 {
            return Err(invalid());
        }
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.pad("0s");
        }
        let mut text = String::new();
        for (unit, factor) in &UNITS[1..] {
            if millis >= *factor {
                text.push_str(&format!("{}{unit}", millis / factor));
                millis %= factor;
            }
        }
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_write_the_same() {
        for text in [
            "0s",
            "500ms",
            "30s",
            "20m",
            "1h30m",
            "4d",
            "1d12h30m5s250ms",
        ] {
            assert_eq!(
                text.parse::<HumanDuration>().expect("valid").to_string(),
                text
            );
        }
        assert_eq!(
            "1w".parse::<HumanDuration>().expect("valid").to_string(),
            "7d"
        );
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "30",
            "m",
            "30 m",
            "-1s",
            "1y",
            "1.5h",
            "99999999999999999999s",
            "600000w",
            "5é",
        ] {
            assert!(text.parse::<HumanDuration>().is_err(), "{text}");
        }
    }
}
