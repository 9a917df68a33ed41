//! What a receiver can bear: sessions, recipients, messages, rates, a greylist, a slow line.
//!
//! What is counted over sessions is in [`Loads`], which the lab has once; its decisions are pure, the moment an
//! argument. What is counted within a session is the session's. A limit answers as a receiver would by itself: a
//! fault at the same stage comes before it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use super::{Session, answer::wire_form, command::SmtpCommand};
use crate::{
    connection::Line,
    event::{Misbehaviour, SessionEnd},
    extension,
    fault::Stage,
    reply::Reply,
    scenario::{Counted, CountedBy, Greylist, Limit, Rate, Trickle},
    time::Moment,
};

/// Between two pieces of a reply that does not come at once.
const PAUSE: Duration = Duration::from_millis(10);
/// Lines of a reply of many.
const LINES: usize = 50;

/// What all receivers of a lab bear at the moment, and whom they know.
#[derive(Debug, Default)]
pub(crate) struct Loads {
    /// Sessions under way, by receiver.
    sessions: BTreeMap<IpAddr, usize>,
    /// By receiver and client; without a client those of all.
    windows: BTreeMap<(IpAddr, Option<IpAddr>), Window>,
    greylisted: BTreeMap<Triple, Moment>,
    known: BTreeSet<Triple>,
}

/// A time in which something is counted.
#[derive(Debug)]
struct Window {
    begun: Moment,
    count: u32,
}

/// Who is to be known to a greylist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Triple {
    /// The receiver whose list it is; `None` for that of all.
    list: Option<IpAddr>,
    network: IpAddr,
    from: String,
    to: String,
}

impl Loads {
    /// Counts a session, if there is room for it; the caller ends it with [`Loads::leave`].
    fn enter(&mut self, receiver: IpAddr, most: usize) -> bool {
        let sessions = self.sessions.entry(receiver).or_default();
        let has_room = *sessions < most;
        *sessions += usize::from(has_room);
        has_room
    }

    fn leave(&mut self, receiver: IpAddr) {
        if let Some(sessions) = self.sessions.get_mut(&receiver) {
            *sessions -= 1;
        }
    }

    /// Counts one more; whether it is within the rate.
    fn is_within(&mut self, now: Moment, rate: &Rate, receiver: IpAddr, client: IpAddr) -> bool {
        let whose = match rate.by {
            CountedBy::Client => Some(client),
            CountedBy::All => None,
        };
        let fresh = || Window {
            begun: now,
            count: 0,
        };
        let window = self.windows.entry((receiver, whose)).or_insert_with(fresh);
        if now >= window.begun.after(rate.most.per) {
            *window = fresh();
        }
        window.count = window.count.saturating_add(1);
        window.count <= rate.most.times
    }

    /// Whether a greylist knows a triple, which it gets to know by being asked (RFC 6647 section 2.4).
    fn is_known(&mut self, now: Moment, list: &Greylist, triple: Triple) -> bool {
        if self.known.contains(&triple) {
            return true;
        }
        let first = self.greylisted.entry(triple.clone()).or_insert(now);
        if now >= first.after(list.window) {
            *first = now;
        }
        let knows = now >= first.after(list.wait);
        if knows {
            self.greylisted.remove(&triple);
            self.known.insert(triple);
        }
        knows
    }
}

/// The network of a client, as greylists go by it: its first 24 bits, of IPv6 the first 64.
fn network_of(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & !0xff).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

/// The reply beyond a limit.
fn beyond(limit: Option<&Limit>, count: usize) -> Option<Reply> {
    limit
        .filter(|limit| count > limit.most)
        .map(|limit| limit.reply.clone())
}

impl Session {
    /// The greeting of a receiver that can bear no further session; `None` if it can.
    pub(super) fn turned_away(&mut self) -> Option<Reply> {
        let limits = &self.receiver.limits;
        let address = self.receiver.address;
        if let Some(limit) = &limits.max_sessions {
            if !self.state.loads().enter(address, limit.most) {
                return Some(limit.reply.clone());
            }
            self.counted = true;
        }
        self.beyond_rate(Counted::Connections)
    }

