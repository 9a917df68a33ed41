//! What drills are made of beside what fails: shapes of zones, what receivers offer and bear, and what mail is sent.
//!
//! Each is a list of kinds with a name. `cover` combines them in pairs, `chance` draws from them.

use std::time::Duration;

use super::{Asks, Body, RandomMessages, minutes};
use crate::{
    extension::Extension,
    scenario::{
        Certificate, Counted, CountedBy, Frequency, Greylist, Limit, Limits, Rate,
        ReceiverSettings, Trickle,
    },
};

/// How the records of a mail domain are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ZoneShape {
    /// One exchanger.
    One,
    /// Two of different preference.
    Levels,
    /// Two of one preference.
    Equals,
    /// Two of one preference, and a worse one.
    EqualsAndBackup,
    /// Four levels.
    Many,
    /// Two addresses of the better exchanger.
    Multihomed,
    /// An IPv6 address beside one of IPv4.
    DualStack,
    /// No MX record: the domain's own address.
    Implicit,
    /// The domain is an alias.
    DomainAlias,
    /// An exchanger that is an alias.
    ExchangerAlias,
    /// A null MX.
    Null,
    /// Two exchangers at one address.
    SharedAddress,
    /// The better exchanger has no address.
    NoAddress,
    /// No exchanger has an address.
    NoneUsable,
    /// An address of the domain beside its MX records.
    AddressBeside,
    /// The sender itself is the second of three.
    OwnName,
    /// There is no such domain.
    NoDomain,
}

impl ZoneShape {
    /// Every one.
    pub(super) const ALL: [Self; 17] = [
        Self::One,
        Self::Levels,
        Self::Equals,
        Self::EqualsAndBackup,
        Self::Many,
        Self::Multihomed,
        Self::DualStack,
        Self::Implicit,
        Self::DomainAlias,
        Self::ExchangerAlias,
        Self::Null,
        Self::SharedAddress,
        Self::NoAddress,
        Self::NoneUsable,
        Self::AddressBeside,
        Self::OwnName,
        Self::NoDomain,
    ];
}

impl ZoneShape {
    /// The records of `d0`, relative to `test.`. Its best exchanger is `h0`, at 192.0.2.1, where it has one.
    pub(super) fn records(self) -> Vec<String> {
        let two = ["d0 IN MX 10 h0", "d0 IN MX 20 h1"];
        let addresses = ["h0 IN A 192.0.2.1", "h1 IN A 192.0.2.2"];
        let and = |more: &[&'static str]| [&two[..], &addresses[..], more].concat();
        let lines = match self {
            Self::One => vec!["d0 IN MX 10 h0", addresses[0]],
            Self::Levels => and(&[]),
            Self::Equals => [&["d0 IN MX 10 h0", "d0 IN MX 10 h1"][..], &addresses].concat(),
            Self::EqualsAndBackup => and(&["d0 IN MX 10 h2", "h2 IN A 192.0.2.3"]),
            Self::Many => and(&[
                "d0 IN MX 30 h2",
                "h2 IN A 192.0.2.3",
                "d0 IN MX 40 h3",
                "h3 IN A 192.0.2.4",
            ]),
            Self::Multihomed => and(&["h0 IN A 192.0.2.11"]),
            Self::DualStack => and(&["h0 IN AAAA 2001:db8::1"]),
            Self::Implicit => vec!["d0 IN A 192.0.2.1"],
            Self::DomainAlias => [
                &["d0 IN CNAME d2", "d2 IN MX 10 h0", "d2 IN MX 20 h1"][..],
                &addresses,
            ]
            .concat(),
            Self::ExchangerAlias => [
                &two[..],
                &["h0 IN CNAME h4", "h4 IN A 192.0.2.1", "h1 IN A 192.0.2.2"],
            ]
            .concat(),
            Self::Null => vec!["d0 IN MX 0 ."],
            Self::SharedAddress => [&two[..], &["h0 IN A 192.0.2.1", "h1 IN A 192.0.2.1"]].concat(),
            Self::NoAddress => and(&["d0 IN MX 5 h2"]),
            Self::NoneUsable => two.to_vec(),
            Self::AddressBeside => and(&["d0 IN A 203.0.113.1"]),
            Self::OwnName => [
                &["d0 IN MX 10 h0", "d0 IN MX 20 mail.sender.test."][..],
                &["d0 IN MX 30 h1"],
                &addresses,
            ]
            .concat(),
            Self::NoDomain => Vec::new(),
        };
        lines.into_iter().map(str::to_owned).collect()
    }

    /// The host that is tried first, or one of those; `None` where there is none.
    pub(super) fn first_host(self) -> Option<&'static str> {
        match self {
            Self::Implicit => Some("d0.test"),
            Self::Null | Self::NoneUsable | Self::NoDomain => None,
            _ => Some("h0.test"),
        }
    }
}

