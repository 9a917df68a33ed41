//! A scenario written as a file.
//!
//! What is left out has its default, so that a file says no more than it has to. `read` is the other direction; a test
//! holds the two against each other with every scenario that comes along.
//!
//! The order of keys is that of docs/scenarios.md, and within a table that in which its rows are read aloud: what it
//! is about, what happens, when. A value is written in the form that people would choose: a list of one as its one
//! value, a limit with the usual reply as its number, a duration in the largest units that say it exactly.
//!
//! What is written has to read as the same drill, to the last setting; how the text was laid out before is forgotten.

mod expect;
mod receiver;
mod toml_text;

use self::{
    expect::{bound, expected_message, number},
    receiver::receiver,
    toml_text::{
        TomlTable, array, array_of_lines, duration, key, lines, moment, one_or_many, rows, string,
    },
};
use super::{
    Certificate, Crash, Family, Login, PolicyRow, ScenarioBuilder, SenderSettings,
    build::{Messages, Update},
};
use crate::{
    fault::{Effect, Failure, Fault, Stage, Transport},
    level::Level,
    mail::{DeliverBy, Notify},
    reply::Reply,
    time::Moment,
};

impl ScenarioBuilder {
    /// The scenario as a file has it.
    pub fn to_toml(&self) -> String {
        let mut file = String::new();
        // TOML wants all keys of the top before the first table: `expect` comes last.
        let mut line = |key: &str, value: String| {
            file.push_str(&format!("{key} = {value}\n"));
        };
        line("summary", string(&self.summary));
        if !self.cites.is_empty() {
            line("cites", array(self.cites.iter().map(string)));
        }
        if self.level != Level::Must {
            line("level", string(self.level));
        }
        if !self.covers.is_empty() {
            line("covers", array(self.covers.iter().map(ToString::to_string)));
        }
        if self.seed != 0 {
            line("seed", self.seed.to_string());
        }
        line("zone", lines(&self.zone));
        for (key, rows) in [
            // A row is an inline table in a line of its own, so that a mistake in it has a line of its own.
            ("updates", rows(&self.updates, update)),
            ("messages", rows(&self.messages, messages)),
            ("faults", rows(&self.faults, fault)),
            ("crashes", rows(&self.crashes, crash)),
            ("receivers", rows(&self.receivers, receiver)),
            ("policies", rows(&self.policies, policy)),
        ] {
            if let Some(rows) = rows {
                line(key, rows);
            }
        }
        let sender = sender(&self.sender);
        if !sender.is_empty() {
            line("sender", sender.inline());
        }
        if !self.dnssec.is_empty() {
            line("dnssec", array(self.dnssec.iter().map(string)));
        }
        if let Some(stop) = self.stop {
            line("stop", moment(stop));
        }
        self.expectations(&mut file);
        file
    }

    /// The `expect` table, if anything is expected.
    fn expectations(&self, file: &mut String) {
        let shares = self.first_attempts.iter().map(|(host, bounds)| {
            let mut row = TomlTable::default();
            row.put("host", string(host));
            bound(&mut row, *bounds);
            row.inline()
        });
        let mut expect = TomlTable::default();
        for (total, bounds) in &self.totals {
            expect.put(total.word(), number(*bounds));
        }
        if !self.first_attempts.is_empty() {
            expect.put("first_attempts", array_of_lines(shares));
        }
        if !expect.is_empty() {
            file.push_str(&format!("\n[expect]\n{}", expect.lines()));
        }
        // One key for all messages of a row with a count is `build`'s concern: here each is written as it is.
        for (id, expected) in &self.expected {
            let keys = expected_message(expected);
            file.push_str(&format!("\n[expect.{}]\n{}", key(id), keys.lines()));
        }
    }
}

/// What goes is written before what comes, as it happens.
fn update(update: &Update) -> TomlTable {
    let mut row = TomlTable::default();
    row.put("at", moment(update.at));
    for (key, values) in [("delete", &update.delete), ("add", &update.add)] {
        row.put_some(key, one_or_many(values));
    }
    row
}

