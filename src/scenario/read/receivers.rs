//! The rows of a scenario file about receivers and the web servers of policies.

use super::{
    document::Table,
    limits,
    words::{HostNames, domain, moment, word},
};
use crate::scenario::{
    Certificate, Engine, PolicyRow, ReceiverSettings, TlsVersion, TlsaParameters,
};
use crate::{extension::Extension, mta_sts::Policy, time::Moment};

/// Octets that a SIZE limit may have: 1 GiB.
const MAX_SIZE: u64 = 1 << 30;

/// Reads the rows about receivers.
pub(super) fn receivers(table: &Table<'_, '_>, names: &HostNames) -> Vec<ReceiverSettings> {
    const KEYS: [&str; 10] = [
        "host",
        "certificate",
        "certificate_name",
        "tls_versions",
        "tlsa",
        "size",
        "extensions",
        "extensions_in_tls",
        "engine",
        "upstream",
    ];
    let keys = [&KEYS[..], &limits::KEYS].concat();
    let rows = table.array("receivers").into_iter();
    rows.filter_map(|value| Table::of_value(table.doc(), value, "a receiver", &keys))
        .map(|row| receiver(&row, names))
        .collect()
}

/// Reads one row. What it leaves out stays `None`, so that another row for the same receiver, or
/// for all of them, can say it.
fn receiver(row: &Table<'_, '_>, names: &HostNames) -> ReceiverSettings {
    let engine = row.parsed("engine", engine);
    let upstream = row.parsed("upstream", upstream);
    if engine.is_some() && upstream.is_some() {
        row.doc().mistake(
            row.key_offset("upstream"),
            "found upstream beside engine, expected one of them",
        );
    }
    let tls_versions = row.get("tls_versions").map(|value| {
        let versions = row.parsed_array("tls_versions", |text| {
            word(text, "a version of TLS", &TlsVersion::WORDS)
        });
        if value.get_ref().as_array().is_some_and(|all| all.is_empty()) {
            let mistake = "found no version, expected one at least";
            row.doc().mistake(row.key_offset("tls_versions"), mistake);
        }
        versions
    });
    ReceiverSettings {
        host: row.parsed("host", |text| names.host(text)),
        certificate: row.parsed("certificate", |text| {
            word(text, "a certificate", &Certificate::WORDS)
        }),
        certificate_name: row.parsed("certificate_name", certificate_name),
        tls_versions,
        tlsa: row.parsed_array("tlsa", tlsa),
        size: row
            .number("size", MAX_SIZE)
            .and_then(|size| size.try_into().ok()),
        engine: upstream.or(engine),
        extensions: extensions(row, "extensions"),
        extensions_in_tls: extensions(row, "extensions_in_tls"),
        limits: limits::limits(row),
    }
}

/// Reads a list of extensions. An empty one is a receiver that offers none.
fn extensions(row: &Table<'_, '_>, key: &str) -> Option<Vec<Extension>> {
    row.get(key)?;
    Some(row.parsed_array(key, str::parse::<Extension>))
}

/// Reads the rows about MTA-STS policies. A malformed policy is no mistake: a drill may want one.
pub(super) fn policies(table: &Table<'_, '_>) -> Vec<PolicyRow> {
    const KEYS: [&str; 6] = ["domain", "certificate", "status", "text", "from", "until"];
    let rows = table.array("policies").into_iter();
    rows.filter_map(|value| Table::of_value(table.doc(), value, "a policy", &KEYS))
        .filter_map(|row| policy(&row))
        .collect()
}

/// Reads one row. The text is kept as it is written, and its meaning beside it: the web server
/// serves the one, mxdrill's own parts ask the other.
fn policy(row: &Table<'_, '_>) -> Option<PolicyRow> {
    for (key, expected) in [
        ("domain", "the domain of the policy"),
        ("text", "the policy itself"),
    ] {
        if row.get(key).is_none() {
            row.missing(key, expected);
        }
    }
    let domain = row.parsed("domain", domain);
    let certificate = row.parsed("certificate", |text| {
        word(text, "a certificate", &Certificate::WORDS)
    });
    let status = row
        .number("status", 599)
        .and_then(|status| status.try_into().ok())
        .unwrap_or(200);
    if status < 200 {
        row.doc().mistake(
            row.key_offset("status"),
            format!("found status {status}, expected 200 to 599"),
        );
    }
    let text = row.text("text")?.value;
    Some(PolicyRow {
        policy: Policy::parse(text),
        text: text.to_owned(),
        domain: domain?,
        certificate: certificate.unwrap_or(Certificate::Valid),
        status,
        from: row.parsed("from", moment).unwrap_or(Moment::START),
        until: row.parsed("until", moment),
    })
}

/// Reads the name of a certificate: a domain, whose first label may be a star.
fn certificate_name(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("*.").unwrap_or(text);
    domain(rest).map(|_| text.to_owned())
}

/// Reads the name of an engine.
pub(super) fn engine(text: &str) -> Result<Engine, String> {
    match word(
        text,
        "an engine",
        &[("lab", false), ("mailin-embedded", true)],
    )? {
        true => Ok(Engine::MailinEmbedded),
        false => Ok(Engine::Lab),
    }
}

/// Reads the `host:port` of a real server.
fn upstream(text: &str) -> Result<Engine, String> {
    let expected =
        || format!("found {text:?}, expected a server's \"host:port\", such as \"127.0.0.1:2525\"");
    let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
    if host.is_empty() || port.parse::<u16>().ok().is_none_or(|port| port == 0) {
        return Err(expected());
    }
    Ok(Engine::Upstream(text.to_owned()))
}

/// Reads the parameters of a TLSA record, such as `3 1 1`.
fn tlsa(text: &str) -> Result<TlsaParameters, String> {
    let numbers: Vec<u8> = text
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    match numbers[..] {
        [usage @ 0..=3, selector @ 0..=1, matching @ 0..=2]
            if text.split_whitespace().count() == 3 =>
        {
            Ok(TlsaParameters {
                usage,
                selector,
                matching,
            })
        }
        _ => Err(format!(
            "found {text:?}, expected usage 0 to 3, selector 0 or 1 and matching type 0 to 2, such as \"3 1 1\""
        )),
    }
}
