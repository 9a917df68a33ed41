//! Drills made of a domain's own records: each exchanger dies, each level, all of them, the DNS.
//!
//! 1. The records of the plan become a zone ([`Rehearsal::of`]): as they are, with their TTLs; addresses that are not
//!    known get stand-ins. What is assumed beside them, and what is left out, is said ([`Rehearsal::notes`]).
//! 2. A scenario is built with a failure as its faults, and played by the reference sender on a virtual clock: all
//!    that may happen by itself ([`Rehearsal::outages`]), planned work ([`Rehearsal::work`]), outages of several lengths
//!    for several kinds of senders ([`Rehearsal::lengths`]), a change of the records ([`migrate`]), and what hits many
//!    domains at once ([`shared_outages`], [`Rehearsal::fates`]).
//! 3. What came of it becomes what is expected: the file that is written down passes as it is.
//!
//! The level of these scenarios is INFO: they say what happens, and no RFC asks for it.

mod backups;
mod drill_records;
mod fate;
mod likeness;
mod many;
mod messages;
mod migration;
mod outages;
mod passage;
mod security;
mod senders;
mod shared;
mod work;

use std::{collections::BTreeMap, fmt::Write, io, net::IpAddr, sync::Arc, time::Duration};

pub use self::{
    backups::{Backups, UnknownUsers},
    fate::{Fate, Fates, Hit},
    migration::{Migration, MigrationDrill, MigrationWay, migrate},
    passage::{Passage, PassageEnd, PassageSum},
    senders::SenderProfile,
    shared::{SharedOutage, SharedPart, shared_outages},
    work::{WorkDrill, WorkPhase, WorkWindow},
};
use self::{
    drill_records::{DrillRecords, StandIns},
    outages::RehearsedOutage,
    security::{Security, Trouble},
};
use crate::{
    drill::{self, Run},
    fault::{Effect, Fault, Host, Stage},
    lab::NetworkKind,
    level::Level,
    name::Domain,
    outcome::Outcome,
    plan::Plan,
    records::DomainRecords,
    scenario::{Bounds, Messages, Scenario, ScenarioBuilder, Total},
    sender::Reference,
    time::Moment,
    verdict::{SenderKind, judge},
};

/// The messages of a drill at most: enough for shares to be told in per cent.
pub const MESSAGES: usize = 200;
/// Those of a drill of one outage's length, given to senders while it lasts.
const MESSAGES_OF_A_LENGTH: u32 = 20;
/// Seconds of a day.
const DAY: u64 = 86_400;

/// What a rehearsal assumes beside the records.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Assumptions {
    /// Who sends.
    pub sender: SenderProfile,
    /// The text of the MTA-STS policy; without it that of a scenario, or an enforced one for the exchangers as they
    /// are.
    pub policy: Option<String>,
    /// What backups do with mail.
    pub backups: Backups,
}

/// A domain that is ready to be rehearsed.
#[derive(Debug)]
pub struct Rehearsal {
    plan: Plan,
    /// Its records as zone-file text.
    zone: String,
    /// The same, of very many exchangers with the MX records of the first few alone.
    short_zone: String,
    stand_ins: BTreeMap<Domain, IpAddr>,
    assumptions: Assumptions,
    security: Security,
    notes: Vec<String>,
}

/// A drill of a rehearsal, played.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rehearsed {
    /// What fails, in words: `mx1.example.test does not answer for a day`.
    pub title: String,
    /// The name of its file, without `.toml`.
    pub file: String,
    /// The text of the scenario, as it can be written to a file.
    pub text: String,
    /// The scenario that the text is.
    pub scenario: Arc<Scenario>,
    /// The run of the reference sender, judged by what is expected in the text.
    pub run: Run,
    /// What became of each message, in the order of the scenario.
    pub passages: Vec<Passage>,
    /// What came of the messages to users that there are.
    pub sum: PassageSum,
    /// What came of those to users that there are not, if there were any.
    pub unknown: Option<PassageSum>,
    /// How many exchangers the one that fails stands for, itself included, since nothing distinguishes them.
    pub alike: usize,
}

/// An outage of all exchangers of some length, as several kinds of senders come through it.
#[derive(Debug)]
#[non_exhaustive]
pub struct OutageLength {
    /// How long no exchanger answers.
    pub length: Duration,
    /// A drill for each kind of sender, in the order in which they were asked for.
    pub drills: Vec<Rehearsed>,
}