/// The moment is left out where it is the start of the drill, and the reverse-path where it is the usual one:
/// most messages are an id and a recipient.
fn messages(messages: &Messages) -> TomlTable {
    let mut row = TomlTable::default();
    row.put("id", string(&messages.id));
    row.put_some("to", one_or_many(&messages.to));
    let from = messages.from.as_ref().filter(|from| *from != DEFAULT_FROM);
    row.put_some("from", from.map(string));
    if messages.at > Moment::START {
        row.put("at", moment(messages.at));
    }
    row.put_some("count", messages.count.map(|count| count.to_string()));
    row.put_some("size", messages.size.map(|size| size.to_string()));
    if messages.received > 0 {
        row.put("received", messages.received.to_string());
    }
    if !messages.header.is_empty() {
        row.put("header", array(messages.header.iter().map(string)));
    }
    row.put_some("body", messages.body.as_ref().map(string));
    if messages.binary {
        row.put("binary", "true".to_owned());
    }
    row.put_some("priority", messages.priority.map(|level| level.to_string()));
    row.put_some("deliver_by", messages.deliver_by.map(deliver_by));
    if messages.require_tls {
        row.put("requiretls", "true".to_owned());
    }
    if !messages.notify.is_empty() {
        row.put("notify", by_recipient(&messages.notify, notify));
    }
    row.put_some("ret", messages.ret.map(string));
    row.put_some("envid", messages.envelope_id.as_ref().map(string));
    if !messages.originals.is_empty() {
        row.put(
            "orcpt",
            by_recipient(&messages.originals, |original| string(original)),
        );
    }
    row
}

fn deliver_by(by: DeliverBy) -> String {
    let mut table = TomlTable::default();
    table.put("within", duration(by.within));
    table.put("mode", string(by.mode));
    if by.trace {
        table.put("trace", "true".to_owned());
    }
    table.inline()
}

/// A table whose keys are recipients.
fn by_recipient<T>(values: &[(String, T)], written: impl Fn(&T) -> String) -> String {
    let mut table = TomlTable::default();
    for (recipient, value) in values {
        table.put(&key(recipient), written(value));
    }
    table.inline()
}

fn notify(notify: &Notify) -> String {
    match notify {
        Notify::Never => string(Notify::NEVER),
        Notify::Of(occasions) => array(occasions.iter().map(string)),
    }
}

/// The reverse-path of a message whose row names none.
pub(super) const DEFAULT_FROM: &str = "sender@sender.test";

/// A window that begins with the drill, or has no end, is written without it. Effects and stages print as the
/// words by which they are read.
fn fault(fault: &Fault) -> TomlTable {
    let mut row = TomlTable::default();
    match &fault.failure {
        Failure::Session {
            hosts,
            port,
            stage,
            effect,
            recipient,
            sender,
            larger_than,
        } => {
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            row.put_some("host", one_or_many(&hosts));
            row.put_some("port", port.map(|port| port.to_string()));
            row.put("stage", string(stage));
            row.put("effect", effect_of(effect));
            row.put_some("recipient", recipient.as_ref().map(string));
            row.put_some("sender", sender.as_ref().map(string));
            row.put_some("larger_than", larger_than.map(|octets| octets.to_string()));
        }
        Failure::Query {
            name,
            record_type,
            over,
            effect,
        } => {
            let kind = record_type.map_or_else(String::new, |kind| format!(" {kind}"));
            row.put("query", string(format!("{name}{kind}")));
            // The words of the format, which are not those that a log shows.
            let over = over.map(|over| match over {
                Transport::Udp => "udp",
                Transport::Tcp => "tcp",
            });
            row.put_some("over", over.map(string));
            row.put("effect", string(effect));
        }
    }
    if fault.from > Moment::START {
        row.put("from", moment(fault.from));
    }
    row.put_some("until", fault.until.map(moment));
    row.put_some("first", fault.first.map(|first| first.to_string()));
    row.put_some("every", fault.every.map(|every| every.to_string()));
    row.put_some("chance", fault.chance.map(|chance| chance.to_string()));
    row
}

