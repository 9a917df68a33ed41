//! What a sender that is no part of this program is told of the scenario's relays: variables of its environment.
//!
//! A command is told under names that nobody else uses, since it has its user's own environment besides; the scripts of
//! an adapter have an environment of their own, and are told without the prefix.

use mxdrill::scenario::SenderSettings;

/// What stands before the names where the environment is the user's.
pub(crate) const PREFIX: &str = "MXDRILL_";

/// The variables and their values, each empty where there is nothing to tell.
pub(crate) fn variables(settings: &SenderSettings) -> [(&'static str, String); 3] {
    let relays: Vec<String> = settings.relays.iter().map(ToString::to_string).collect();
    let login = settings.login.as_ref();
    [
        // A host and a port have no spaces.
        ("RELAYS", relays.join(" ")),
        (
            "RELAY_USER",
            login.map_or_else(String::new, |login| login.user.clone()),
        ),
        (
            "RELAY_PASSWORD",
            login.map_or_else(String::new, |login| login.password.clone()),
        ),
    ]
}