    /// Makes room for another session.
    pub(super) fn leave(&self) {
        if self.counted {
            self.state.loads().leave(self.receiver.address);
        }
    }

    /// The reply to a MAIL in order that is one too many; `None` if it is not. It is counted.
    pub(super) fn beyond_messages(&mut self) -> Option<Reply> {
        self.mails += 1;
        let limits = &self.receiver.limits;
        let announced = self.announced("MAILMAX").map(Limit::of_messages);
        beyond(limits.max_messages.as_ref(), self.mails)
            .or_else(|| beyond(announced.as_ref(), self.mails))
            .or_else(|| self.beyond_rate(Counted::Messages))
    }

    /// The reply to a RCPT in order that is one too many, or of a client that is not known yet; `None` if it is
    /// neither. It is counted: RCPTMAX is about commands, `max_recipients` about who was accepted, RCPTDOMAINMAX about
    /// all transactions of the session.
    pub(super) fn beyond_recipients(&mut self, to: &str) -> Option<Reply> {
        let announced = self.announced("RCPTMAX").map(Limit::of_recipients);
        let limits = &self.receiver.limits;
        let envelope = self.envelope.as_mut()?;
        envelope.asked += 1;
        let accepted = envelope.to.len();
        beyond(limits.max_recipients.as_ref(), accepted + 1)
            .or_else(|| beyond(announced.as_ref(), envelope.asked))
            .or_else(|| self.beyond_domains(to))
            .or_else(|| self.greylisted(to))
    }

    /// The reply to a recipient at one domain too many of this session (RCPTDOMAINMAX); `None` if it is not. The domain is
    /// counted.
    fn beyond_domains(&mut self, to: &str) -> Option<Reply> {
        let most = self.announced("RCPTDOMAINMAX")?;
        // `<Postmaster>` has none.
        let (_, domain) = to.rsplit_once('@')?;
        let domain = domain.to_ascii_lowercase();
        let has_room = self.domains.contains(&domain) || self.domains.len() < most;
        if has_room {
            self.domains.insert(domain);
        }
        (!has_room).then(|| Reply::new(452, "4.5.3 too many domains in this session"))
    }

    /// What the reply to EHLO announced, where the receiver is the lab's own: another server keeps its word
    /// itself.
    fn announced(&self, name: &str) -> Option<usize> {
        let is_own = self.receiver.upstream.is_none();
        extension::limit(&self.offered, name).filter(|_| is_own)
    }

    fn beyond_rate(&self, of: Counted) -> Option<Reply> {
        let rate = self.receiver.limits.rate.as_ref();
        let rate = rate.filter(|rate| rate.of == of)?;
        let (now, address) = (self.state.clock.now(), self.receiver.address);
        let mut loads = self.state.loads();
        let within = loads.is_within(now, rate, address, self.client);
        (!within).then(|| rate.reply.clone())
    }

    fn greylisted(&self, to: &str) -> Option<Reply> {
        let list = self.receiver.limits.greylist.as_ref()?;
        let triple = Triple {
            list: (!list.shared).then_some(self.receiver.address),
            network: network_of(self.client),
            from: self.envelope.as_ref()?.from.to_ascii_lowercase(),
            to: to.to_ascii_lowercase(),
        };
        let now = self.state.clock.now();
        let known = self.state.loads().is_known(now, list, triple);
        (!known).then(|| list.reply.clone())
    }

    /// How many of these octets of content are read at once.
    pub(super) fn piece(&self, octets: usize) -> usize {
        let bandwidth = self.receiver.limits.bandwidth;
        bandwidth.map_or(octets, |bandwidth| octets.min(bandwidth.piece()))
    }

