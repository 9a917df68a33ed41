//! Rows of `receivers`, and what a receiver can bear.
//!
//! A limit is written as its number alone where everything else of it is as usual.
//!
//! The usual reply of a limit is not stored apart: it is made anew from the limit's number and compared. So a reply
//! that somebody wrote out, and that is the usual one, is left out as well.

use super::toml_text::{TomlTable, array, duration, string};
use crate::scenario::{
    AuthSettings, Counted, CountedBy, Engine, Greylist, Limit, Limits, Rate, ReceiverSettings,
};

/// Without a host it is about all receivers. A server behind one is an engine by its name, or an upstream by its
/// address.
pub(super) fn receiver(settings: &ReceiverSettings) -> TomlTable {
    let mut row = TomlTable::default();
    row.put_some("host", settings.host.as_ref().map(string));
    row.put_some("certificate", settings.certificate.map(string));
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
    let mut table = TomlTable::default();
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
fn limits(row: &mut TomlTable, limits: &Limits) {
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
            let mut table = TomlTable::default();
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
    let mut table = TomlTable::default();
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
    let mut table = TomlTable::default();
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
