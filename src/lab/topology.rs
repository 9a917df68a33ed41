//! Which hosts a lab has: a receiver for every address of the records, the web servers of policies.
//!
//! Nothing in a scenario lists the hosts: every address that an A or AAAA record gives in any
//! version of the zone is a receiver, so that a sender which goes to a wrong address of the zone is
//! seen there and not lost in a refused connection. Rows of `receivers` say what is special about
//! some of them.

use std::{collections::BTreeMap, io, net::IpAddr, sync::Arc};

use hickory_proto::rr::{RData, Record, RecordType};

use super::{
    mta_sts_server::MtaStsServer,
    network::NetworkKind,
    receiver::{self, Means, Offer, Receiver},
};
use crate::{
    extension,
    fault::Host,
    name::Domain,
    port,
    scenario::{
        Certificate, Engine, Limits, ReceiverSettings, Relay, World,
        policy_host as policy_host_name,
    },
    tls::{self, CertificateAuthority},
    zone::{History, Zone, names_beside},
};

/// The hosts of a lab, and the records with those that the lab adds.
pub(super) struct Topology {
    /// The authority that issues certificates; `None` if no receiver has one and there is no
    /// policy.
    pub(super) authority: Option<CertificateAuthority>,
    /// By address, which is how connections find them.
    pub(super) receivers: BTreeMap<IpAddr, Arc<Receiver>>,
    /// The web servers of MTA-STS policies, by address. No receiver stands where one of them does.
    pub(super) policy_hosts: BTreeMap<IpAddr, Arc<MtaStsServer>>,
    /// The scenario's records, with TLSA records for the lab's certificates where it asks for them:
    /// a scenario cannot know the digest of a key that is made when it is played.
    pub(super) zones: History,
    /// The records among them that no scenario has: the lab's own, and those for its certificates.
    pub(super) own: Vec<Record>,
}

// Everything is decided before anything is bound.
impl Topology {
    /// Those of a drill: a receiver at each address of its records, but web servers at those of policies; TLSA
    /// records where it asks for them.
    ///
    /// # Errors
    /// That certificates, or the server behind a receiver, cannot be had.
    pub(super) fn of(world: &World, relays: &[Relay], kind: NetworkKind) -> io::Result<Self> {
        let mut rows = world.receivers.iter();
        let certified = rows.any(|row| row.certificate.is_some()) || !world.policies.is_empty();
        let authority = certified.then(tls::authority).transpose()?;
        let policy_hosts = policy_hosts(world, authority.as_ref());
        let mut receivers = receivers(world, relays, kind, authority.as_ref())?;
        receivers.retain(|address, _| !policy_hosts.contains_key(address));
        let mut zones = world.zones.clone();
        let mut own = world.own().to_vec();
        if let Some(authority) = &authority {
            let tlsa = tlsa_records(world, authority, &receivers);
            zones.add_everywhere(&tlsa);
            own.extend(tlsa);
        }
        Ok(Self {
            authority,
            receivers,
            policy_hosts,
            zones,
            own,
        })
    }

    /// Every address at which a host stands, receivers first.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let receivers = self.receivers.keys();
        receivers.chain(self.policy_hosts.keys()).copied()
    }

    /// The ports of receivers beside that of exchangers, each with the address.
    pub(super) fn further_ports(&self) -> impl Iterator<Item = (IpAddr, u16)> {
        self.receivers.values().flat_map(|receiver| {
            let further = receiver.ports.iter().filter(|port| **port != port::SMTP);
            further.map(|port| (receiver.address, *port))
        })
    }
}

/// The address of the mailin-embedded server; an error that names the feature if the library was
/// built without it.
#[cfg(feature = "mailin-embedded")]
fn mailin_embedded() -> io::Result<String> {
    super::mailin::address().map(|address| address.to_string())
}

#[cfg(not(feature = "mailin-embedded"))]
fn mailin_embedded() -> io::Result<String> {
    let why = "a receiver is to be mailin-embedded's, and this mxdrill was built without it (the feature mailin-embedded)";
    Err(io::Error::new(io::ErrorKind::Unsupported, why))
}

/// A receiver for every address that any of the zones has.
fn receivers(
    world: &World,
    relays: &[Relay],
    kind: NetworkKind,
    authority: Option<&CertificateAuthority>,
) -> io::Result<BTreeMap<IpAddr, Arc<Receiver>>> {
    let mut owners = world.zones.addresses();
    for zone in world.zones.zones() {
        add_aliases(zone, &mut owners);
    }
    let receiver = |(address, names): (IpAddr, Vec<Domain>)| {
        let ports = ports_of(address, &names, world, relays);
        let receiver = Receiver {
            ports,
            ..receiver_at(address, names, world, kind, authority)?
        };
        Ok((address, Arc::new(receiver)))
    };
    let hosts = owners
        .into_iter()
        .filter(|(address, _)| is_of_a_host(*address));
    hosts.map(receiver).collect()
}

