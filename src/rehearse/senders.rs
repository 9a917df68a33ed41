//! Who sends: mxdrill's reference sender, or with the waits and the patience of a mail server.
//!
//! The profiles are what `docs/schedules.md` has of each mail server by its own defaults; a test holds them against
//! that page. Of the mail server they have no more than that: all else is done as the reference sender does it.

use std::time::Duration;

use crate::{
    diagnostic::{Invalid, not_allowed},
    fault::Stage,
    scenario::SenderSettings,
    time::HumanDuration,
};

/// When a kind of sender tries again, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SenderProfile {
    /// What it is called: `reference`, `postfix`.
    pub name: &'static str,
    /// The waits between its tries; the last one repeats.
    pub retry: Vec<Duration>,
    /// How long it keeps a message before it returns it.
    pub lifetime: Duration,
    /// How long it waits for a connection that nothing answers.
    pub connect: Duration,
}

impl Default for SenderProfile {
    fn default() -> Self {
        let settings = SenderSettings::default();
        Self {
            name: REFERENCE,
            connect: settings.timeouts.at(Stage::Connect),
            retry: settings.retry,
            lifetime: settings.expire,
        }
    }
}

/// The name of mxdrill's own.
const REFERENCE: &str = "reference";

/// What was measured of a mail server. Where its waits are drawn by chance, this is the middle of what was seen.
struct Measured {
    name: &'static str,
    /// The moments of its tries after the first one, since it was given the message.
    tries: &'static str,
    /// The waits after these, over and over.
    then: &'static str,
    lifetime: &'static str,
    connect: &'static str,
}

const MEASURED: [Measured; 8] = [
    Measured {
        name: "chasquid",
        tries: "1m23s 6m47s 17m28s",
        then: "20m30s",
        lifetime: "20h6m",
        connect: "1m",
    },
    Measured {
        name: "courier",
        tries: "5m 10m 40m 45m 50m 1h50m",
        then: "5m 5m 2h",
        lifetime: "7d40m",
        connect: "1m",
    },
    Measured {
        name: "dma",
        tries: "5m 13m15s 31m45s 1h4m 2h9m 4h15m",
        then: "3h",
        lifetime: "5d1h15m",
        connect: "2m11s",
    },
    Measured {
        name: "exim",
        tries: "30m 1h 1h30m 2h 2h30m 3h30m 5h 7h30m 11h 16h30m",
        then: "6h",
        lifetime: "4d30m",
        connect: "2m11s",
    },
    Measured {
        name: "haraka",
        tries: "1m5s 3m13s 7m29s 16m1s 33m5s 1h7m13s 2h15m29s 4h32m1s 9h5m5s 18h11m13s 1d12h23m30s",
        then: "1d12h24m33s",
        // It counts tries, and returns a message with the last one, 3d48m after the first: the hour is for what
        // connections that nothing answers add to that.
        lifetime: "3d1h48m",
        connect: "30s",
    },
    Measured {
        name: "opensmtpd",
        // 400 seconds by the square of the number of the try.
        tries: "6m40s 26m40s 1h 1h46m40s 2h46m40s 4h 5h26m40s 7h6m40s 9h 11h6m40s 13h26m40s 16h 18h46m40s 21h46m40s \
                1d1h 1d4h26m40s 1d8h6m40s 1d12h 1d16h6m40s 1d20h26m40s 2d1h 2d5h46m40s 2d10h46m40s 2d16h 2d21h26m40s \
                3d3h6m40s 3d9h 3d15h6m40s 3d21h26m40s",
        then: "6h20m",
        lifetime: "4d1s",
        connect: "2m11s",
    },
    Measured {
        name: "postfix",
        tries: "5m 10m 20m 40m 1h20m",
        then: "1h10m",
        lifetime: "5d20m",
        connect: "30s",
    },
    Measured {
        name: "sendmail",
        tries: "10m",
        then: "10m",
        lifetime: "5d",
        connect: "2m11s",
    },
];

impl SenderProfile {
    /// What profiles are called, mxdrill's own first.
    pub fn names() -> Vec<&'static str> {
        let measured = MEASURED.iter().map(|measured| measured.name);
        std::iter::once(REFERENCE).chain(measured).collect()
    }

    /// The profile of a name.
    ///
    /// # Errors
    /// That there is none of that name, with those that there are.
    pub fn find(name: &str) -> Result<Self, Invalid> {
        if name == REFERENCE {
            return Ok(Self::default());
        }
        let found = MEASURED.iter().find(|measured| measured.name == name);
        found
            .map(Self::of)
            .ok_or_else(|| Invalid::from(not_allowed(name, "a kind of sender", &Self::names())))
    }

    fn of(measured: &Measured) -> Self {
        let mut retry = Vec::new();
        let mut before = Duration::ZERO;
        for at in durations(measured.tries) {
            retry.push(at - before);
            before = at;
        }
        let lifetime = duration(measured.lifetime);
        let then: Vec<Duration> = durations(measured.then).collect();
        // The last of a list of waits repeats; several waits in turn are written out.
        if then.len() > 1 {
            for wait in then.iter().cycle() {
                retry.push(*wait);
                before += *wait;
                if before > lifetime {
                    break;
                }
            }
        } else {
            retry.extend(then);
        }
        Self {
            name: measured.name,
            retry,
            lifetime,
            connect: duration(measured.connect),
        }
    }

    /// The reference sender with these waits.
    pub(super) fn settings(&self) -> SenderSettings {
        let mut settings = SenderSettings {
            retry: self.retry.clone(),
            expire: self.lifetime,
            ..SenderSettings::default()
        };
        settings.timeouts.set(Stage::Connect, self.connect);
        settings
    }
}

/// Durations with spaces between them.
fn durations(text: &'static str) -> impl Iterator<Item = Duration> {
    text.split_whitespace().map(duration)
}

fn duration(text: &str) -> Duration {
    let duration: HumanDuration = text.parse().expect("a duration");
    duration.0
}
