//! The ways in which a sender may have known the DNS at some moment.
//!
//! A sender in the process knows what the log says that it was told. Of any other one it can only be said
//! what it may have known: it may have asked somebody else, before the drill, or not at all; it may keep an
//! answer for as long as its TTL lasts (RFC 1034 section 3.6); it may have been told what a fault of the
//! drill tells those who ask. A rule is held against it only where it is broken in every one of these ways.
//!
//! Work is saved where many messages go to one domain: places are worked out once for a domain and
//! moment, and forgotten when an answer brings something new.

use std::{cell::RefCell, collections::BTreeMap, net::IpAddr, ops::Deref, rc::Rc, time::Duration};

use hickory_proto::rr::RecordType;

use super::{
    SenderKind,
    dns_view::{DnsView, Exchangers, LONGEST_PASS},
    failures::negative_ttl,
    permitted::{PermittedAddress, PermittedRoute, addresses_in, exchangers_in},
};
use crate::{
    event::Event, fault::QueryEffect, name::Domain, scenario::Scenario, time::Moment, zone::Zone,
};

/// Next hops and moments for which places are kept; they are worked out again beyond that.
const MOST_PLACES: usize = 10_000;

/// Where mail for a domain may go in one of these ways.
pub(super) struct RouteView {
    pub(super) places: Rc<PermittedRoute>,
    /// When that was known.
    at: Moment,
}

impl RouteView {
    /// What the sender must have known of it: of a family that it never asked for, it need not.
    pub(super) fn known<'a>(
        &'a self,
        known: &'a Knowledge<'_>,
    ) -> impl Iterator<Item = &'a PermittedAddress> {
        let kept = self.places.kept();
        kept.filter(|place| known.must_know(&place.host, place.address, self.at))
    }
}

/// Where mail for a domain may go by the records of a zone, and how long that may be known.
pub(super) struct InZone {
    since: Moment,
    until: Option<Moment>,
    /// How long after that it may still be used.
    kept_for: Duration,
    places: Rc<PermittedRoute>,
}

/// What a sender was told, and where mail may go by it: that is worked out once for each next hop and moment,
/// since many messages go there.
pub(super) struct Knowledge<'a> {
    dns: DnsView<'a>,
    places: RefCell<BTreeMap<(Domain, Moment), Rc<PermittedRoute>>>,
    /// Those of the next hop that was asked about last, with the time in which they hold.
    latest: RefCell<Option<Latest>>,
    /// By the records, whatever the sender asked.
    in_zones: RefCell<BTreeMap<Domain, Rc<[InZone]>>>,
}

/// Where mail for a domain may go in a time in which the answers to a sender's questions stay the same.
struct Latest {
    hop: Domain,
    /// From the first moment on, before the second.
    span: (Moment, Moment),
    /// [`DnsView::changes`] when it was worked out.
    changes: usize,
    places: Rc<PermittedRoute>,
}

impl<'a> Deref for Knowledge<'a> {
    type Target = DnsView<'a>;

    fn deref(&self) -> &DnsView<'a> {
        &self.dns
    }
}

impl<'a> Knowledge<'a> {
    pub(super) fn new(scenario: &'a Scenario, sender_kind: SenderKind) -> Self {
        Self {
            dns: DnsView::new(scenario, sender_kind),
            places: RefCell::default(),
            latest: RefCell::default(),
            in_zones: RefCell::default(),
        }
    }

    /// Takes an event in; whether anything is known by it that was not before.
    pub(super) fn see(&mut self, event: &Event) -> bool {
        let news = self.dns.see(event);
        if news {
            self.places.get_mut().clear();
        }
        news
    }

    /// Where mail for a domain may go, as known at a moment.
    pub(super) fn places(&self, hop: &Domain, at: Moment) -> Rc<PermittedRoute> {
        let key = (hop.clone(), at);
        if let Some(places) = self.places.borrow().get(&key) {
            return Rc::clone(places);
        }
        let places = self.latest(hop, at);
        let mut known = self.places.borrow_mut();
        if known.len() >= MOST_PLACES {
            known.clear();
        }
        known.insert(key, Rc::clone(&places));
        places
    }