impl Rehearsal {
    /// Makes ready what the plan for a domain leads to.
    ///
    /// # Errors
    /// That there is nothing to rehearse; that an assumption is about what there is not.
    pub fn of(domain_records: &DomainRecords, assumptions: Assumptions) -> io::Result<Self> {
        let plan = Plan::of(domain_records);
        let domain = &plan.domain;
        let refused = |why: String| Err(io::Error::other(format!("{domain}: {why}")));
        if let Some(why) = plan.why.as_ref().filter(|_| !plan.is_deliverable()) {
            return refused(format!("nothing to rehearse: {why}"));
        }
        if assumptions.backups.is_assumed() && plan.backups().next().is_none() {
            return refused(
                "found no backup, an exchanger of a higher preference than others, expected one to assume anything of"
                    .to_owned(),
            );
        }
        let mut stand_ins = StandIns::beside([&plan]);
        let records = DrillRecords::of(&plan, domain_records, &mut stand_ins);
        if !records.fit_an_answer() {
            return refused(format!(
                "found {} exchangers, expected no more than fit into a DNS answer of 65535 octets: no sender gets them",
                plan.usable().count()
            ));
        }
        let security = Security::of(&plan, domain_records, assumptions.policy.as_deref());
        let mut notes = told(&stand_ins.of);
        if domain_records
            .targets
            .iter()
            .any(|target| target.place.is_none())
        {
            notes.push("assumed: TTLs are what was left of them at the resolver".to_owned());
        }
        notes.extend(security.notes.iter().cloned());
        notes.extend(assumptions.backups.notes(&plan));
        Ok(Self {
            zone: records.text(None),
            short_zone: records.of_first(many::FEW).text(None),
            stand_ins: stand_ins.of,
            plan,
            assumptions,
            security,
            notes,
        })
    }

    /// What is assumed beside the records, and what of them is left out, in words.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What of very many exchangers the rehearsal of outages merges or leaves out, in words.
    pub fn merged(&self) -> Vec<String> {
        many::notes(&self.plan, &self.security)
    }

    /// The exchangers whose addresses are not known, each with the one that stands for them.
    pub fn stand_ins(&self) -> &BTreeMap<Domain, IpAddr> {
        &self.stand_ins
    }

    /// The exchangers that senders use, most preferred first.
    fn hosts(&self) -> impl Iterator<Item = &Domain> {
        self.plan.usable().map(|(_, planned)| &planned.host)
    }

    /// A user of the domain.
    fn someone(&self) -> String {
        format!("someone@{}", self.plan.domain)
    }

    /// A drill of the domain without messages and faults.
    fn builder(&self, title: &str, sender: &SenderProfile, trouble: &Trouble) -> ScenarioBuilder {
        self.builder_of(&self.zone, title, sender, trouble)
    }

    /// The same with these records.
    fn builder_of(
        &self,
        zone: &str,
        title: &str,
        sender: &SenderProfile,
        trouble: &Trouble,
    ) -> ScenarioBuilder {
        let builder = Scenario::builder(format!("{}: {title}", self.plan.domain))
            .level(Level::Info)
            .zone(zone)
            .sender(self.security.sender(sender.settings()));
        let builder = self.security.play(builder, trouble);
        self.assumptions.backups.greylist(builder, &self.plan)
    }

    /// Rehearses all that may happen.
    ///
    /// # Errors
    /// That a drill did not run.
    pub fn outages(&self) -> io::Result<Vec<Rehearsed>> {
        let usual = self.outage(outages::nothing_fails(self))?;
        let outages = outages::outages(self, &usual.sum).into_iter();
        let rehearsed = outages.map(|outage| self.outage(outage));
        std::iter::once(Ok(usual)).chain(rehearsed).collect()
    }

    /// Plays what fails.
    fn outage(&self, outage: RehearsedOutage) -> io::Result<Rehearsed> {
        let messages = Messages::new("m", self.someone()).count(outage.messages);
        let mut builder = self
            .builder(&outage.title, &self.assumptions.sender, &outage.trouble)
            .messages(messages);
        for fault in outage.faults {
            builder = builder.fault(fault);
        }
        // The first row that applies wins: what an exchanger knows of users comes behind what fails there.
        builder = self.assumptions.backups.unknown_users(builder, &self.plan);
        let mut drill = self.finished(outage.title, outage.file, builder)?;
        drill.alike = outage.alike;
        Ok(drill)
    }

    /// Rehearses outages of all exchangers, each length with each kind of sender; the last one is longer than any of
    /// them keeps mail.
    ///
    /// # Errors
    /// That a drill did not run.
    pub fn lengths(&self, senders: &[SenderProfile]) -> io::Result<Vec<OutageLength>> {
        let hours = [1, 4, 12, 24, 48, 72, 96, 120, 144];
        let patience = senders.iter().map(|sender| sender.lifetime).max();
        let patience = patience.unwrap_or_default().as_secs();
        let mut lengths: Vec<u64> = hours.iter().map(|hours| hours * 3600).collect();
        lengths.retain(|length| *length <= patience);
        lengths.push((patience / DAY + 1) * DAY);
        let length = |seconds: u64| {
            let length = Duration::from_secs(seconds);
            let drills = senders.iter().map(|sender| self.length(length, sender));
            Ok(OutageLength {
                length,
                drills: drills.collect::<io::Result<_>>()?,
            })
        };
        lengths.into_iter().map(length).collect()
    }

