//! The drills that show a server's own schedule: one exchanger that never takes the message, and a better one of two
//! that hangs at some stage.
//!
//! They expect nothing. What a server does is read off the log (`reading`), whatever that is.

use mxdrill::{diagnostic::Mistakes, fault::Stage, scenario::Scenario};
use serde::{Serialize, Serializer};

/// The message of each drill, and the names of its exchangers, the best first.
pub(super) const MESSAGE: &str = "m1";
pub(super) const HOSTS: [&str; 2] = ["mx1.example.test", "mx2.example.test"];
/// Octets of the message whose content is not read: more than both sides' kernels take by themselves, and less than
/// the ten million that Postfix and Courier allow by default.
const LARGE: usize = 8 * 1024 * 1024;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScheduleDrill {
    /// The only exchanger answers 451 at RCPT for ever.
    NotNow,
    /// The better of two exchangers hangs at this stage.
    Hang(Stage),
}

impl ScheduleDrill {
    /// All of them, in the order of a session, and at last the one that takes longest.
    pub(crate) const ALL: [Self; 9] = [
        Self::Hang(Stage::Connect),
        Self::Hang(Stage::Greeting),
        Self::Hang(Stage::Helo),
        Self::Hang(Stage::Mail),
        Self::Hang(Stage::Rcpt),
        Self::Hang(Stage::Data),
        Self::Hang(Stage::Content),
        Self::Hang(Stage::Dot),
        Self::NotNow,
    ];

    /// Its name, which stands where a scenario has its path.
    pub(crate) fn name(self) -> String {
        match self {
            Self::NotNow => "schedules/451".to_owned(),
            Self::Hang(stage) => format!("schedules/{stage}"),
        }
    }

    /// The drill of a name.
    ///
    /// # Errors
    /// That there is none.
    pub(crate) fn named(name: &str) -> Result<Scenario, Mistakes> {
        let drill = Self::ALL.into_iter().find(|drill| drill.name() == name);
        let drill = drill.ok_or_else(|| Mistakes::of_file(name, "no such drill".to_owned()))?;
        drill.scenario()
    }

    /// The drill as a scenario.
    ///
    /// # Errors
    /// None, as a test knows.
    fn scenario(self) -> Result<Scenario, Mistakes> {
        let [mx1, mx2] = HOSTS;
        let (second, fault) = match self {
            Self::NotNow => (
                String::new(),
                r#"stage = "rcpt", effect = "451 4.3.2 later""#.to_owned(),
            ),
            Self::Hang(stage) => {
                // What is never answered is the SYN.
                let effect = if stage == Stage::Connect {
                    "timeout"
                } else {
                    "hang"
                };
                (
                    format!("example.test. MX 20 {mx2}.\n{mx2}. A 192.0.2.2\n"),
                    format!(r#"stage = "{stage}", effect = "{effect}""#),
                )
            }
        };
        // To see when a client has let go takes a look at all connections for each second, so a day has to do.
        let (size, stop) = match self {
            Self::Hang(Stage::Content) => (format!(", size = {LARGE}"), "stop = \"1d\""),
            _ => (String::new(), ""),
        };
        let text = format!(
            r#"
summary = "what a server does by its own schedule"
level = "INFO"
{stop}
zone = """
$TTL 300
example.test. MX 10 {mx1}.
{mx1}. A 192.0.2.1
{second}"""
messages = [{{ id = "{MESSAGE}", to = "alice@example.test"{size} }}]
faults = [{{ host = "{mx1}", {fault} }}]
"#
        );
        Scenario::parse(&self.name(), &text)
    }
}

impl Serialize for ScheduleDrill {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_drill_is_one_and_is_found_by_its_name() {
        for drill in ScheduleDrill::ALL {
            let scenario = ScheduleDrill::named(&drill.name()).expect("a drill");
            assert_eq!(scenario.path, drill.name());
            assert_eq!(scenario.messages.len(), 1);
        }
        assert!(ScheduleDrill::named("schedules/quit").is_err());
    }
}