    /// As `places`, worked out for a while at once: an attempt at each of four hundred exchangers is at a moment of its
    /// own, and looking at all of them each time would be a hundred thousand looks.
    fn latest(&self, hop: &Domain, at: Moment) -> Rc<PermittedRoute> {
        let changes = self.dns.changes();
        let mut latest = self.latest.borrow_mut();
        if let Some(known) = &*latest
            && known.hop == *hop
            && known.changes == changes
            && (known.span.0..known.span.1).contains(&at)
        {
            return Rc::clone(&known.places);
        }
        let route = || PermittedRoute::new(&self.dns, hop, at);
        let (places, span) = self.dns.spanning(route);
        let places = Rc::new(places);
        *latest = Some(Latest {
            hop: hop.clone(),
            span,
            changes,
            places: Rc::clone(&places),
        });
        places
    }

    /// Where mail for a domain may go by the records, as they change.
    fn in_zones(&self, hop: &Domain) -> Rc<[InZone]> {
        let known = self.in_zones.borrow().get(hop).map(Rc::clone);
        known.unwrap_or_else(|| {
            let read: Rc<[InZone]> = self.read_zones(hop).into();
            let mut known = self.in_zones.borrow_mut();
            known.insert(hop.clone(), Rc::clone(&read));
            read
        })
    }

    /// Where mail for a domain may go at a moment: as the sender was told; then, of one that may know what
    /// it did not ask, in every other way in which that can be. Its pass began at `began`.
    pub(super) fn views(&self, hop: &Domain, at: Moment, began: Moment) -> Vec<RouteView> {
        let as_told = |at: Moment| RouteView {
            places: self.places(hop, at),
            at,
        };
        // What it was told comes first: of several ways in which a rule is broken, this one is shown.
        let mut views = vec![as_told(at)];
        // Of several answers of one moment, one may have been that there is no MX record.
        if self.relays().is_none() && self.told_of_nothing(hop, RecordType::MX, at, false) {
            let addresses = |host: &Domain| self.addresses(host, at);
            let implicit = PermittedRoute::of(&self.dns, hop, Exchangers::Implicit, addresses);
            let places = Rc::new(implicit);
            views.push(RouteView { places, at });
        }
        if !self.is_foreign() && !self.answers_vary(hop) {
            return views;
        }
        if began != at {
            views.push(as_told(began));
        }
        let zones = self.in_zones(hop);
        let is_used = |zone: &&InZone| {
            // What was true once may be known for as long as a TTL lasts, and a pass.
            let is_kept = |end: Moment| at <= end.after(zone.kept_for);
            zone.since <= at && zone.until.is_none_or(is_kept)
        };
        views.extend(zones.iter().filter(is_used).map(|zone| RouteView {
            places: Rc::clone(&zone.places),
            at,
        }));
        // Elsewhere it may have been told that there is no MX record, as this lab tells who asks.
        let no_data = |effect| effect == QueryEffect::NoData;
        if self.relays().is_none() && self.may_have_failed(hop, RecordType::MX, at, no_data) {
            let zone = self.scenario().world.zones.at(at);
            let addresses = |host: &Domain| addresses_in(zone, host);
            let implicit = PermittedRoute::of(&self.dns, hop, Exchangers::Implicit, addresses);
            let places = Rc::new(implicit);
            views.push(RouteView { places, at });
        }
        views
    }

    /// Whether a question that decides over the route to a domain may be answered in one way and, at the same moment, in
    /// another: then nobody knows on which of the answers a sender rests, even inside the process.
    fn answers_vary(&self, hop: &Domain) -> bool {
        let is_of_route = |name: &Domain| {
            let zones = self.in_zones(hop);
            name == hop || zones.iter().any(|zone| zone.places.list_host(name))
        };
        self.varying().any(is_of_route)
    }

    /// Where mail for a domain may go by the records, as they change.
    fn read_zones(&self, hop: &Domain) -> Vec<InZone> {
        let mut all: Vec<InZone> = Vec::new();
        for (since, until, zone) in self.scenario().world.zones.spans() {
            let kept_for = kept_for(zone, hop, self.relays()).saturating_add(LONGEST_PASS);
            // Each version of the records by itself; versions that come to the same are one.
            let places = PermittedRoute::in_zone(&self.dns, zone, hop);
            match all.last_mut() {
                // A change of something else.
                Some(last) if last.kept_for == kept_for && *last.places == places => {
                    last.until = until;
                }
                _ => all.push(InZone {
                    since,
                    until,
                    kept_for,
                    places: Rc::new(places),
                }),
            }
        }
        all
    }

