//! The rules that hold for every drill, whatever its author expects. Each has a name and a source.
//!
//! They read the log through [`Knowledge`](super::views::Knowledge) and [`Attempt`] and share no code with the router.
//!
//! A rule is a row of the table: constant, name, section, level, claim, and whether it is about sessions or routes, with the
//! statements that a breach speaks against. The functions that check
//! them are in the files below, and each row needs a flaw of the reference sender that breaks it
//! (`crate::sender::flaw`).

mod content;
pub(super) mod delivery;
pub(super) mod dsn;
mod losses;
mod policy_fetches;
pub(super) mod priority;
pub(super) mod report;
mod retries;
pub(super) mod routing;
pub(super) mod security;
mod untried;
mod wire;

pub(super) use self::{policy_fetches::PolicyFetches, wire::Wire};
use super::{Finding, Subject};
use crate::level::Level;

/// A rule of mail routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Its name, such as `preference-order`.
    pub name: &'static str,
    /// The section that asks for it, such as `RFC 5321 section 5.1`.
    pub cite: &'static str,
    /// How strongly that section asks for it, in the words of RFC 2119.
    pub level: Level,
    /// What it asks, as a sentence.
    pub claim: &'static str,
    /// The numbers of the statements in `docs/requirements.md` that a breach speaks against. None: those of the drill in
    /// which it is seen.
    pub statements: &'static [u16],
    /// Whether it is about what is said in sessions and notifications, whatever a drill is about, and not about where
    /// messages go.
    pub is_of_sessions: bool,
    /// Whether it holds only of messages whose authors ask for something: whoever was given none of these has not kept it
    /// either.
    pub is_asked_for: bool,
}

/// The rule of a name, such as that of a finding.
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

macro_rules! rules {
    (@sessions sessions) => { true };
    (@sessions route) => { false };
    (@asked) => { false };
    (@asked asked) => { true };
    ($($constant:ident = $name:literal, $cite:literal, $level:ident, $claim:literal, $kind:ident $statements:tt $($asked:ident)?;)*) => {
        $(pub(crate) const $constant: Rule = Rule {
            name: $name,
            cite: $cite,
            level: Level::$level,
            claim: $claim,
            statements: &$statements,
            is_of_sessions: rules!(@sessions $kind),
            is_asked_for: rules!(@asked $($asked)?),
        };)*
        /// Every rule, in the order of `docs/rules.md`.
        pub const RULES: &[Rule] = &[$($constant),*];
    };
}

