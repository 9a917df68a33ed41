//! The rows of a scenario file about receivers and the web servers of policies.
//!
//! Several rows may be about one receiver: what an earlier one leaves out, a later one, or one without a host, can
//! say. So nothing has a default here; it gets one where rows are put together for a receiver
//! (`crate::lab::topology`).
//!
//! Policies are kept twice: as text, which is what the web server hands out, and as what the text means, `None` if it
//! means nothing (RFC 8461 section 3.2).

use std::net::IpAddr;

use super::{
    document::Table,
    keys, limits,
    words::{HostNames, domain, moment, ports, word},
};
use crate::scenario::{
    AuthSettings, Certificate, Engine, Login, PolicyRow, ReceiverSettings, SenderSettings,
    TlsVersion, TlsaParameters,
};
use crate::{
    extension::Extension, fault::Host, mta_sts::Policy, name::Domain, port, time::Moment,
    zone::History,
};

/// Octets that a SIZE limit may have: 1 GiB.
const MAX_SIZE: u64 = 1 << 30;

/// Reads the rows about receivers.
pub(super) fn receivers(table: &Table<'_, '_>, names: &HostNames) -> Vec<ReceiverSettings> {
    let rows = table.array("receivers").into_iter();
    rows.filter_map(|value| Table::of_row(table.doc(), value, &keys::RECEIVER))
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
    // No key means what the lab offers anyway; an empty list would be a receiver that can do no handshake.
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
        ports: ports(row, "ports"),
        auth: auth(row),
    }
}

/// Reads the AUTH that a receiver offers.
fn auth(row: &Table<'_, '_>) -> Option<AuthSettings> {
    let value = row.get("auth")?;
    let table = Table::of_row(row.doc(), value, &keys::AUTH)?;
    for (key, expected) in [
        ("user", "the name of the client that it knows"),
        ("password", "the password of the client that it knows"),
    ] {
        if table.get(key).is_none() {
            table.missing(key, expected);
        }
    }
    let user = table.parsed("user", secret);
    let password = table.parsed("password", secret);
    Some(AuthSettings {
        required: table.flag("required"),
        plaintext: table.flag("plaintext").unwrap_or(false),
        login: Login {
            user: user?,
            password: password?,
        },
    })
}

/// What AUTH can carry as a name or a password: without NUL, which stands between them (RFC 4616 section 2).
pub(super) fn secret(text: &str) -> Result<String, String> {
    let fits = (1..=255).contains(&text.len()) && !text.contains('\0');
    let expected = || format!("found {text:?}, expected 1 to 255 octets without NUL");
    fits.then(|| text.to_owned()).ok_or_else(expected)
}

/// Tells of receivers that are reached inside TLS from the first octet on, and have no certificate for it.
pub(super) fn implicit_tls(
    table: &Table<'_, '_>,
    sender: &SenderSettings,
    receivers: &[ReceiverSettings],
    zones: &History,
) {
    // Of all times: a host that moves needs a certificate at each of its addresses.
    let owners = zones.addresses();
    let is_certified = |address: IpAddr, names: &[Domain]| {
        let mut rows = receivers.iter();
        rows.any(|row| row.is_about(address, names) && row.certificate.is_some())
    };
    let lacks = |host: &Host| {
        let mut meant = owners
            .iter()
            .filter(|(address, names)| host.covers(**address, names));
        meant.any(|(address, names)| !is_certified(*address, names))
    };
    let expected = "expected a row of receivers with a certificate for it: port 465 is inside TLS from the first octet on";
    if let Some(value) = table
        .get("sender")
        .and_then(|sender| sender.get_ref().as_table())
        && let Some(relays) = value.get("relays")
    {
        for relay in &sender.relays {
            if relay.port == port::SUBMISSIONS && lacks(&relay.host) {
                let mistake = format!("found relay \"{relay}\", {expected}");
                table.doc().mistake(relays.span().start, mistake);
            }
        }
    }
    let values = table.array("receivers");
    for (row, value) in receivers.iter().zip(values) {
        let host = row.host.as_ref();
        if row.ports.contains(&port::SUBMISSIONS) && host.is_some_and(lacks) {
            let mistake = format!("found a receiver at port 465, {expected}");
            table.doc().mistake(value.span().start, mistake);
        }
    }
}

/// Reads a list of extensions. An empty one is a receiver that offers none.
fn extensions(row: &Table<'_, '_>, key: &str) -> Option<Vec<Extension>> {
    row.get(key)?;
    Some(row.parsed_array(key, str::parse::<Extension>))
}

/// Reads the rows about MTA-STS policies. A malformed policy is no mistake: a drill may want one.
pub(super) fn policies(table: &Table<'_, '_>) -> Vec<PolicyRow> {
    let rows = table.array("policies").into_iter();
    rows.filter_map(|value| Table::of_row(table.doc(), value, &keys::POLICY))
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
    // A star is the whole of a first label and stands nowhere else (RFC 6125 section 6.4.3).
    let rest = text.strip_prefix("*.").unwrap_or(text);
    domain(rest).map(|_| text.to_owned())
}

/// Reads the name of an engine.
pub(super) fn engine(text: &str) -> Result<Engine, String> {
    match word(text, "an engine", &keys::ENGINES)? {
        true => Ok(Engine::MailinEmbedded),
        false => Ok(Engine::Lab),
    }
}

/// Reads the `host:port` of a real server.
fn upstream(text: &str) -> Result<Engine, String> {
    let expected =
        || format!("found {text:?}, expected a server's \"host:port\", such as \"127.0.0.1:2525\"");
    // From the right: an IPv6 address in brackets has colons of its own.
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
        // RFC 6698 section 2.1. The words are counted, since reading stops at the first that is no number.
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
