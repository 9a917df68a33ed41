//! A scenario written as a file.
//!
//! What is left out has its default, so that a file says no more than it has to. `read` is the other
//! direction; a test holds the two against each other with every scenario that comes along.

use std::{fmt::Display, time::Duration};

use super::{
    AuthSettings, Bounds, Certificate, Counted, CountedBy, Crash, Engine, ExpectedAttempt,
    ExpectedDsn, ExpectedMessage, Family, Greylist, Limit, Limits, Login, PolicyRow, Rate,
    ReceiverSettings, ScenarioBuilder, SenderSettings, TimeBounds,
    build::{Messages, Update},
};
use crate::{
    fault::{Effect, Failure, Fault, Stage, Transport},
    level::Level,
    mail::Notify,
    outcome::AttemptResult,
    reply::Reply,
    time::{HumanDuration, Moment},
};

impl ScenarioBuilder {
    /// The scenario as a file has it.
    pub fn to_toml(&self) -> String {
        let mut file = String::new();
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
        if !sender.0.is_empty() {
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
            let mut row = Keys::default();
            row.put("host", string(host));
            bound(&mut row, *bounds);
            row.inline()
        });
        let mut expect = Keys::default();
        for (total, bounds) in &self.totals {
            expect.put(total.word(), number(*bounds));
        }
        if !self.first_attempts.is_empty() {
            expect.put("first_attempts", array_of_lines(shares));
        }
        if !expect.0.is_empty() {
            file.push_str(&format!("\n[expect]\n{}", expect.lines()));
        }
        for (id, expected) in &self.expected {
            let keys = expected_message(expected);
            file.push_str(&format!("\n[expect.{}]\n{}", key(id), keys.lines()));
        }
    }
}

/// The keys of a table with their values, in order.
#[derive(Default)]
struct Keys(Vec<(String, String)>);

impl Keys {
    fn put(&mut self, key: &str, value: String) {
        self.0.push((key.to_owned(), value));
    }

    fn put_some(&mut self, key: &str, value: Option<String>) {
        self.0.extend(value.map(|value| (key.to_owned(), value)));
    }

    /// As an inline table.
    fn inline(&self) -> String {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        if pairs.is_empty() {
            "{}".to_owned()
        } else {
            format!("{{ {} }}", pairs.join(", "))
        }
    }

    /// As an inline table; where there is one key only, its value alone.
    fn alone_or_inline(&self) -> String {
        match &self.0[..] {
            [(_, value)] => value.clone(),
            _ => self.inline(),
        }
    }

    /// As lines below a table's heading.
    fn lines(&self) -> String {
        let lines = self
            .0
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"));
        lines.collect()
    }
}

/// What goes is written before what comes, as it happens.
fn update(update: &Update) -> Keys {
    let mut row = Keys::default();
    row.put("at", moment(update.at));
    for (key, values) in [("delete", &update.delete), ("add", &update.add)] {
        row.put_some(key, one_or_many(values));
    }
    row
}