/// What receivers offer in the reply to EHLO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offered {
    /// What they offer by default.
    Usual,
    /// Nothing.
    Nothing,
    /// All but 8BITMIME and SMTPUTF8.
    SevenBit,
    /// No PIPELINING, and a word that means nothing, as behind a firewall.
    Masked,
    /// All that there are.
    Everything,
    /// How much they take: one recipient, one message, one domain.
    Limits,
    /// STARTTLS, with a valid certificate.
    Tls,
    /// STARTTLS, with a certificate that nobody vouches for.
    SelfSigned,
}

impl Offered {
    /// Every one.
    pub(super) const ALL: [Self; 8] = [
        Self::Usual,
        Self::Nothing,
        Self::SevenBit,
        Self::Masked,
        Self::Everything,
        Self::Limits,
        Self::Tls,
        Self::SelfSigned,
    ];
}

impl Offered {
    /// The row of `receivers` that says so; `None` for the usual.
    pub(super) fn receivers(self) -> Option<ReceiverSettings> {
        let listed = |words: &[&str]| ReceiverSettings {
            extensions: Some(words.iter().map(|word| extension(word)).collect()),
            ..ReceiverSettings::default()
        };
        let certified = |certificate| ReceiverSettings {
            certificate: Some(certificate),
            ..ReceiverSettings::default()
        };
        Some(match self {
            Self::Usual => return None,
            Self::Nothing => listed(&[]),
            Self::SevenBit => listed(&["PIPELINING", "SIZE 52428800", "ENHANCEDSTATUSCODES"]),
            Self::Masked => listed(&["XXXXXXXA", "SIZE 52428800", "8BITMIME"]),
            Self::Everything => listed(&[
                "PIPELINING",
                "SIZE 52428800",
                "8BITMIME",
                "SMTPUTF8",
                "ENHANCEDSTATUSCODES",
                "CHUNKING",
                "BINARYMIME",
                "DSN",
                "MT-PRIORITY",
                "DELIVERBY",
            ]),
            Self::Limits => listed(&[
                "PIPELINING",
                "SIZE 52428800",
                "8BITMIME",
                "LIMITS RCPTMAX=1 MAILMAX=1 RCPTDOMAINMAX=1",
            ]),
            Self::Tls => certified(Certificate::Valid),
            Self::SelfSigned => certified(Certificate::SelfSigned),
        })
    }
}

fn extension(word: &str) -> Extension {
    word.parse().expect("an extension that receivers serve")
}

/// What receivers can bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bears {
    /// No limit that a drill would meet.
    All,
    /// A greylist of five minutes.
    Greylist,
    /// One recipient in a transaction.
    OneRecipient,
    /// One message in a session.
    OneMessage,
    /// Two messages in an hour.
    Rate,
    /// Two connections in an hour, whoever makes them.
    Connections,
    /// One session at a time.
    OneSession,
    /// A thousand octets of content in a second.
    SlowLine,
    /// Five minutes without a command, after which nothing is answered.
    Silence,
    /// Replies that come octet by octet.
    Octets,
    /// Replies in two segments.
    Segments,
    /// Replies whose lines end with LF.
    Lf,
    /// Replies of fifty lines.
    Lines,
}

impl Bears {
    /// Every one.
    pub(super) const ALL: [Self; 13] = [
        Self::All,
        Self::Greylist,
        Self::OneRecipient,
        Self::OneMessage,
        Self::Rate,
        Self::Connections,
        Self::OneSession,
        Self::SlowLine,
        Self::Silence,
        Self::Octets,
        Self::Segments,
        Self::Lf,
        Self::Lines,
    ];

    /// Those for senders outside the process. Not every client reads lines that end with LF, and need not.
    pub(super) fn of_others() -> Vec<Self> {
        Self::all_but(&[Self::Lf])
    }

    /// Those of them that show with one message in one session.
    pub(super) fn of_one() -> Vec<Self> {
        Self::all_but(&[
            Self::OneRecipient,
            Self::OneMessage,
            Self::Rate,
            Self::Connections,
            Self::OneSession,
            Self::Lf,
        ])
    }

    fn all_but(others: &[Self]) -> Vec<Self> {
        let all = Self::ALL.into_iter();
        all.filter(|one| !others.contains(one)).collect()
    }
}