    /// How many of the exchangers outages of several lengths are rehearsed with; `None`: all.
    ///
    /// Where there are hundreds, a sender that tried all would do nothing else for hours. Many do not: RFC 5321 section
    /// 5.1 lets them have a limit. Nor would one more that is down change anything.
    pub fn candidates(&self) -> Option<usize> {
        many::are_many(&self.plan).then_some(many::FEW)
    }

    /// Plays an outage of all exchangers with mail that comes while it lasts.
    fn length(&self, length: Duration, sender: &SenderProfile) -> io::Result<Rehearsed> {
        let shown = crate::time::HumanDuration(length);
        let title = format!("no exchanger answers for {shown} ({})", sender.name);
        let mut builder = self.builder_of(&self.short_zone, &title, sender, &Trouble::None);
        for number in 0..MESSAGES_OF_A_LENGTH {
            let message = Messages::new(format!("m{number}"), self.someone());
            let at = Moment(length / MESSAGES_OF_A_LENGTH * number);
            builder = builder.messages(message.at(at));
        }
        for host in self.hosts().take(many::FEW) {
            let effect = Effect::parse("timeout", Stage::Connect).expect("an effect of that stage");
            let fault = Fault::of_host(Host::Name(host.clone()), Stage::Connect, effect);
            builder = builder.fault(fault.until(Moment(length)));
        }
        self.finished(title, format!("all-down-{shown}-{}", sender.name), builder)
    }

    fn finished(
        &self,
        title: String,
        file: String,
        builder: ScenarioBuilder,
    ) -> io::Result<Rehearsed> {
        finished(&self.plan.domain, title, file, builder, &self.notes)
    }
}

/// Which addresses stand for others, in words.
fn told(stand_ins: &BTreeMap<Domain, IpAddr>) -> Vec<String> {
    if stand_ins.len() > many::FEW {
        let (hosts, first) = (many::few(stand_ins.keys()), stand_ins.values().min());
        let first = first.map_or_else(String::new, ToString::to_string);
        return vec![format!(
            "assumed: addresses from {first} on stand for those of {hosts}, which are not known"
        )];
    }
    let told = stand_ins.iter().map(|(host, address)| {
        format!("assumed: {address} stands for the addresses of {host}, which are not known")
    });
    told.collect()
}

/// Plays a drill, and writes down what came of it as what is expected. The notes become comments of the file.
fn finished(
    domain: &Domain,
    title: String,
    file: String,
    mut builder: ScenarioBuilder,
    notes: &[String],
) -> io::Result<Rehearsed> {
    let file = file_name(&file);
    let path = format!("{file}.toml");
    let build = |builder: &ScenarioBuilder| builder.build_as(&path).map(Arc::new);
    // The draft expects nothing; what it comes to is what the scenario expects.
    let draft = build(&builder).map_err(io::Error::other)?;
    let mut run = drill::run(&draft, NetworkKind::Memory, None, Reference::default())?;
    let delivered = run.verdict.outcomes.get(&Outcome::Delivered);
    let delivered = delivered.copied().unwrap_or(0);
    for (total, bounds) in expected(delivered, draft.messages.len()) {
        builder = builder.expect_total(total, bounds);
    }
    // What is expected changes nothing of what happens.
    let scenario = build(&builder).map_err(io::Error::other)?;
    let sender_kind = SenderKind::InProcess {
        tolerance: Duration::ZERO,
    };
    run.verdict = judge(&scenario, &run.events, sender_kind);
    let passages = passage::passages(&scenario, &run.events);
    let (unknown, known): (Vec<&Passage>, Vec<&Passage>) = passages
        .iter()
        .partition(|passage| backups::is_unknown(passage));
    let sum = PassageSum::of(known);
    let unknown = (!unknown.is_empty()).then(|| PassageSum::of(unknown));
    let mut text = format!("# Made by mxdrill rehearse from the records of {domain}.\n");
    for note in notes {
        writeln!(text, "# {note}").expect("a string takes it all");
    }
    Ok(Rehearsed {
        title,
        file,
        text: text + &builder.to_toml(),
        scenario,
        run,
        sum,
        unknown,
        passages,
        alike: 1,
    })
}

/// What is expected where so many of all messages were delivered. How many of several equals' share is chance; all
/// or nothing is not.
fn expected(delivered: usize, all: usize) -> Vec<(Total, Bounds)> {
    let exactly = |count: usize| Bounds {
        min: count as u64,
        max: count as u64,
    };
    let some = Bounds {
        min: 1,
        max: all as u64 - 1,
    };
    match delivered {
        0 => vec![(Total::Bounced, exactly(all))],
        delivered if delivered == all => vec![(Total::Delivered, exactly(all))],
        _ => vec![(Total::Delivered, some), (Total::Bounced, some)],
    }
}

/// A name of a file, of letters, digits, dots, hyphens and underscores alone.
pub fn file_name(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let plain = text.chars().map(|c| if is_plain(c) { c } else { '_' });
    plain.collect()
}