/// A reply of several lines is written as they stand on the wire.
fn effect_of(effect: &Effect) -> String {
    let Effect::Reply(Reply { code, text }) = effect else {
        return string(effect);
    };
    let lines: Vec<&str> = text.split('\n').collect();
    let Some((last, before)) = lines.split_last().filter(|(_, before)| !before.is_empty()) else {
        return string(effect);
    };
    let before = before.iter().map(|line| string(format!("{code}-{line}")));
    array(before.chain([string(format!("{code} {last}"))]))
}

fn crash(crash: &Crash) -> TomlTable {
    let mut row = TomlTable::default();
    match crash {
        Crash::At(at) => row.put("at", moment(*at)),
        Crash::After { stage, host } => {
            row.put("after", string(stage));
            row.put_some("host", host.as_ref().map(string));
        }
    }
    row
}

/// The text goes into one line, whatever line ends it has: they are part of what is served.
fn policy(policy: &PolicyRow) -> TomlTable {
    let mut row = TomlTable::default();
    row.put("domain", string(&policy.domain));
    row.put("text", string(&policy.text));
    if policy.certificate != Certificate::Valid {
        row.put("certificate", string(policy.certificate));
    }
    if policy.status != 200 {
        row.put("status", policy.status.to_string());
    }
    if policy.from > Moment::START {
        row.put("from", moment(policy.from));
    }
    row.put_some("until", policy.until.map(moment));
    row
}

/// The settings that differ from the default.
fn sender(settings: &SenderSettings) -> TomlTable {
    // Held against the defaults key by key: what is equal is left out, even if somebody wrote it.
    let default = SenderSettings::default();
    let mut row = TomlTable::default();
    if !settings.relays.is_empty() {
        row.put("relays", array(settings.relays.iter().map(string)));
    }
    if let Some(Login { user, password }) = &settings.login {
        row.put("user", string(user));
        row.put("password", string(password));
    }
    if settings.retry != default.retry {
        row.put("retry", array(settings.retry.iter().copied().map(duration)));
    }
    if settings.expire != default.expire {
        row.put("expire", duration(settings.expire));
    }
    if settings.names != default.names {
        row.put("names", array(settings.names.iter().map(string)));
    }
    if !settings.addresses.is_empty() {
        row.put("addresses", array(settings.addresses.iter().map(string)));
    }
    // One key for two settings: the families in the order in which they are tried.
    if settings.families != default.families || settings.first_family != default.first_family {
        let mut families = [
            (settings.families.ipv4, "ipv4"),
            (settings.families.ipv6, "ipv6"),
        ];
        if settings.first_family == Family::Ipv6 {
            families.reverse();
        }
        let reached = families.into_iter().filter(|(reached, _)| *reached);
        row.put("families", array(reached.map(|(_, family)| string(family))));
    }
    row.put_some(
        "max_candidates",
        settings.max_candidates.map(|most| most.to_string()),
    );
    if settings.max_hops != default.max_hops {
        row.put("max_hops", settings.max_hops.to_string());
    }
    let mut timeouts = TomlTable::default();
    for stage in Stage::ALL {
        let wait = settings.timeouts.at(stage);
        if wait != default.timeouts.at(stage) {
            timeouts.put(stage.word(), duration(wait));
        }
    }
    if !timeouts.is_empty() {
        row.put("timeouts", timeouts.inline());
    }
    if settings.tls != default.tls {
        row.put("tls", string(settings.tls));
    }
    if settings.cache != default.cache {
        row.put("cache", settings.cache.to_string());
    }
    row.put_some(
        "remember_unreachable",
        settings.remember_unreachable.map(duration),
    );
    row
}