impl Bears {
    /// The row of `receivers` that says so; `None` where there is no limit.
    pub(super) fn receivers(self) -> Option<ReceiverSettings> {
        let trickling = |trickle| Limits {
            trickle: Some(trickle),
            ..Limits::default()
        };
        let limits = match self {
            Self::All => return None,
            Self::Greylist => Limits {
                greylist: Some(Greylist::new(minutes(5).0)),
                ..Limits::default()
            },
            Self::OneRecipient => Limits {
                max_recipients: Some(Limit::of_recipients(1)),
                ..Limits::default()
            },
            Self::OneMessage => Limits {
                max_messages: Some(Limit::of_messages(1)),
                ..Limits::default()
            },
            Self::Rate => two_in_an_hour(Counted::Messages, CountedBy::Client),
            Self::Connections => two_in_an_hour(Counted::Connections, CountedBy::All),
            Self::OneSession => Limits {
                max_sessions: Some(Limit::of_sessions(1)),
                ..Limits::default()
            },
            Self::SlowLine => Limits {
                bandwidth: Some("1kB/s".parse().expect("a bandwidth")),
                ..Limits::default()
            },
            Self::Silence => Limits {
                silent_after: Some(minutes(5).0),
                ..Limits::default()
            },
            Self::Octets => trickling(Trickle::Octets),
            Self::Segments => trickling(Trickle::Segments),
            Self::Lf => trickling(Trickle::Lf),
            Self::Lines => trickling(Trickle::Lines),
        };
        Some(ReceiverSettings {
            limits,
            ..ReceiverSettings::default()
        })
    }
}

fn two_in_an_hour(of: Counted, by: CountedBy) -> Limits {
    let most = Frequency {
        times: 2,
        per: Duration::from_secs(3600),
    };
    Limits {
        rate: Some(Rate::new(most, of, by)),
        ..Limits::default()
    }
}

/// What mail is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mail {
    /// One message to one recipient.
    One,
    /// One message to two recipients.
    TwoRecipients,
    /// Three messages, one of them later.
    Several,
    /// One from the null reverse-path.
    NullSender,
    /// One whose body has octets over 127.
    EightBit,
    /// One whose body has lines that begin with dots.
    Dots,
    /// One whose body is binary.
    Binary,
    /// One with a priority.
    Priority,
    /// One that is to be returned in an hour.
    BackInAnHour,
    /// One whose author is to be told in an hour.
    TellInAnHour,
}

impl Mail {
    /// Every one.
    pub(super) const ALL: [Self; 10] = [
        Self::One,
        Self::TwoRecipients,
        Self::Several,
        Self::NullSender,
        Self::EightBit,
        Self::Dots,
        Self::Binary,
        Self::Priority,
        Self::BackInAnHour,
        Self::TellInAnHour,
    ];
    /// Those that mail servers are handed.
    pub(super) const OF_SERVERS: [Self; 6] = [
        Self::One,
        Self::TwoRecipients,
        Self::Several,
        Self::NullSender,
        Self::EightBit,
        Self::Dots,
    ];
}

impl Mail {
    /// The rows of messages to `d0`.
    pub(super) fn messages(self) -> Vec<RandomMessages> {
        let one = |number| RandomMessages {
            number,
            to: vec!["u0@d0.test".to_owned()],
            minute: 0,
            count: 1,
            from_nobody: false,
            body: Body::Plain,
            asks: None,
        };
        let first = one(0);
        let of_body = |body| vec![RandomMessages { body, ..one(0) }];
        let asking = |asks| {
            let asks = Some(asks);
            vec![RandomMessages { asks, ..one(0) }]
        };
        match self {
            Self::One => vec![first],
            Self::TwoRecipients => vec![RandomMessages {
                to: vec!["u0@d0.test".to_owned(), "u1@d0.test".to_owned()],
                ..first
            }],
            Self::Several => vec![
                first,
                one(1),
                RandomMessages {
                    minute: 90,
                    ..one(2)
                },
            ],
            Self::NullSender => vec![RandomMessages {
                from_nobody: true,
                ..first
            }],
            Self::EightBit => of_body(Body::EightBit),
            Self::Dots => of_body(Body::Dots),
            Self::Binary => of_body(Body::Binary),
            Self::Priority => asking(Asks::Priority),
            Self::BackInAnHour => asking(Asks::BackInAnHour),
            Self::TellInAnHour => asking(Asks::TellInAnHour),
        }
    }
}
