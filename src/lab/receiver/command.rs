//! Commands as clients send them, read as RFC 5321 section 4.1.1 has them. What is offered is not known
//! here.
//!
//! Whole lines come in. smtp-proto, which reads replies, takes too much for a lab: it drops the quotes of
//! a local part and passes over arguments where none may be.
//!
//! A command that is not understood gets 500 if the verb is unknown and 501 if its arguments are
//! wrong (section 4.2.2). The syntax is held to the letter where clients of mail servers are known
//! to go wrong, such as a missing pair of angle brackets; only white space is taken more leniently.

use std::fmt;

use crate::{fault::Stage, mail::mailbox::Path, reply::Reply};

/// A command, its arguments read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SmtpCommand {
    /// The client's name, as it gave it: a domain or an address literal. Whether it is one is not
    /// checked.
    Ehlo(String),
    Helo(String),
    StartTls,
    /// The mechanism in upper case, and the initial response (RFC 4954 section 4).
    Auth(String, Option<Vec<u8>>),
    Mail(Path, Vec<Parameter>),
    Rcpt(Path, Vec<Parameter>),
    Data,
    /// The octets of a chunk, and whether it is the last (RFC 3030 section 2).
    Bdat(usize, bool),
    Rset,
    Noop,
    Vrfy,
    Help,
    Quit,
    /// A verb that is known and not offered, so that the answer is 502 rather than 500.
    Other(String),
}

/// A parameter of MAIL or RCPT, its keyword in upper case (RFC 5321 section 4.1.2).
///
/// Such as `SIZE=1000` or `SMTPUTF8`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    /// In upper case.
    pub(super) keyword: String,
    /// What follows the equals sign; `None` without one.
    pub(super) value: Option<String>,
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.keyword)?;
        match &self.value {
            Some(value) => write!(f, "={value}"),
            None => Ok(()),
        }
    }
}

/// Commands that exist and are not offered (RFC 5321 section 4.2.4: 502 for those, 500 for what is
/// unknown).
const OTHERS: [&str; 11] = [
    "ATRN", "BURL", "ETRN", "EXPN", "LHLO", "SAML", "SEND", "SOML", "TURN", "VERB", "XCLIENT",
];

impl SmtpCommand {
    /// Reads a line without its CRLF.
    ///
    /// # Errors
    /// The reply to what is no command.
    pub(super) fn read(line: &[u8]) -> Result<Self, Reply> {
        // White space at the end is to be tolerated (RFC 5321 section 4.1.1).
        let line = line.trim_ascii_end();
        let end = line.iter().position(|octet| *octet == b' ');
        let (verb, rest) = line.split_at(end.unwrap_or(line.len()));
        let verb = String::from_utf8_lossy(verb).to_ascii_uppercase();
        let argument = String::from_utf8_lossy(rest.trim_ascii_start());
        match &*verb {
            "EHLO" => name(&argument, "EHLO domain").map(Self::Ehlo),
            "HELO" => name(&argument, "HELO domain").map(Self::Helo),
            "MAIL" => mail(rest),
            "RCPT" => rcpt(rest),
            "DATA" => alone(&argument, "DATA", Self::Data),
            "BDAT" => bdat(&argument),
            "RSET" => alone(&argument, "RSET", Self::Rset),
            "QUIT" => alone(&argument, "QUIT", Self::Quit),
            "STARTTLS" => alone(&argument, "STARTTLS", Self::StartTls),
            "AUTH" => auth(&argument),
            "NOOP" => Ok(Self::Noop),
            "HELP" => Ok(Self::Help),
            "VRFY" => name(&argument, "VRFY string").map(|_| Self::Vrfy),
            other if OTHERS.contains(&other) => Ok(Self::Other(verb)),
            _ => Err(Reply::new(500, "5.5.2 unknown command")),
        }
    }

    /// The first word of a line in upper case, as far as a log has room for it; `?` if that is no word.
    pub(super) fn verb_of(line: &[u8], verb: &mut String) {
        verb.clear();
        let word = line
            .split(|octet| *octet == b' ')
            .next()
            .unwrap_or_default();
        let word = &word[..word.len().min(MAX_VERB)];
        if !word.is_empty() && word.iter().all(u8::is_ascii_graphic) {
            verb.extend(
                word.iter()
                    .map(|octet| char::from(octet.to_ascii_uppercase())),
            );
        } else {
            verb.push('?');
        }
    }