    /// Whether a sender must have known an address of a host at a moment. One that asked for the other
    /// family only cannot use this one; one that asked for neither has it from elsewhere, and is taken for
    /// one without IPv6 unless it asked for an IPv6 address of anybody.
    pub(super) fn must_know(&self, host: &Domain, address: IpAddr, at: Moment) -> bool {
        let family = family_of(address);
        let other = match family {
            RecordType::A => RecordType::AAAA,
            _ => RecordType::A,
        };
        if self.may_refuse(host) {
            return false;
        }
        if !self.is_foreign() || self.asked(host, family, at) {
            return true;
        }
        if self.asked(host, other, at) {
            return false;
        }
        family == RecordType::A || self.asked_for_any(RecordType::AAAA, at)
    }

    /// Whether a sender may do without an exchanger because its name is none of a host: some servers, and some
    /// system libraries after they asked, take it for malformed, others use it.
    pub(super) fn may_refuse(&self, host: &Domain) -> bool {
        self.is_foreign() && host.odd_label().is_some()
    }

    /// Whether a sender may have known by a moment that there is nowhere to send mail for a domain to: by the
    /// records, by what faults of the drill tell of the domain, or of each address there is; or by the names of
    /// the exchangers.
    pub(super) fn may_be_nowhere(&self, hop: &Domain, at: Moment) -> bool {
        let gone = |effect| matches!(effect, QueryEffect::NxDomain | QueryEffect::NoData);
        let is_no_domain = |effect| effect == QueryEffect::NxDomain;
        let may_be_gone = |place: &PermittedAddress| {
            let family = family_of(place.address);
            self.may_refuse(&place.host)
                || self.told_of_nothing(&place.host, family, at, false)
                || self.may_have_failed(&place.host, family, at, gone)
        };
        let views = self.views(hop, at, at);
        let is_no_domain_told = self.told_of_nothing(hop, RecordType::MX, at, true);
        let may_have_no_domain =
            is_no_domain_told || self.may_have_failed(hop, RecordType::MX, at, is_no_domain);
        self.relays().is_none() && may_have_no_domain
            || views.iter().any(|view| {
                let places = &view.places;
                let is_empty = places.kept().next().is_none();
                places.are_known_to_be_none() || !is_empty && places.kept().all(may_be_gone)
            })
    }
}

/// The type of record that holds an address.
fn family_of(address: IpAddr) -> RecordType {
    match address {
        IpAddr::V4(_) => RecordType::A,
        IpAddr::V6(_) => RecordType::AAAA,
    }
}

/// How long what a zone says of a domain's route may be kept: the longest of the TTLs that it rests on; of
/// what is not there, that of negative answers (RFC 2308 section 5).
fn kept_for(zone: &Zone, hop: &Domain, relays: Option<Exchangers>) -> Duration {
    let ttl = |answer: crate::zone::Answer| {
        let positive = answer.records.iter().map(|record| record.ttl);
        (positive.max(), answer.soa.as_ref().map(negative_ttl))
    };
    let (positive, negative) = ttl(zone.answer(hop, RecordType::MX));
    let mut longest = positive.or(negative).unwrap_or(0);
    let mut hosts = vec![hop.clone()];
    if let Some(Exchangers::Mx(pairs)) = relays {
        hosts = pairs.into_iter().map(|(_, host)| host).collect();
    } else if let Exchangers::Mx(pairs) = exchangers_in(zone, hop) {
        hosts = pairs.into_iter().map(|(_, host)| host).collect();
    }
    for host in &hosts {
        let (a, negative) = ttl(zone.answer(host, RecordType::A));
        let (aaaa, _) = ttl(zone.answer(host, RecordType::AAAA));
        // That a host has no address of one family is no matter where it has one of the other.
        longest = longest.max(a.max(aaaa).or(negative).unwrap_or(0));
    }
    Duration::from_secs(longest.into())
}