    /// Waits until so many octets can have come over a slow line since a moment.
    pub(super) async fn slow_down(&self, begun: Moment, octets: u64) {
        if let Some(bandwidth) = self.receiver.limits.bandwidth {
            let due = begun.after(bandwidth.time_of(octets));
            self.state.clock.sleep_until(due).await;
        }
    }

    /// Sends a reply or lets it wait for what comes next; where replies trickle, it is sent at once and in
    /// pieces.
    pub(super) async fn put(&mut self, reply: &Reply, stage: Option<Stage>) -> io::Result<()> {
        let Some(trickle) = self.receiver.limits.trickle else {
            self.connection.queue(&wire_form(reply));
            return Ok(());
        };
        self.connection.flush().await?;
        let pieces = pieces(trickle, reply, stage);
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                self.state.clock.sleep(PAUSE).await;
            }
            self.connection.send(piece).await?;
        }
        Ok(())
    }

    /// Goes on as a session that a firewall has forgotten: what comes gets no answer. The command that comes
    /// next is logged.
    pub(super) async fn forgotten(&mut self) -> io::Result<SessionEnd> {
        if let Line::Complete(line, _) = self.connection.line().await? {
            let stage = SmtpCommand::stage_of(&line).or_else(|| {
                let is = |verb: &[u8]| line.trim_ascii_end().eq_ignore_ascii_case(verb);
                let others: [(&[u8], Stage); 3] = [
                    (b"STARTTLS", Stage::Starttls),
                    (b"DATA", Stage::Data),
                    (b"QUIT", Stage::Quit),
                ];
                others
                    .into_iter()
                    .find(|(verb, _)| is(verb))
                    .map(|(_, stage)| stage)
            });
            // RSET, NOOP and their like are of no stage: a client that looks whether the session is still there.
            let stage = stage.unwrap_or_else(|| {
                SmtpCommand::verb_of(&line, &mut self.verb);
                self.more.verb = Some(self.verb.as_str().into());
                self.next_stage()
            });
            self.record_failure(stage, None, Misbehaviour::Hang);
            self.connection.drain().await;
        }
        Ok(SessionEnd::ClientClosed)
    }
}

impl Session {
    /// How long a receiver waits for a command, and whether it is silent then instead of hanging up.
    pub(super) fn patience(&self) -> (Duration, bool) {
        match self.receiver.limits.silent_after {
            Some(wait) => (wait, true),
            None => (super::IDLE, false),
        }
    }

    /// What becomes of a session in which no command came for that long.
    pub(super) async fn out_of_patience(&mut self) -> io::Result<SessionEnd> {
        let (_, falls_silent) = self.patience();
        if falls_silent {
            self.forgotten().await
        } else {
            self.idle().await
        }
    }
}