/// The moment is left out where it is the start of the drill, and the reverse-path where it is the usual one:
/// most messages are an id and a recipient.
fn messages(messages: &Messages) -> Keys {
    let mut row = Keys::default();
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

/// A table whose keys are recipients.
fn by_recipient<T>(values: &[(String, T)], written: impl Fn(&T) -> String) -> String {
    let mut table = Keys::default();
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
fn fault(fault: &Fault) -> Keys {
    let mut row = Keys::default();
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

fn crash(crash: &Crash) -> Keys {
    let mut row = Keys::default();
    match crash {
        Crash::At(at) => row.put("at", moment(*at)),
        Crash::After { stage, host } => {
            row.put("after", string(stage));
            row.put_some("host", host.as_ref().map(string));
        }
    }
    row
}

/// Without a host it is about all receivers. A server behind one is an engine by its name, or an upstream by its
/// address.
fn receiver(settings: &ReceiverSettings) -> Keys {
    let mut row = Keys::default();
    row.put_some("host", settings.host.as_ref().map(string));
    row.put_some("certificate", settings.certificate.map(certificate));
    row.put_some(
        "certificate_name",
        settings.certificate_name.as_ref().map(string),
    );
    let versions = settings.tls_versions.as_ref();
    let versions = versions.map(|versions| array(versions.iter().map(string)));
    row.put_some("tls_versions", versions);
    if !settings.tlsa.is_empty() {
        let records = settings.tlsa.iter();
        let records =
            records.map(|one| string(format!("{} {} {}", one.usage, one.selector, one.matching)));
        row.put("tlsa", array(records));
    }
    row.put_some("size", settings.size.map(|size| size.to_string()));
    for (key, extensions) in [
        ("extensions", &settings.extensions),
        ("extensions_in_tls", &settings.extensions_in_tls),
    ] {
        let written = extensions
            .as_ref()
            .map(|list| array(list.iter().map(string)));
        row.put_some(key, written);
    }
    limits(&mut row, &settings.limits);
    if !settings.ports.is_empty() {
        let ports = settings.ports.iter().map(ToString::to_string);
        row.put("ports", array(ports));
    }
    row.put_some("auth", settings.auth.as_ref().map(auth));
    match &settings.engine {
        Some(Engine::Lab) => row.put("engine", string("lab")),
        Some(Engine::MailinEmbedded) => row.put("engine", string("mailin-embedded")),
        Some(Engine::Upstream(address)) => row.put("upstream", string(address)),
        None => {}
    }
    row
}

fn auth(auth: &AuthSettings) -> String {
    let mut table = Keys::default();
    table.put("user", string(&auth.login.user));
    table.put("password", string(&auth.login.password));
    table.put_some(
        "required",
        auth.required.map(|required| required.to_string()),
    );
    if auth.plaintext {
        table.put("plaintext", "true".to_owned());
    }
    table.inline()
}

/// What a receiver can bear. A limit that has the usual reply is written without it.
fn limits(row: &mut Keys, limits: &Limits) {
    let numbers = [
        (
            "max_sessions",
            &limits.max_sessions,
            Limit::of_sessions as fn(usize) -> Limit,
        ),
        (
            "max_recipients",
            &limits.max_recipients,
            Limit::of_recipients,
        ),
        ("max_messages", &limits.max_messages, Limit::of_messages),
    ];
    for (key, limit, usual) in numbers {
        let written = limit.as_ref().map(|limit| {
            let mut table = Keys::default();
            table.put("most", limit.most.to_string());
            if limit.reply != usual(limit.most).reply {
                table.put("reply", string(&limit.reply));
            }
            table.alone_or_inline()
        });
        row.put_some(key, written);
    }
    row.put_some("rate", limits.rate.as_ref().map(rate));
    row.put_some("bandwidth", limits.bandwidth.map(string));
    row.put_some("trickle", limits.trickle.map(string));
    row.put_some("greylist", limits.greylist.as_ref().map(greylist));
    row.put_some("silent_after", limits.silent_after.map(duration));
}

fn rate(rate: &Rate) -> String {
    let mut table = Keys::default();
    table.put("most", string(rate.most));
    if rate.of != Counted::Messages {
        table.put("of", string(rate.of));
    }
    if rate.by != CountedBy::Client {
        table.put("by", string(rate.by));
    }
    if rate.reply != Rate::new(rate.most, rate.of, rate.by).reply {
        table.put("reply", string(&rate.reply));
    }
    table.alone_or_inline()
}

fn greylist(greylist: &Greylist) -> String {
    let usual = Greylist::new(greylist.wait);
    let mut table = Keys::default();
    table.put("wait", duration(greylist.wait));
    if greylist.window != usual.window {
        table.put("window", duration(greylist.window));
    }
    if greylist.shared {
        table.put("shared", "true".to_owned());
    }
    if greylist.reply != usual.reply {
        table.put("reply", string(&greylist.reply));
    }
    table.alone_or_inline()
}

/// The text goes into one line, whatever line ends it has: they are part of what is served.
fn policy(policy: &PolicyRow) -> Keys {
    let mut row = Keys::default();
    row.put("domain", string(&policy.domain));
    row.put("text", string(&policy.text));
    if policy.certificate != Certificate::Valid {
        row.put("certificate", certificate(policy.certificate));
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
fn sender(settings: &SenderSettings) -> Keys {
    let default = SenderSettings::default();
    let mut row = Keys::default();
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
    let mut timeouts = Keys::default();
    for stage in Stage::ALL {
        let wait = settings.timeouts.at(stage);
        if wait != default.timeouts.at(stage) {
            timeouts.put(stage.word(), duration(wait));
        }
    }
    if !timeouts.0.is_empty() {
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

/// In the order of docs/scenarios.md: what becomes of it, then the attempts.
fn expected_message(expected: &ExpectedMessage) -> Keys {
    let mut keys = Keys::default();
    keys.put_some("outcome", expected.outcome.map(string));
    keys.put_some("by", expected.by.as_ref().map(string));
    keys.put_some("copies", expected.copies.map(number));
    keys.put_some("status", expected.status.map(string));
    if !expected.recipients.is_empty() {
        let mut recipients = Keys::default();
        for (recipient, outcome) in &expected.recipients {
            recipients.put(&key(recipient), string(outcome));
        }
        keys.put("recipients", recipients.inline());
    }
    for (key, attempts) in [
        ("attempts", &expected.attempts),
        ("starts_with", &expected.starts_with),
    ] {
        let attempts = attempts.as_ref();
        keys.put_some(
            key,
            attempts.map(|attempts| array_of_lines(attempts.iter().map(attempt))),
        );
    }
    keys.put_some("attempt_count", expected.attempt_count.map(number));
    keys.put_some("retry_waits", expected.retry_waits.map(times));
    keys.put_some("returned_after", expected.returned_after.map(times));
    let dsn = expected.dsn.as_ref();
    keys.put_some(
        "dsn",
        dsn.map(|rows| array_of_lines(rows.iter().map(notification))),
    );
    keys
}

fn notification(expected: &ExpectedDsn) -> String {
    let mut row = Keys::default();
    row.put_some("recipient", expected.recipient.as_ref().map(string));
    row.put_some("action", expected.action.map(string));
    row.put_some("status", expected.status.map(string));
    row.put_some("remote_mta", expected.remote_mta.as_ref().map(string));
    row.put_some("diagnostic", expected.diagnostic.as_ref().map(string));
    row.put_some(
        "original_recipient",
        expected.original_recipient.as_ref().map(string),
    );
    row.put_some("envelope_id", expected.envelope_id.as_ref().map(string));
    row.put_some("returned", expected.returned.map(string));
    row.inline()
}

/// One host is written as `host`, several as `any`. A reply code is a string, as the format has it in examples,
/// though a number would be read as well.
fn attempt(attempt: &ExpectedAttempt) -> String {
    let mut row = Keys::default();
    match &attempt.hosts[..] {
        [host] => row.put("host", string(host)),
        hosts => row.put("any", array(hosts.iter().map(string))),
    }
    row.put_some("port", attempt.port.map(|port| port.to_string()));
    row.put_some("address", attempt.address.map(string));
    let result = match attempt.result {
        AttemptResult::Code(code) => code.to_string(),
        word => word.to_string(),
    };
    row.put("result", string(result));
    row.put_some("stage", attempt.stage.map(string));
    row.put_some("at", attempt.at.map(moment));
    row.put_some("tls", attempt.tls.map(|tls| tls.to_string()));
    row.put_some("sni", attempt.sni.as_ref().map(string));
    row.inline()
}

/// A range: the number alone where no other is allowed.
fn number(bounds: Bounds) -> String {
    if bounds.min == bounds.max {
        return bounds.min.to_string();
    }
    let mut range = Keys::default();
    bound(&mut range, bounds);
    range.inline()
}

fn times(bounds: TimeBounds) -> String {
    let mut range = Keys::default();
    if bounds.min > Duration::ZERO || bounds.max == Duration::MAX {
        range.put("min", duration(bounds.min));
    }
    if bounds.max < Duration::MAX {
        range.put("max", duration(bounds.max));
    }
    range.inline()
}

/// Where there is no bound at all, a least number of 0 stands for it: a range must say something.
fn bound(row: &mut Keys, bounds: Bounds) {
    if bounds.min > 0 || bounds.max == u64::MAX {
        row.put("min", bounds.min.to_string());
    }
    if bounds.max < u64::MAX {
        row.put("max", bounds.max.to_string());
    }
}

fn certificate(certificate: Certificate) -> String {
    string(certificate)
}

fn moment(moment: Moment) -> String {
    duration(moment.0)
}

fn duration(duration: Duration) -> String {
    string(HumanDuration(duration))
}

/// A string for one value, an array for several, nothing for none.
fn one_or_many(values: &[String]) -> Option<String> {
    match values {
        [] => None,
        [one] => Some(string(one)),
        many => Some(array(many.iter().map(string))),
    }
}

fn array(values: impl Iterator<Item = String>) -> String {
    let values: Vec<String> = values.collect();
    format!("[{}]", values.join(", "))
}

/// An array with a line for each value.
fn array_of_lines(values: impl Iterator<Item = String>) -> String {
    let lines: String = values.map(|value| format!("  {value},\n")).collect();
    if lines.is_empty() {
        "[]".to_owned()
    } else {
        format!("[\n{lines}]")
    }
}

/// An array of tables; `None` if there is none.
fn rows<T>(rows: &[T], keys: impl Fn(&T) -> Keys) -> Option<String> {
    let lines = rows.iter().map(|row| keys(row).inline());
    (!rows.is_empty()).then(|| array_of_lines(lines))
}

/// A key, in quotes where it has signs that a bare one may not have.
fn key(text: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !text.is_empty() && text.chars().all(is_bare) {
        text.to_owned()
    } else {
        string(text)
    }
}

/// A string of one line, with the escapes that it needs.
fn string(text: impl Display) -> String {
    format!("\"{}\"", escaped(&text.to_string()))
}

/// Text of several lines. As it is where that can be told from the end of the string, since zone-file
/// text has quotes and backslashes of its own.
fn lines(text: &str) -> String {
    let is_plain = |c: char| c == '\n' || c == '\t' || !c.is_control();
    if text.contains("'''") || text.ends_with('\'') || !text.chars().all(is_plain) {
        string(text)
    } else {
        format!("'''\n{text}'''")
    }
}

/// Quotes, backslashes and controls as TOML writes them in a basic string; all else stands for itself.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => escaped.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}