/// The ports at which a receiver listens: that of exchangers, those by which relays name it, and those of its rows.
fn ports_of(address: IpAddr, names: &[Domain], world: &World, relays: &[Relay]) -> Vec<u16> {
    let of_relays = relays
        .iter()
        .filter(|relay| relay.host.covers(address, names));
    let rows = world.receivers.iter();
    let rows = rows.filter(|row| row.is_about(address, names));
    let mut ports = vec![port::SMTP];
    ports.extend(of_relays.map(|relay| relay.port));
    ports.extend(rows.flat_map(|row| &row.ports));
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Whether a host can have an address. Such records are in real zones, and a drill may have them:
/// nobody listens at the unspecified address (RFC 1122 section 3.2.1.3), at a multicast or at the
/// broadcast one.
fn is_of_a_host(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !is_broadcast
}

/// A receiver as the scenario's rows say. For each setting the first row that has it counts, and a
/// row about one host comes before a row about all.
fn receiver_at(
    address: IpAddr,
    names: Vec<Domain>,
    world: &World,
    kind: NetworkKind,
    authority: Option<&CertificateAuthority>,
) -> io::Result<Receiver> {
    let rows = world.receivers.iter();
    let rows = rows.filter(|row| row.is_about(address, &names));
    let mut rows: Vec<&ReceiverSettings> = rows.collect();
    rows.sort_by_key(|settings| settings.host.is_none());
    let certificate = rows.iter().find_map(|settings| settings.certificate);
    let engine = rows.iter().find_map(|settings| settings.engine.as_ref());
    // The clock of the memory network must not be combined with sockets: it has its own receivers.
    let upstream = match engine.filter(|_| kind.has_sockets()) {
        None | Some(Engine::Lab) => None,
        Some(Engine::MailinEmbedded) => Some(mailin_embedded()?),
        Some(Engine::Upstream(address)) => Some(address.clone()),
    };
    let name = rows
        .iter()
        .find_map(|settings| settings.certificate_name.as_deref());
    let versions = rows
        .iter()
        .find_map(|settings| settings.tls_versions.as_deref());
    let credentials = certificate.and_then(|kind| {
        let issued = authority?.issue(kind, &names, name, versions);
        Some(issued)
    });
    let extensions = rows
        .iter()
        .find_map(|settings| settings.extensions.as_deref());
    let in_tls = rows
        .iter()
        .find_map(|settings| settings.extensions_in_tls.as_deref());
    let limits = rows.iter().fold(Limits::default(), |limits, settings| {
        limits.or(&settings.limits)
    });
    let auth = rows.iter().find_map(|settings| settings.auth.as_ref());
    let announced = extensions.or(in_tls).and_then(extension::size);
    let size = rows.iter().find_map(|settings| settings.size);
    let max_size = size.or(announced).unwrap_or(receiver::MAX_SIZE);
    // Only what the receiver takes itself goes on as the client asks.
    let requiretls = upstream.is_none().then_some(credentials.as_ref()).flatten();
    Ok(Receiver {
        address,
        offer: Offer::new(
            &receiver::greeting_name(&names, address),
            extensions,
            in_tls,
            max_size,
            Means {
                starttls: credentials.is_some(),
                requiretls: requiretls
                    .is_some_and(|own| own.kind == Certificate::Valid && name.is_none()),
                auth: auth.map_or((false, false), |auth| (auth.plaintext, true)),
            },
        ),
        is_listed: extensions.is_some(),
        max_size,
        is_size_set: size.is_some(),
        credentials,
        ports: vec![port::SMTP],
        auth: auth.cloned(),
        limits,
        upstream,
        names: names.into(),
    })
}

/// The web servers of the scenario's MTA-STS policies, by address. Domains whose policy hosts share
/// an address share a server.
fn policy_hosts(
    world: &World,
    authority: Option<&CertificateAuthority>,
) -> BTreeMap<IpAddr, Arc<MtaStsServer>> {
    let mut hosts: BTreeMap<IpAddr, MtaStsServer> = BTreeMap::new();
    let addresses = world.zones.addresses();
    for row in &world.policies {
        let name = policy_host_name(&row.domain);
        let owned = addresses.iter().find(|(_, names)| names.contains(&name));
        if let (Some((address, _)), Some(authority)) = (owned, authority) {
            let credentials = authority.issue(row.certificate, &[name], None, None);
            let host = hosts
                .entry(*address)
                .or_insert(MtaStsServer { rows: Vec::new() });
            host.rows.push((row.clone(), credentials));
        }
    }
    hosts
        .into_iter()
        .map(|(address, host)| (address, Arc::new(host)))
        .collect()
}

/// The TLSA records that match the certificates of receivers whose rows ask for some, under each
/// name of the receiver.
fn tlsa_records(
    world: &World,
    authority: &CertificateAuthority,
    receivers: &BTreeMap<IpAddr, Arc<Receiver>>,
) -> Vec<Record> {
    let mut records = Vec::new();
    for receiver in receivers.values() {
        let Some(credentials) = &receiver.credentials else {
            continue;
        };
        for settings in &world.receivers {
            for name in &*receiver.names {
                let meant = match &settings.host {
                    Some(Host::Name(host)) => host == name,
                    Some(Host::Address(address)) => *address == receiver.address,
                    None => true,
                };
                let parameters = settings.tlsa.iter().filter(|_| meant);
                records.extend(
                    parameters
                        .flat_map(|parameters| authority.tlsa(name, credentials, *parameters)),
                );
            }
        }
    }
    records
}

/// Adds to the names of an address the aliases that lead to it, so that a fault or an expectation
/// may name the host either way.
fn add_aliases(zone: &Zone, owners: &mut BTreeMap<IpAddr, Vec<Domain>>) {
    let mut aliases: BTreeMap<IpAddr, Vec<Domain>> = BTreeMap::new();
    for record in zone
        .records()
        .filter(|record| matches!(record.data, RData::CNAME(_)))
    {
        let alias = Domain::from(&record.name);
        for record_type in [RecordType::A, RecordType::AAAA] {
            let answer = zone.answer(&alias, record_type);
            for address in answer
                .records
                .iter()
                .filter_map(|record| crate::zone::address_of(&record.data))
            {
                aliases.entry(address).or_default().push(alias.clone());
            }
        }
    }
    for (address, aliases) in aliases {
        let names = owners.entry(address).or_default();
        let new = names_beside(names, aliases);
        names.extend(new);
    }
}