/// The pieces in which a reply trickles.
fn pieces(trickle: Trickle, reply: &Reply, stage: Option<Stage>) -> Vec<Vec<u8>> {
    let wire = wire_form(reply);
    match trickle {
        Trickle::Octets => wire.chunks(1).map(<[u8]>::to_vec).collect(),
        Trickle::Segments => {
            // Behind the code and some of the text, so that what came first looks like a whole.
            let (first, second) = wire.split_at(wire.len().min(4 + reply.text.len() / 2));
            vec![first.to_vec(), second.to_vec()]
        }
        Trickle::Lf => {
            let mut wire = wire;
            wire.retain(|octet| *octet != b'\r');
            vec![wire]
        }
        // The lines of a reply to EHLO are extensions.
        Trickle::Lines if stage == Some(Stage::Helo) => vec![wire],
        Trickle::Lines => {
            let before = (1..LINES).map(|line| format!("line {line} of {LINES}\n"));
            let text: String = before.chain([reply.text.clone()]).collect();
            vec![wire_form(&Reply::new(reply.code, text))]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Frequency;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn as_many_sessions_as_there_is_room_for_and_one_more_when_one_has_left() {
        let mut loads = Loads::default();
        assert!(loads.enter(HERE, 2) && loads.enter(HERE, 2));
        assert!(!loads.enter(HERE, 2));
        assert!(loads.enter(THERE, 2), "each receiver has its own");
        loads.leave(HERE);
        assert!(loads.enter(HERE, 2));
        assert!(!loads.enter(HERE, 2));
    }

    #[test]
    fn the_eleventh_of_ten_a_minute_passes_in_the_second_minute() {
        let most: Frequency = "10/min".parse().expect("a rate");
        let rate = Rate::new(most, Counted::Messages, CountedBy::Client);
        let mut loads = Loads::default();
        for _ in 0..10 {
            assert!(loads.is_within(at(5), &rate, HERE, CLIENT));
        }
        assert!(!loads.is_within(at(5), &rate, HERE, CLIENT));
        assert!(!loads.is_within(at(64), &rate, HERE, CLIENT));
        assert!(
            loads.is_within(at(64), &rate, HERE, THERE),
            "another client"
        );
        assert!(loads.is_within(at(65), &rate, HERE, CLIENT));
    }

    #[test]
    fn a_rate_of_all_counts_clients_together() {
        let most: Frequency = "1/s".parse().expect("a rate");
        let rate = Rate::new(most, Counted::Connections, CountedBy::All);
        let mut loads = Loads::default();
        assert!(loads.is_within(at(0), &rate, HERE, CLIENT));
        assert!(!loads.is_within(at(0), &rate, HERE, THERE));
        assert!(loads.is_within(at(0), &rate, THERE, CLIENT));
    }

    fn triple(list: Option<IpAddr>, client: IpAddr) -> Triple {
        Triple {
            list,
            network: network_of(client),
            from: "a".to_owned(),
            to: "b".to_owned(),
        }
    }

    #[test]
    fn a_greylist_knows_who_comes_back_in_its_window() {
        let list = Greylist::new(Duration::from_secs(300));
        let mut loads = Loads::default();
        let mut known = |seconds| loads.is_known(at(seconds), &list, triple(None, CLIENT));
        assert!(!known(0) && !known(299));
        assert!(known(300));
        // For the rest of the drill.
        assert!(known(10 * 86_400));
    }

    #[test]
    fn who_comes_back_after_the_window_is_new() {
        let list = Greylist::new(Duration::from_secs(300));
        let mut loads = Loads::default();
        let mut known = |seconds| loads.is_known(at(seconds), &list, triple(None, CLIENT));
        assert!(!known(0));
        assert!(!known(86_400));
        assert!(!known(86_400 + 299));
        assert!(known(86_400 + 300));
    }

    #[test]
    fn a_greylist_goes_by_networks_and_each_receiver_may_have_its_own() {
        let list = Greylist::new(Duration::from_secs(300));
        let mut loads = Loads::default();
        let neighbour: IpAddr = [198, 51, 100, 200].into();
        assert!(!loads.is_known(at(0), &list, triple(Some(HERE), CLIENT)));
        assert!(!loads.is_known(at(300), &list, triple(Some(THERE), CLIENT)));
        assert!(!loads.is_known(at(300), &list, triple(Some(HERE), HERE)));
        assert!(loads.is_known(at(300), &list, triple(Some(HERE), neighbour)));
    }

    #[test]
    fn pieces_make_up_the_reply() {
        let reply = Reply::new(250, "2.0.0 ok");
        let whole = wire_form(&reply);
        for trickle in [Trickle::Octets, Trickle::Segments] {
            let pieces = pieces(trickle, &reply, None);
            assert!(pieces.len() > 1);
            assert_eq!(pieces.concat(), whole);
        }
        assert_eq!(pieces(Trickle::Lf, &reply, None), [b"250 2.0.0 ok\n"]);
        let lines = pieces(Trickle::Lines, &reply, None).concat();
        assert_eq!(lines.iter().filter(|octet| **octet == b'\n').count(), LINES);
        assert!(lines.ends_with(b"\r\n250 2.0.0 ok\r\n"));
        assert_eq!(pieces(Trickle::Lines, &reply, Some(Stage::Helo)), [whole]);
    }
}
