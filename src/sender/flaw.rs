//! Ways to get mail routing wrong, to show that the rules catch each: negative controls.
//!
//! Each [`Flaw`] is one sentence of the RFCs turned round, or one mistake that real mail servers
//! have made. A test plays the drill of each flaw's [`Control`] and asks that just that rule finds
//! it. Without such controls nobody would know whether a rule that never fires is obeyed or asleep.
//!
//! The hooks stand where the right thing would be done: answers and order in this file, the rest in
//! `agent`, `smtp_client` and the files beside them, as comparisons with a flaw.

use std::collections::BTreeMap;

use rand::{Rng, seq::SliceRandom};

use crate::{
    name::Domain,
    route::{Addresses, Candidate, Exchanger, Identity, MxAnswer},
    words::words,
};

words! {
    /// A deliberate mistake of the reference sender. All else it does right.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    #[non_exhaustive]
    pub enum Flaw {
        /// Tries candidates in any order, instead of by preference (RFC 5321 section 5.1).
        IgnoresPreference = "ignores-preference",
        /// Takes the highest preference number for the best: the order of the list is reversed.
        HighestFirst = "highest-first",
        /// Always takes the same of equal exchangers first, so that they do not share the load.
        NoShuffle = "no-shuffle",
        /// Tries the domain's own address before its exchangers, although it has MX records.
        UsesDomainAddress = "uses-domain-address",
        /// Delivers to the address of a domain with a null MX, which says that it takes no mail (RFC
        /// 7505).
        IgnoresNullMx = "ignores-null-mx",
        /// Does not recognise itself among the exchangers, and so may send mail to itself or to worse
        /// hosts, in a loop.
        KeepsItself = "keeps-itself",
        /// Gives up the pass after the first candidate, and never reaches a backup.
        StopsAtFirst = "stops-at-first",
        /// Goes on to further candidates after a recipient was refused for good.
        IgnoresPermanent = "ignores-permanent",
        /// Delivers the same message a second time to the host that took it.
        DeliversTwice = "delivers-twice",
        /// Forgets a message after a transient failure, without a word to anybody.
        DropsMessage = "drops-message",
        /// Retries one second after a failed pass, whatever intervals the scenario gives.
        RetriesAtOnce = "retries-at-once",
        /// Takes a failed lookup for an answer without MX records, and so falls back on the domain's
        /// address while the name server is down.
        FailedLookupIsNoMx = "failed-lookup-is-no-mx",
        /// Tries `www` under the domain first, an address that belongs to no exchanger of it.
        LeavesRoute = "leaves-route",
        /// Returns a message after its first transient failure instead of queueing it.
        BouncesTransient = "bounces-transient",
        /// Sends no notification of what failed: the message vanishes.
        NoNotification = "no-notification",
        /// Returns what came from the null reverse-path, too: a notification about a notification.
        ReturnsNotifications = "returns-notifications",
        /// Sends in plain text, whatever policy, TLSA record or message asks for TLS.
        SendsInPlain = "sends-in-plain",
        /// Queues what failed for good, and tries it again until it expires.
        PermanentIsTransient = "permanent-is-transient",
        /// Gives a message up after a day; RFC 5321 section 4.5.4.1 says 4 to 5 days.
        GivesUpAfterADay = "gives-up-after-a-day",
        /// Never asks again for a name that it was once told about, whatever the TTL.
        KeepsAnswers = "keeps-answers",
        /// Opens sessions with HELO.
        SaysHelo = "says-helo",
        /// Begins a transaction without EHLO or HELO.
        SkipsHello = "skips-hello",
        /// Calls itself `localhost`.
        SaysLocalhost = "says-localhost",
        /// Calls itself by a name that a zone of the drill does not have; where no zone is whole, by its own.
        SaysUnknownName = "says-unknown-name",
        /// Sends EHLO before the greeting has come.
        SpeaksFirst = "speaks-first",
        /// Sends RCPT with MAIL, whether PIPELINING was offered or not.
        DoesNotWait = "does-not-wait",
        /// Sends the content with DATA, before it was asked for.
        SendsContentWithData = "sends-content-with-data",
        /// Asks servers that do not offer DSN for no notification.
        SendsNotifyAnyway = "sends-notify-anyway",
        /// Says RET to servers that do not offer DSN.
        SendsRetAnyway = "sends-ret-anyway",
        /// Does not say how large a message is.
        LeavesSizeOut = "leaves-size-out",
        /// Does not ask for SMTPUTF8 where addresses are beyond ASCII.
        LeavesUtf8Out = "leaves-utf8-out",
        /// Sends an address beyond ASCII to servers that do not offer SMTPUTF8.
        SendsUtf8Anyway = "sends-utf8-anyway",
        /// Sends octets over 127 to servers that do not offer 8BITMIME.
        SendsEightBitAnyway = "sends-eight-bit-anyway",
        /// Ends the lines of content with LF.
        EndsLinesWithLf = "ends-lines-with-lf",
        /// Sends MAIL twice.
        SendsMailTwice = "sends-mail-twice",
        /// Writes local parts in lower case.
        LowersLocalParts = "lowers-local-parts",
        /// Writes a source route before each recipient.
        SendsSourceRoutes = "sends-source-routes",
        /// Sends the content although DATA was refused.
        IgnoresRefusedData = "ignores-refused-data",
        /// Does not double leading dots.
        LeavesDots = "leaves-dots",
        /// Sends DATA after a chunk by BDAT.
        MixesBdatAndData = "mixes-bdat-and-data",
        /// Sends the next chunk of a message after one was refused.
        SendsChunksOn = "sends-chunks-on",
        /// Closes connections without QUIT.
        LeavesWithoutQuit = "leaves-without-quit",
        /// Goes on in plain text after the 220 to STARTTLS.
        SkipsHandshake = "skips-handshake",
        /// Sends MAIL right after the handshake, without another EHLO.
        SkipsEhloInTls = "skips-ehlo-in-tls",
        /// Sends STARTTLS again inside TLS.
        StartsTlsTwice = "starts-tls-twice",
        /// Asks for SMTPUTF8 wherever it is offered.
        AsksForUtf8 = "asks-for-utf8",
        /// Calls itself by a name beyond ASCII.
        SaysUtf8Name = "says-utf8-name",
        /// Fetches a policy again right after that failed.
        FetchesAgainAtOnce = "fetches-again-at-once",
        /// Asks for the domain's address before its MX records, and looks no further if there is none.
        AsksAddressFirst = "asks-address-first",
        /// Passes on in lower case what is asked of notifications about a recipient (RFC 3461 section 5.2.1).
        FoldsParameters = "folds-parameters",
        /// Tells of failures, whoever asked not to be told.
        IgnoresNever = "ignores-never",
        /// Tells of a delay who asked for other things.
        WarnsUnasked = "warns-unasked",
        /// Says nothing where a message went on to a server that sends no notifications of success.
        NoRelayedReport = "no-relayed-report",
        /// Asks for the header back of a notification that fails: sends it with RET.
        ReportsWithRet = "reports-with-ret",
        /// Addresses notifications to nobody in their header.
        ReportsToNobody = "reports-to-nobody",
        /// Names the first exchanger of the list in each notification, whichever refused the message.
        BlamesFirstHost = "blames-first-host",
        /// Returns whole messages, whatever their authors ask for.
        ReturnsAll = "returns-all",
        /// Tells nobody how much a message matters.
        DropsPriority = "drops-priority",
        /// Sends notifications as if they mattered as much as any mail.
        ReportsWithoutPriority = "reports-without-priority",
        /// Says who it is in plain text.
        SendsCredentialsInPlain = "sends-credentials-in-plain",
    }
}