    /// The stage of a line, by its first word, understood or not: a malformed MAIL is part of what
    /// happened to a transaction.
    pub(super) fn stage_of(line: &[u8]) -> Option<Stage> {
        let verb = line.split(|octet| octet.is_ascii_whitespace()).next()?;
        match &verb.to_ascii_uppercase()[..] {
            b"EHLO" | b"HELO" => Some(Stage::Helo),
            b"AUTH" => Some(Stage::Auth),
            b"MAIL" => Some(Stage::Mail),
            b"RCPT" => Some(Stage::Rcpt),
            _ => None,
        }
    }
}

/// Octets of a command's first word that a log has.
const MAX_VERB: usize = 40;

/// The reply to a command with wrong arguments, which says what was expected.
fn syntax(expected: &str) -> Reply {
    Reply::new(501, format!("5.5.4 expected {expected}"))
}

/// A command that takes no argument (RFC 5321 section 4.1.1).
fn alone(argument: &str, verb: &str, command: SmtpCommand) -> Result<SmtpCommand, Reply> {
    if argument.is_empty() {
        Ok(command)
    } else {
        Err(syntax(&format!("{verb} and nothing after it")))
    }
}

/// AUTH: a mechanism, and what the client says at once.
fn auth(argument: &str) -> Result<SmtpCommand, Reply> {
    let (mechanism, initial) = match argument.split_once(' ') {
        Some((mechanism, initial)) => (mechanism, Some(initial.trim())),
        None => (argument, None),
    };
    let is_one = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    let is_mechanism = (1..=20).contains(&mechanism.len()) && mechanism.bytes().all(is_one);
    if !is_mechanism || initial.is_some_and(|initial| initial.contains(' ')) {
        return Err(syntax("AUTH mechanism [initial-response]"));
    }
    let initial = initial.map(|initial| initial.as_bytes().to_vec());
    Ok(SmtpCommand::Auth(mechanism.to_ascii_uppercase(), initial))
}

/// BDAT: how many octets follow, and `LAST` behind the last chunk (RFC 3030 section 2).
fn bdat(argument: &str) -> Result<SmtpCommand, Reply> {
    let (size, rest) = argument.split_once(' ').unwrap_or((argument, ""));
    let last = match rest.trim() {
        "" => Some(false),
        word => word.eq_ignore_ascii_case("LAST").then_some(true),
    };
    let plain = !size.is_empty() && size.bytes().all(|octet| octet.is_ascii_digit());
    match (size.parse(), last) {
        (Ok(size), Some(last)) if plain => Ok(SmtpCommand::Bdat(size, last)),
        _ => Err(syntax("BDAT octets [LAST]")),
    }
}

/// An argument of 1 to 255 octets without control characters (section 4.5.3.1.2 bounds a domain at
/// 255).
fn name(argument: &str, expected: &str) -> Result<String, Reply> {
    let fits = (1..=255).contains(&argument.len()) && !argument.contains(char::is_control);
    if fits {
        Ok(argument.to_owned())
    } else {
        Err(syntax(expected))
    }
}

/// MAIL. `<Postmaster>` without a domain is a forward-path alone (section 4.1.1.3).
fn mail(rest: &[u8]) -> Result<SmtpCommand, Reply> {
    const EXPECTED: &str = "MAIL FROM:<reverse-path> [parameters]";
    let (path, rest) = path(rest, "FROM:", EXPECTED, "5.1.7 bad reverse-path")?;
    match path {
        Path::Postmaster => Err(Reply::new(501, "5.1.7 bad reverse-path")),
        path => Ok(SmtpCommand::Mail(path, parameters(&rest, EXPECTED)?)),
    }
}

/// RCPT. The null path is a reverse-path alone.
fn rcpt(rest: &[u8]) -> Result<SmtpCommand, Reply> {
    const EXPECTED: &str = "RCPT TO:<forward-path> [parameters]";
    let (path, rest) = path(rest, "TO:", EXPECTED, "5.1.3 bad forward-path")?;
    match path {
        Path::Null => Err(Reply::new(501, "5.1.3 bad forward-path")),
        path => Ok(SmtpCommand::Rcpt(path, parameters(&rest, EXPECTED)?)),
    }
}

