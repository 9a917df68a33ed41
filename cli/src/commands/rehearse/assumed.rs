//! What a rehearsal assumes beside the records: who sends and for how long, the policy, and what backups do.

use std::{fs, io, path::PathBuf, time::Duration};

use crate::commands::at;
use mxdrill::{
    plan::Plan,
    records::DomainRecords,
    rehearse::{Assumptions, Backups, SenderProfile, UnknownUsers},
    time::HumanDuration,
};

/// What is assumed beside the records.
#[derive(Debug, clap::Args)]
#[group(id = "assumed", multiple = true)]
pub(crate) struct AssumedArgs {
    /// Who sends, beside or in place of mxdrill's reference sender: kinds of mail servers, separated by commas, each
    /// with the waits and the patience that it has by default (docs/schedules.md); or all. Outages of several
    /// lengths are rehearsed with each.
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = profile)]
    senders: Vec<Senders>,
    /// How long the reference sender keeps mail before it returns it; 5d without this.
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    lifetime: Option<Duration>,
    /// The domain's MTA-STS policy, as its web server has it; without it one for the exchangers as they are is
    /// assumed where the domain has a record at _mta-sts.
    #[arg(long, value_name = "FILE")]
    mta_sts_policy: Option<PathBuf>,
    /// Assume that backups (exchangers of a higher preference than others) greylist: who is new waits this long.
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    backup_greylists: Option<Duration>,
    /// Assume mail to users that there are not, and what backups do with it; the most preferred exchangers refuse it.
    #[arg(long, value_enum, value_name = "DOES")]
    unknown_users: Option<Unknown>,
}

/// What backups do with mail to users that there are not.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Unknown {
    /// Backups know the users, and refuse mail to others.
    BackupRejects,
    /// Backups take it, and have to return it.
    BackupAccepts,
}

/// One word of `--senders`.
#[derive(Debug, Clone)]
pub(crate) enum Senders {
    All,
    One(SenderProfile),
}

fn profile(text: &str) -> Result<Senders, String> {
    match text {
        "all" => Ok(Senders::All),
        name => SenderProfile::find(name)
            .map(Senders::One)
            .map_err(String::from),
    }
}

/// A time that is longer than none.
pub(super) fn some_time(text: &str) -> Result<Duration, String> {
    let time: HumanDuration = text.parse().map_err(|error| format!("{error}"))?;
    match time.0.is_zero() {
        true => Err(format!("found {text:?}, expected a time longer than none")),
        false => Ok(time.0),
    }
}

impl AssumedArgs {
    pub(super) fn assumptions(&self) -> io::Result<Assumptions> {
        let mut assumptions = Assumptions::default();
        if let Some(lifetime) = self.lifetime {
            assumptions.sender.lifetime = lifetime;
        }
        if let Some(path) = &self.mta_sts_policy {
            let text = fs::read_to_string(path).map_err(|error| at(path, error))?;
            assumptions.policy = Some(text);
        }
        assumptions.backups.greylist = self.backup_greylists;
        assumptions.backups.unknown_users = self.unknown_users.map(|unknown| match unknown {
            Unknown::BackupRejects => UnknownUsers::Rejected,
            Unknown::BackupAccepts => UnknownUsers::Accepted,
        });
        Ok(assumptions)
    }

    /// The kinds of senders that were asked for, each once. The reference sender is as it is assumed to be.
    pub(super) fn senders(&self, reference: &SenderProfile) -> io::Result<Vec<SenderProfile>> {
        let mut senders: Vec<SenderProfile> = Vec::new();
        for asked in &self.senders {
            let these = match asked {
                Senders::All => {
                    let names = SenderProfile::names().into_iter();
                    let all = names.map(SenderProfile::find).collect::<Result<_, _>>();
                    all.map_err(io::Error::other)?
                }
                Senders::One(profile) => vec![profile.clone()],
            };
            for profile in these {
                let profile = if profile.name == reference.name {
                    reference.clone()
                } else {
                    profile
                };
                if !senders.contains(&profile) {
                    senders.push(profile);
                }
            }
        }
        Ok(senders)
    }
}

/// What of it means something to one of several domains: where there is no backup, nothing is assumed of one.
pub(super) fn meant_for(assumptions: &Assumptions, domain_records: &DomainRecords) -> Assumptions {
    let mut meant = assumptions.clone();
    if Plan::of(domain_records).backups().next().is_none() {
        meant.backups = Backups::default();
    }
    meant
}