/// The drill in which a flaw shows, and the rule that has to find it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Control {
    /// The scenario as `folder/name`, such as `basics/primary_down`.
    pub drill: &'static str,
    /// The rule that the flaw breaks in it, as its name.
    ///
    /// The names are those of the table in `verdict/rules.rs`.
    pub rule: &'static str,
    /// Why that is not seen from the lab's side alone, of a sender that reports nothing: the drill's
    /// expectations show it then.
    pub unseen: Option<&'static str>,
}

impl Flaw {
    /// The drill that shows a flaw, and by which rule.
    pub fn control(self) -> Control {
        let (drill, rule) = self.shown_by();
        Control {
            drill,
            rule,
            unseen: self.unseen(),
        }
    }

    /// The drill that shows it, and the rule that it breaks there.
    fn shown_by(self) -> (&'static str, &'static str) {
        const OWN_ADDRESS: &str = "rfc5321/own_address_of_the_domain_is_not_used";
        match self {
            Self::IgnoresPreference => ("basics/uneven_preferences", "preference-order"),
            Self::HighestFirst => ("basics/best_preference_takes_it", "preference-order"),
            Self::NoShuffle => ("basics/equal_preference_shares", "equals-share"),
            Self::UsesDomainAddress => (OWN_ADDRESS, "mx-over-address"),
            Self::IgnoresNullMx => ("rfc7505/null_mx_is_permanent", "null-mx"),
            Self::KeepsItself => ("rfc5321/relay_in_the_middle_of_the_list", "own-level"),
            Self::StopsAtFirst => ("basics/primary_down", "next-candidate"),
            Self::IgnoresPermanent => ("basics/rejected_recipient", "permanent-is-final"),
            Self::DeliversTwice => ("basics/best_preference_takes_it", "delivered-once"),
            Self::DropsMessage => ("basics/all_down_then_recovered", "nothing-lost"),
            Self::RetriesAtOnce => ("basics/all_down_then_recovered", "retry-waits"),
            Self::FailedLookupIsNoMx => (
                "incidents/dns_timeout_taken_for_no_mx",
                "failed-lookup-defers",
            ),
            Self::LeavesRoute => ("basics/implicit_mx", "within-route"),
            Self::BouncesTransient => ("basics/all_down_then_recovered", "transient-is-retried"),
            Self::NoNotification => ("basics/rejected_recipient", "sender-notified"),
            Self::ReturnsNotifications => (
                "rfc5321/no_notification_about_a_notification",
                "no-bounce-of-bounce",
            ),
            Self::SendsInPlain => ("tls/required_skips_plaintext", "tls-kept"),
            Self::PermanentIsTransient => (
                "rfc7505/null_mx_is_reported_at_once",
                "permanent-is-returned",
            ),
            Self::GivesUpAfterADay => ("bounces/expired", "gives-up-late"),
            Self::SaysHelo => ("basics/best_preference_takes_it", "ehlo-first"),
            Self::SkipsHello => ("basics/best_preference_takes_it", "hello-first"),
            Self::SaysLocalhost => ("basics/best_preference_takes_it", "ehlo-name"),
            Self::SaysUnknownName => ("dns/negative_answer_expires", "ehlo-resolves"),
            Self::SpeaksFirst => ("rfc5321/slow_greeting_is_waited_for", "greeting-first"),
            Self::DoesNotWait => ("wire/without_extensions", "reply-first"),
            Self::SendsContentWithData => ("basics/best_preference_takes_it", "group-ends"),
            Self::SendsNotifyAnyway => ("wire/without_extensions", "rcpt-parameters"),
            Self::SendsRetAnyway => ("wire/without_extensions", "dsn-offered"),
            Self::LeavesSizeOut => ("wire/size_is_announced", "size-announced"),
            Self::LeavesUtf8Out => ("wire/backup_offers_smtputf8", "smtputf8-asked"),
            Self::SendsUtf8Anyway => ("wire/no_exchanger_offers_smtputf8", "smtputf8-offered"),
            Self::SendsEightBitAnyway => ("wire/no_exchanger_offers_8bitmime", "eight-bit-offered"),
            Self::EndsLinesWithLf => ("basics/best_preference_takes_it", "crlf-only"),
            Self::SendsMailTwice => ("basics/best_preference_takes_it", "one-transaction"),
            Self::LowersLocalParts => ("wire/case_of_local_parts", "local-part-kept"),
            Self::SendsSourceRoutes => ("basics/best_preference_takes_it", "no-source-route"),
            Self::IgnoresRefusedData => ("rfc5321/transient_reply_at_data", "content-after-354"),
            Self::LeavesDots => ("wire/leading_dots", "content-kept"),
            Self::MixesBdatAndData => ("wire/chunking_offered", "bdat-or-data"),
            Self::SendsChunksOn => ("wire/chunking_offered", "chunks-end"),
            Self::LeavesWithoutQuit => ("basics/best_preference_takes_it", "quits"),
            Self::SkipsHandshake => ("wire/starttls_inside_tls", "handshake-after-220"),
            Self::SkipsEhloInTls => ("wire/starttls_inside_tls", "ehlo-after-tls"),
            Self::StartsTlsTwice => ("wire/starttls_inside_tls", "tls-once"),
            Self::AsksForUtf8 => ("basics/best_preference_takes_it", "smtputf8-needed"),
            Self::SaysUtf8Name => ("basics/best_preference_takes_it", "ehlo-ascii"),
            Self::FetchesAgainAtOnce => (
                "mta_sts/failed_fetch_is_not_repeated_at_once",
                "policy-fetch-waits",
            ),
            Self::KeepsAnswers => ("basics/changed_record_after_its_ttl", "within-route"),
            Self::AsksAddressFirst => ("basics/best_preference_takes_it", "route-is-tried"),
            Self::FoldsParameters => ("dsn/orcpt_keeps_its_case", "dsn-parameters-kept"),
            Self::IgnoresNever => ("dsn/never_is_told_nothing", "notify-kept"),
            Self::WarnsUnasked => ("dsn/no_delay_unless_asked_for", "notify-kept"),
            Self::NoRelayedReport => ("dsn/relayed_where_dsn_ends", "relayed-report"),
            Self::ReportsWithRet => ("dsn/notifications_ask_for_none", "report-envelope"),
            Self::ReportsToNobody => ("dsn/form_of_a_notification", "report-form"),
            Self::BlamesFirstHost => ("dsn/remote_mta_is_the_second_exchanger", "report-fields"),
            Self::ReturnsAll => ("dsn/header_returned", "report-returns"),
            Self::DropsPriority => ("wire/priority_is_passed_on", "priority-passed-on"),
            Self::ReportsWithoutPriority => ("dsn/priority_of_a_notification", "report-priority"),
            Self::SendsCredentialsInPlain => {
                ("relay/no_credentials_in_plain_text", "credentials-in-tls")
            }
        }
    }