/// Reads a path after its keyword; also what follows it. No space may be before the colon (RFC 5321
/// section 3.3); one after it is as wrong, and taken by most servers.
///
/// It returns `syntax` if there is no path, and `bad` if there is one that is malformed.
fn path(rest: &[u8], keyword: &str, expected: &str, bad: &str) -> Result<(Path, String), Reply> {
    let rest = std::str::from_utf8(rest).map_err(|_| Reply::new(501, bad))?;
    let (found, rest) = rest
        .trim_start_matches(' ')
        .split_at_checked(keyword.len())
        .ok_or_else(|| syntax(expected))?;
    let rest = rest.trim_start_matches(' ');
    if !found.eq_ignore_ascii_case(keyword) || !rest.starts_with('<') {
        return Err(syntax(expected));
    }
    let (path, rest) = Path::read(rest).ok_or_else(|| Reply::new(501, bad))?;
    Ok((path, rest.to_owned()))
}

/// Reads what follows a path: parameters, each with a space before it, and none twice.
fn parameters(rest: &str, expected: &str) -> Result<Vec<Parameter>, Reply> {
    if !rest.is_empty() && !rest.starts_with(' ') {
        return Err(syntax(expected));
    }
    let mut parameters: Vec<Parameter> = Vec::new();
    for word in rest.split(' ').filter(|word| !word.is_empty()) {
        let parameter = parameter(word).ok_or_else(|| syntax(expected))?;
        let known = |other: &Parameter| other.keyword == parameter.keyword;
        if parameters.iter().any(known) {
            let text = format!("5.5.4 parameter {} twice", parameter.keyword);
            return Err(Reply::new(501, text));
        }
        parameters.push(parameter);
    }
    Ok(parameters)
}

/// `esmtp-keyword ["=" esmtp-value]` (RFC 5321 section 4.1.2).
fn parameter(word: &str) -> Option<Parameter> {
    let (keyword, value) = match word.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (word, None),
    };
    let is_keyword = keyword.starts_with(|c: char| c.is_ascii_alphanumeric())
        && keyword
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-');
    let is_value = |value: &str| {
        let allowed = |c: char| c != '=' && !c.is_control();
        !value.is_empty() && value.chars().all(allowed)
    };
    let valid = is_keyword && value.is_none_or(is_value);
    valid.then(|| Parameter {
        keyword: keyword.to_ascii_uppercase(),
        value: value.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(line: &str) -> u16 {
        SmtpCommand::read(line.as_bytes()).map_or_else(|reply| reply.code, |_| 250)
    }

    #[test]
    fn commands_are_read_in_whatever_case() {
        assert_eq!(
            SmtpCommand::read(b"mail from:<a@b.test> size=7 smtputf8 "),
            Ok(SmtpCommand::Mail(
                Path::read("<a@b.test>").expect("a path").0,
                vec![
                    Parameter {
                        keyword: "SIZE".to_owned(),
                        value: Some("7".to_owned())
                    },
                    Parameter {
                        keyword: "SMTPUTF8".to_owned(),
                        value: None
                    },
                ]
            ))
        );
        for line in [
            "ehlo [192.0.2.1]",
            "Data",
            "quit ",
            "NOOP anything at all",
            "RCPT TO: <a@b.test>",
            "rcpt to:<POSTMASTER>",
            "VRFY <a@b.test>",
            "HELP",
        ] {
            assert_eq!(code(line), 250, "{line}");
        }
    }

    #[test]
    fn what_is_not_in_shape_is_told_apart_from_what_is_unknown() {
        for line in [
            "DATA x",
            "RSET x",
            "QUIT now",
            "STARTTLS x",
            "EHLO",
            "MAIL",
            "MAIL <a@b.test>",
            "MAIL FROM :<a@b.test>",
            "MAIL FROM:a@b.test",
            "MAIL FROM:<s@>",
            "MAIL FROM:<a@b.test>SIZE=1",
            "MAIL FROM:<a@b.test> SIZE=",
            "MAIL FROM:<a@b.test> =1",
            "MAIL FROM:<a@b.test> SIZE=1 SIZE=1",
            "MAIL FROM:<postmaster>",
            "AUTH",
            "AUTH PL@IN",
            "AUTH PLAIN a b",
            "RCPT TO:<>",
            "RCPT TO:<a\rb@b.test>",
        ] {
            assert_eq!(code(line), 501, "{line}");
        }
        for line in ["", " QUIT", "FROBNICATE", "DATAx", "MAILFROM:<a@b.test>"] {
            assert_eq!(code(line), 500, "{line}");
        }
        assert_eq!(
            SmtpCommand::read(b"auth plain x"),
            Ok(SmtpCommand::Auth("PLAIN".to_owned(), Some(b"x".to_vec())))
        );
        assert_eq!(
            SmtpCommand::read(b"ATRN a"),
            Ok(SmtpCommand::Other("ATRN".to_owned()))
        );
    }
}
