//! What a backup does with mail that it is handed while the exchangers before it are down.

use std::time::Duration;

use super::{Passage, many};
use crate::{
    fault::{Effect, Failure, Fault, Host, Stage},
    name::Domain,
    plan::{Plan, Planned},
    scenario::{Greylist, Limits, Messages, ReceiverSettings, ScenarioBuilder},
    time::HumanDuration,
};

/// Messages of a drill to users that there are not.
const MESSAGES_TO_NOBODY: usize = 20;
/// How the ids of these begin.
const UNKNOWN: &str = "unknown";

/// What is assumed of the backups, the exchangers behind the most preferred ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backups {
    /// For how long they turn an unknown sender away for now (RFC 6647); `None`: they do not.
    pub greylist: Option<Duration>,
    /// What they do with mail to users that there are not; `None`: no such mail is sent.
    pub unknown_users: Option<UnknownUsers>,
}

/// What a backup does with mail to users that there are not. The most preferred exchangers always refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnknownUsers {
    /// It knows the users, and refuses what is for others.
    Rejected,
    /// It takes all, and has to return what nobody wants: to senders that may be forged.
    Accepted,
}

impl Backups {
    /// Whether anything is assumed.
    pub(super) fn is_assumed(&self) -> bool {
        *self != Self::default()
    }

    /// What is assumed, in words.
    pub(super) fn notes(&self, plan: &Plan) -> Vec<String> {
        let backups = plan.backups().map(|planned| &planned.host);
        let backups = match many::are_many(plan) {
            true => many::few(backups),
            false => backups.map(Domain::as_str).collect::<Vec<_>>().join(", "),
        };
        let mut notes = Vec::new();
        if let Some(wait) = self.greylist {
            notes.push(format!(
                "assumed: {backups} greylists, {} from the first attempt on",
                HumanDuration(wait)
            ));
        }
        if let Some(unknown) = self.unknown_users {
            let does = match unknown {
                UnknownUsers::Rejected => "knows the users and refuses mail for others",
                UnknownUsers::Accepted => "takes mail for users that there are not",
            };
            notes.push(format!(
                "assumed: {backups} {does}; {MESSAGES_TO_NOBODY} messages of each drill are for such"
            ));
        }
        notes
    }

    /// Lets the backups greylist, if they do.
    pub(super) fn greylist(&self, builder: ScenarioBuilder, plan: &Plan) -> ScenarioBuilder {
        let Some(wait) = self.greylist else {
            return builder;
        };
        plan.backups().fold(builder, |builder, planned| {
            let limits = Limits {
                greylist: Some(Greylist::new(wait)),
                ..Limits::default()
            };
            builder.receiver(ReceiverSettings {
                host: Some(host(planned)),
                limits,
                ..ReceiverSettings::default()
            })
        })
    }

    /// Mail to users that there are not, and who refuses it.
    pub(super) fn unknown_users(&self, builder: ScenarioBuilder, plan: &Plan) -> ScenarioBuilder {
        let Some(unknown) = self.unknown_users else {
            return builder;
        };
        let nobody = format!("no-such-user@{}", plan.domain);
        let messages = Messages::new(UNKNOWN, nobody.clone()).count(MESSAGES_TO_NOBODY);
        let backups: Vec<&Planned> = plan.backups().collect();
        let refusing = plan.usable().map(|(_, planned)| planned).filter(|planned| {
            let is_backup = backups.iter().any(|backup| backup.host == planned.host);
            !is_backup || unknown == UnknownUsers::Rejected
        });
        let effect = Effect::parse("550 5.1.1 no such user here", Stage::Rcpt)
            .expect("an effect of that stage");
        let failure = Failure::Session {
            hosts: refusing.map(host).collect(),
            port: None,
            stage: Stage::Rcpt,
            effect,
            recipient: Some(nobody),
            sender: None,
            larger_than: None,
        };
        builder.messages(messages).fault(Fault::lasting(failure))
    }
}

/// An exchanger as rows name it.
fn host(planned: &Planned) -> Host {
    let name = planned.alias_of.as_ref().unwrap_or(&planned.host);
    Host::Name(name.clone())
}

/// Whether a message is for a user that there is not.
pub(super) fn is_unknown(passage: &Passage) -> bool {
    passage.message.to_string().starts_with(UNKNOWN)
}