rules! {
    PREFERENCE_ORDER = "preference-order", "RFC 5321 section 5.1", Must, "within a pass, lower preference numbers are tried before higher ones", route [14, 16, 20, 219, 222];
    EQUALS_SHARE = "equals-share", "RFC 5321 section 5.1", Must, "exchangers of equal preference share the first attempts", route [15];
    NEXT_CANDIDATE = "next-candidate", "RFC 5321 section 5.1", Should, "a pass that fails transiently tries a second candidate where there is one", route [13, 73, 214, 215, 216, 217, 219, 221, 222];
    WITHIN_ROUTE = "within-route", "RFC 5321 section 5.1", Must, "no address outside the route is connected to", route [1, 8, 9];
    MX_OVER_ADDRESS = "mx-over-address", "RFC 5321 section 5.1", Must, "mail for a domain with MX records does not go to the domain's own address", route [8];
    NULL_MX = "null-mx", "RFC 7505 section 3", Must, "a domain with a null MX is sent nothing", route [50, 52];
    OWN_LEVEL = "own-level", "RFC 5321 section 5.1", Must, "a sender in the list tries neither itself nor its level nor worse ones", route [17, 18, 19, 20];
    FAILED_LOOKUP_DEFERS = "failed-lookup-defers", "RFC 5321 section 5.1", Must, "a lookup that fails for now is no answer: the message is queued", route [5];
    NOTHING_LOST = "nothing-lost", "RFC 5321 section 6.1", Must, "every message is delivered, queued or returned", route [23, 44, 86];
    DELIVERED_ONCE = "delivered-once", "RFC 5321 section 4.2.5", Should, "no recipient is delivered to twice", route [32, 219];
    PERMANENT_IS_FINAL = "permanent-is-final", "RFC 5321 section 4.2.1", Should, "after a permanent failure the same request is not repeated", route [43];
    ROUTE_IS_TRIED = "route-is-tried", "RFC 5321 section 5.1", Must, "mail for a domain that has a route is returned only after some host of it was tried", route [1, 3, 6, 11];
    PERMANENT_IS_RETURNED = "permanent-is-returned", "RFC 5321 section 5.1", Should, "what can never be delivered is returned, not kept until its time is over", route [4, 7, 19, 43, 52];
    TRANSIENT_IS_RETRIED = "transient-is-retried", "RFC 5321 section 4.5.4.1", Must, "a transient failure is retried until the message expires", route [5, 11, 23, 41, 42];
    GIVES_UP_LATE = "gives-up-late", "RFC 5321 section 4.5.4.1", Should, "a message that fails transiently is retried for four days at least before it is given up", route [26];
    RETRY_WAITS = "retry-waits", "RFC 5321 section 4.5.4.1", Must, "a destination that failed is not retried at once", route [24, 25];
    SENDER_NOTIFIED = "sender-notified", "RFC 5321 section 3.6.3", Must, "a message that is given up is returned to its sender", route [44, 160];
    NO_BOUNCE_OF_BOUNCE = "no-bounce-of-bounce", "RFC 5321 section 6.1", Must, "a message from the null reverse-path is never returned", route [22, 46];
    EHLO_FIRST = "ehlo-first", "RFC 5321 section 4.1.1.1", Should, "a session is opened with EHLO, and with HELO only where EHLO failed", sessions [87];
    HELLO_FIRST = "hello-first", "RFC 5321 section 4.1.1.1", Must, "a client says EHLO or HELO before MAIL", sessions [225];
    EHLO_NAME = "ehlo-name", "RFC 5321 section 4.1.4", Should, "a client calls itself by a name that is fully qualified, or by an address literal", sessions [89];
    EHLO_RESOLVES = "ehlo-resolves", "RFC 5321 section 2.3.5", Must, "a client that calls itself by a name has a name with an address in the DNS", sessions [48];
    GREETING_FIRST = "greeting-first", "RFC 5321 section 4.3.1", Should, "a client waits for the greeting", sessions [91];
    REPLY_FIRST = "reply-first", "RFC 5321 section 4.3.1", Must, "without PIPELINING a client waits for the reply to each command", sessions [90];
    GROUP_ENDS = "group-ends", "RFC 2920 section 3.1", Must, "EHLO, DATA, VRFY, EXPN, QUIT, NOOP and STARTTLS end a group of commands: their replies are waited for", sessions [127];
    RCPT_PARAMETERS = "rcpt-parameters", "RFC 5321 section 4.1.1.3", Must, "RCPT carries only parameters of extensions that the server offered", sessions [97];
    DSN_OFFERED = "dsn-offered", "RFC 3461 section 5.2.2", Must, "RET and ENVID are given to no server that does not offer DSN", sessions [227];
    SIZE_ANNOUNCED = "size-announced", "RFC 5321 section 4.5.3.1.7", Should, "a message of more than 64K octets is announced by SIZE to a server that offers it without a limit", sessions [109];
    SMTPUTF8_OFFERED = "smtputf8-offered", "RFC 6531 section 3.2", Must, "an address or a header beyond ASCII goes to no server that does not offer SMTPUTF8", sessions [137];
    SMTPUTF8_ASKED = "smtputf8-asked", "RFC 6531 section 3.4", Must, "MAIL asks for SMTPUTF8 where an address of the message is beyond ASCII", sessions [226];
    SMTPUTF8_NEEDED = "smtputf8-needed", "RFC 6531 section 3.4", Should, "SMTPUTF8 is asked for only where an address or a header field needs it", sessions [141];
    EHLO_ASCII = "ehlo-ascii", "RFC 6531 section 3.7.1", Must, "the name after EHLO is in ASCII", sessions [142];
    EIGHT_BIT_OFFERED = "eight-bit-offered", "RFC 5321 section 2.4", Must, "octets over 127 go to no server that does not offer 8BITMIME", sessions [94];
    CRLF_ONLY = "crlf-only", "RFC 5321 section 2.3.8", Must, "CR and LF are sent as CRLF alone", sessions [92];
    ONE_TRANSACTION = "one-transaction", "RFC 5321 section 4.1.4", Must, "MAIL is not sent while a transaction is open", sessions [96];
    LOCAL_PART_KEPT = "local-part-kept", "RFC 5321 section 2.4", Must, "the case of a local part is kept", sessions [93];
    NO_SOURCE_ROUTE = "no-source-route", "RFC 5321 section 3.3", Should, "a client sends no source routes", sessions [115];
    CONTENT_AFTER_354 = "content-after-354", "RFC 5321 section 3.3", Must, "content is sent after 354 alone", sessions [95];
    CONTENT_KEPT = "content-kept", "RFC 5321 section 4.5.2", Must, "leading dots are doubled, and no line is added to the content or left out", sessions [100];
    BDAT_OR_DATA = "bdat-or-data", "RFC 3030 section 2", Must, "DATA and BDAT are not mixed in a transaction", sessions [135];
    CHUNKS_END = "chunks-end", "RFC 3030 section 2", Must, "after an error to BDAT no further chunk of the message is sent", sessions [134];
    QUITS = "quits", "RFC 5321 section 4.1.1.10", Must, "a client does not close a connection before it has sent QUIT", sessions [101];
    HANDSHAKE_AFTER_220 = "handshake-after-220", "RFC 3207 section 4", Must, "after the 220 to STARTTLS nothing but the handshake is sent", sessions [150];
    EHLO_AFTER_TLS = "ehlo-after-tls", "RFC 3207 section 4.2", Should, "inside TLS a session begins again with EHLO", route [60];
    TLS_ONCE = "tls-once", "RFC 3207 section 4", Must, "STARTTLS is not sent inside TLS", sessions [149];
    POLICY_FETCH_WAITS = "policy-fetch-waits", "RFC 8461 section 3.3", Should, "after a policy could not be fetched five minutes pass until the next try, for one record", sessions [177];
    TLS_KEPT = "tls-kept", "RFC 8461 section 5", Must, "where DANE, MTA-STS, REQUIRETLS or its settings demand TLS, a sender does without it nowhere", route [];
    CREDENTIALS_IN_TLS = "credentials-in-tls", "RFC 4616 section 5", Should, "a client says who it is by PLAIN or LOGIN inside TLS alone", route [];
    DSN_PARAMETERS_KEPT = "dsn-parameters-kept", "RFC 3461 section 5.2.1", Must, "what is asked of notifications is passed on unchanged to a server that offers DSN, and nothing is added", sessions [153] asked;
    NOTIFY_KEPT = "notify-kept", "RFC 3461 section 5.2", Must, "nobody is notified of what NOTIFY does not list, and with NEVER of nothing", sessions [159] asked;
    RELAYED_REPORT = "relayed-report", "RFC 3461 section 5.2.2", Must, "a message with NOTIFY=SUCCESS that a server without DSN takes is reported as relayed", sessions [158] asked;
    REPORT_ENVELOPE = "report-envelope", "RFC 3461 section 6.1", Must, "a notification goes from the null reverse-path to that of its message, without RET, and with no other NOTIFY than NEVER", sessions [162];
    REPORT_FORM = "report-form", "RFC 3464 section 2", Must, "a notification is a multipart/report of delivery status, addressed to the reverse-path of its message", sessions [168] asked;
    REPORT_FIELDS = "report-fields", "RFC 3461 section 6.3", Must, "a report repeats what its author gave to tell message and recipient by, and names the server that refused, if one did", sessions [163, 164, 165, 166, 169, 170, 171];
    REPORT_RETURNS = "report-returns", "RFC 3461 section 4.3", Should, "a notification returns as much of the message as RET asks for", sessions [167] asked;
    PRIORITY_PASSED_ON = "priority-passed-on", "RFC 6710 section 4.2", Must, "a server that offers MT-PRIORITY is told the priority of a message that has one", sessions [143] asked;
    REPORT_PRIORITY = "report-priority", "RFC 6710 section 4.6", Should, "a notification has the priority of its message", sessions [144] asked;
}

/// What was expected, and what was seen.
type Differs = (String, String);

/// A finding that a rule is broken, about the drill or what is named.
fn broken(
    rule: Rule,
    subject: Subject,
    expected: impl Into<String>,
    observed: Vec<String>,
) -> Finding {
    let about = subject.message();
    let about = about.map_or(String::new(), |id| format!(" (message {id})"));
    Finding {
        subject,
        claim: format!("{}{about}", rule.claim),
        rule: Some(rule.name),
        statement: match rule.statements {
            [only] if rule.is_of_sessions => Some(*only),
            _ => None,
        },
        level: rule.level,
        cites: vec![rule.cite.to_owned()],
        expected: vec![expected.into()],
        observed,
        attempts: None,
        because: Vec::new(),
    }
}