    /// Why the lab's side alone cannot tell; see [`Control::unseen`].
    fn unseen(self) -> Option<&'static str> {
        match self {
            Self::NoShuffle => Some(
                "first attempts of one drill are few, and a session may serve several messages: shares are counted over many drills",
            ),
            Self::DropsMessage => {
                Some("what is kept and what is forgotten look alike until it is missed")
            }
            Self::NoNotification => Some(
                "who says nothing of a message that is given up cannot be told from one who keeps it",
            ),
            Self::NoRelayedReport => Some(
                "a report that is missing may be on its way, until the queue is known to be empty",
            ),
            _ => None,
        }
    }

    /// The MX answer as a flawed sender takes it; unchanged for all other flaws.
    pub(super) fn misread(self, answer: MxAnswer) -> MxAnswer {
        match (self, &answer) {
            (Self::FailedLookupIsNoMx, MxAnswer::Failed) => MxAnswer::NoData,
            (Self::IgnoresNullMx, MxAnswer::Records(records))
                if records.iter().all(|mx| mx.host.is_root()) =>
            {
                MxAnswer::NoData
            }
            _ => answer,
        }
    }

    /// Who a flawed sender takes itself for. Without names and addresses it finds itself nowhere in
    /// the list.
    pub(super) fn mistake_identity(self, identity: Identity) -> Identity {
        match self {
            Self::KeepsItself => Identity {
                names: Vec::new(),
                addresses: Vec::new(),
                ..identity
            },
            _ => identity,
        }
    }

    /// The candidates in the order of a flawed sender. Sorting makes the order of equals the same
    /// every time, which is all that is wrong with it.
    pub(super) fn reorder(
        self,
        mut candidates: Vec<Candidate>,
        random: &mut impl Rng,
    ) -> Vec<Candidate> {
        match self {
            Self::IgnoresPreference => candidates.shuffle(random),
            Self::HighestFirst => {
                candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.preference))
            }
            Self::NoShuffle => candidates.sort(),
            Self::StopsAtFirst => candidates.truncate(1),
            _ => {}
        }
        candidates
    }

    /// A host outside the list that a flawed sender tries first; `None` for other flaws, and where
    /// the domain itself is the only exchanger, since its address is then right.
    pub(super) fn stray(self, domain: &Domain, exchangers: &[Exchanger]) -> Option<Domain> {
        match self {
            Self::UsesDomainAddress
                if exchangers.iter().any(|exchanger| exchanger.host != *domain) =>
            {
                Some(domain.clone())
            }
            Self::LeavesRoute => Some(domain.prefixed("www")),
            _ => None,
        }
    }
}

/// The candidates of a stray host, to be tried before all others. Their preference is of no
/// consequence: the list is not sorted again.
pub(super) fn stray_candidates(
    host: &Domain,
    addresses: &BTreeMap<Domain, Addresses>,
) -> Vec<Candidate> {
    let found = addresses
        .get(host)
        .into_iter()
        .flat_map(|addresses| &addresses.found);
    found
        .map(|address| Candidate {
            preference: 0,
            exchanger: host.clone(),
            address: *address,
        })
        .collect()
}
