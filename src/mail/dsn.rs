//! What the author of a message asks of notifications about it: the parameters of RFC 3461 section 4, as
//! values and as a client writes them. And what notifications say, in a word.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

use super::{
    Mailbox, Message,
    encoded::{of_unitext, of_xtext, unitext, unitext_beyond_ascii, xtext},
};
use crate::{
    diagnostic::{Invalid, not_allowed},
    words::words,
};

/// Octets that the value of ENVID may have, encoded (RFC 3461 section 5.4).
const MAX_ENVID: usize = 100;
/// Octets that the value of ORCPT may have, encoded (RFC 3461 section 5.4).
const MAX_ORCPT: usize = 500;

words! {
    /// How much of a message a notification of its failure returns (RFC 3461 section 4.3).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Ret {
        /// The whole message.
        Full = "full",
        /// Its header.
        Headers = "hdrs",
    }
}

words! {
    /// What a notification may be about (RFC 3461 section 4.1).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Occasion {
        /// It was delivered, or went to a server that sends no notifications.
        Success = "success",
        /// It could not be delivered.
        Failure = "failure",
        /// It is late.
        Delay = "delay",
    }
}

words! {
    /// What became of a message, as a notification says (RFC 3464 section 2.3.3); the worst first.
    #[derive(
        Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
    )]
    #[serde(rename_all = "lowercase")]
    pub enum Action {
        /// It could not be delivered, and will not be tried again.
        Failed = "failed",
        /// It waits, and will be tried again.
        Delayed = "delayed",
        /// It went to a host that sends no such notifications.
        Relayed = "relayed",
        /// It went to a list of recipients.
        Expanded = "expanded",
        /// It was delivered.
        Delivered = "delivered",
    }
}

words! {
    /// How much of a message a notification returns.
    #[derive(
        Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize,
    )]
    #[serde(rename_all = "lowercase")]
    pub enum Returned {
        /// The message, its body included.
        Full = "full",
        /// Its header.
        Headers = "headers",
        /// Nothing of it, in a part of its own.
        #[default]
        Nothing = "nothing",
    }
}

/// Of what the author wants to be notified (NOTIFY, RFC 3461 section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notify {
    /// Of nothing, whatever happens.
    Never,
    /// Of these, one at least.
    Of(BTreeSet<Occasion>),
}

impl Notify {
    /// The word that stands alone.
    pub(crate) const NEVER: &str = "never";

    /// Whether a notification of this is wanted.
    pub fn wants(&self, occasion: Occasion) -> bool {
        match self {
            Self::Never => false,
            Self::Of(occasions) => occasions.contains(&occasion),
        }
    }

    /// The value of the parameter; `None` if it is none. Case and order mean nothing.
    pub(crate) fn of_parameter(value: &str) -> Option<Self> {
        let value = value.to_ascii_lowercase();
        if value == Self::NEVER {
            return Some(Self::Never);
        }
        let occasions = value.split(',').map(Occasion::named);
        Some(Self::Of(occasions.collect::<Option<_>>()?))
    }
}

/// As the value of the parameter: `SUCCESS,DELAY`.
impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("NEVER"),
            Self::Of(occasions) => {
                let words = occasions.iter().map(|one| one.word().to_ascii_uppercase());
                f.write_str(&words.collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// Whom the author wrote to, whatever has become of the address since (ORCPT, RFC 3461 section 4.2).
///
/// ```
/// use mxdrill::mail::OriginalRecipient;
///
/// let original: OriginalRecipient = "rfc822;Alice+x@Example.test".parse()?;
/// assert_eq!(original.parameter(), "rfc822;Alice+2Bx@Example.test");
/// # Ok::<(), mxdrill::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalRecipient {
    /// The type of the address, such as `rfc822`.
    pub kind: String,
    /// The address, not encoded.
    pub address: String,
}

impl OriginalRecipient {
    /// The value of the parameter, its address encoded.
    ///
    /// One of type `utf-8` has an encoding of its own, here that which any server takes (RFC 6533 section 3).
    pub fn parameter(&self) -> String {
        self.parameter_in(false)
    }

    /// The same; for a server that offers SMTPUTF8, an address beyond ASCII as it is.
    pub(crate) fn parameter_in(&self, beyond_ascii: bool) -> String {
        let encoded = match (self.is_utf8(), beyond_ascii) {
            (true, true) => unitext_beyond_ascii(&self.address),
            (true, false) => unitext(&self.address),
            (false, _) => xtext(&self.address),
        };
        format!("{};{encoded}", self.kind)
    }

    /// Whether its type is that of addresses that may be beyond ASCII.
    pub(crate) fn is_utf8(&self) -> bool {
        is_utf8(&self.kind)
    }

    /// The one in a value of the parameter; `None` if there is none.
    pub(crate) fn of_parameter(value: &str) -> Option<Self> {
        let (kind, address) = value.split_once(';')?;
        let address = match is_utf8(kind) {
            true => of_unitext(address),
            false => of_xtext(address)?,
        };
        Some(Self {
            kind: kind.to_owned(),
            address,
        })
    }

    /// Whether the value of an Original-Recipient field is about it. RFC 3461 section 6.3 says nothing of its encoding.
    pub(crate) fn is_in_field(&self, value: &str) -> bool {
        let Some((kind, address)) = value.split_once(';') else {
            return false;
        };
        let (kind, address) = (kind.trim(), address.trim());
        let is_same = self.address == address
            || xtext(&self.address) == address
            || self.is_utf8() && of_unitext(address) == self.address;
        self.kind.eq_ignore_ascii_case(kind) && is_same
    }

    /// Whether another one is the same: types are compared without case, addresses to the letter.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.kind.eq_ignore_ascii_case(&other.kind) && self.address == other.address
    }
}

/// As a notification has it, and a scenario.
impl fmt::Display for OriginalRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};{}", self.kind, self.address)
    }
}

impl FromStr for OriginalRecipient {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self::read(text)?)
    }
}

impl OriginalRecipient {
    fn read(text: &str) -> Result<Self, String> {
        let (kind, address) = text.split_once(';').unwrap_or(("", text));
        let is_atom = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let read = Self {
            kind: kind.trim().to_owned(),
            address: address.trim().to_owned(),
        };
        let valid = !read.kind.is_empty() && read.kind.chars().all(is_atom);
        let is_address = match read.is_utf8() {
            true => !read.address.is_empty() && !read.address.contains(char::is_control),
            false => is_plain(&read.address),
        };
        if !valid || !is_address || read.parameter().len() > MAX_ORCPT {
            return Err(format!(
                "found {text:?}, expected a type and an address in printable ASCII, such as \"rfc822;Alice@Example.test\"; beyond \
                 ASCII with the type utf-8"
            ));
        }
        Ok(read)
    }
}

/// What is asked of notifications about one recipient.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecipientRequest {
    /// Of what there shall be one; `None`: of what a server holds for right, which are failures.
    pub notify: Option<Notify>,
    /// Whom the author wrote to; `None`: nothing is said of that.
    pub original: Option<OriginalRecipient>,
}

/// What is asked of notifications about a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DsnRequest {
    /// How much of the message they return.
    pub ret: Option<Ret>,
    /// The author's own name for the message (ENVID, RFC 3461 section 4.4), not encoded.
    pub envelope_id: Option<Arc<str>>,
    /// For each recipient, in the order of the message.
    pub recipients: Vec<RecipientRequest>,
}

impl RecipientRequest {
    /// What follows the recipient in RCPT, a space before each; beyond ASCII where the server takes that.
    pub(crate) fn parameters(&self, beyond_ascii: bool) -> String {
        let notify = self.notify.as_ref();
        let notify = notify.map(|notify| format!(" NOTIFY={notify}"));
        let original = self.original.as_ref();
        let original = original.map(|one| format!(" ORCPT={}", one.parameter_in(beyond_ascii)));
        notify.into_iter().chain(original).collect()
    }

    /// The same, and a notification of a delay as well, unless there are to be none.
    ///
    /// So asks who hands a message that may get late to a server that does not know DELIVERBY (RFC 2852 section 4.1.4.2).
    pub(crate) fn with_delay(self) -> Self {
        let notify = match self.notify {
            Some(Notify::Never) => Notify::Never,
            Some(Notify::Of(mut occasions)) => {
                occasions.insert(Occasion::Delay);
                Notify::Of(occasions)
            }
            None => Notify::Of([Occasion::Failure, Occasion::Delay].into()),
        };
        Self {
            notify: Some(notify),
            ..self
        }
    }
}

impl DsnRequest {
    /// Whether nothing is asked.
    pub(crate) fn is_empty(&self) -> bool {
        let nothing = RecipientRequest::default();
        self.ret.is_none()
            && self.envelope_id.is_none()
            && self.recipients.iter().all(|one| *one == nothing)
    }
}

impl Message {
    /// What is asked of notifications about one of its recipients; nothing of somebody else.
    pub fn request_of(&self, recipient: &Mailbox) -> RecipientRequest {
        let asked = self.dsn.as_ref().map(|dsn| dsn.recipients.iter());
        let mut asked = self.to.iter().zip(asked.into_iter().flatten());
        let found = asked.find(|(to, _)| *to == recipient);
        found.map_or_else(RecipientRequest::default, |(_, asked)| asked.clone())
    }

    /// Whether a notification about a recipient is wanted. Where nothing is asked, one of a failure is (RFC
    /// 3461 section 4.1).
    pub fn wants(&self, recipient: &Mailbox, occasion: Occasion) -> bool {
        match self.request_of(recipient).notify {
            Some(notify) => notify.wants(occasion),
            None => occasion == Occasion::Failure,
        }
    }

    /// What follows the reverse-path in MAIL to a server that offers DSN, a space before each.
    pub fn mail_parameters(&self) -> String {
        let Some(dsn) = &self.dsn else {
            return String::new();
        };
        let ret = dsn
            .ret
            .map(|ret| format!(" RET={}", ret.word().to_ascii_uppercase()));
        let id = dsn.envelope_id.as_ref();
        let id = id.map(|id| format!(" ENVID={}", xtext(id)));
        ret.into_iter().chain(id).collect()
    }

    /// What follows a recipient in RCPT to a server that offers DSN, a space before each.
    pub fn rcpt_parameters(&self, recipient: &Mailbox) -> String {
        self.request_of(recipient).parameters(false)
    }
}

/// Reads the author's own name for a message.
pub(crate) fn envelope_id(text: &str) -> Result<Arc<str>, String> {
    if is_plain(text) && xtext(text).len() <= MAX_ENVID {
        return Ok(text.into());
    }
    Err(format!(
        "found {text:?}, expected an envelope id of printable ASCII, 1 to {MAX_ENVID} octets as it is encoded"
    ))
}

/// Reads a word of NOTIFY; `None` is NEVER.
pub(crate) fn occasion(text: &str) -> Result<Option<Occasion>, String> {
    if text == Notify::NEVER {
        return Ok(None);
    }
    let words = ["success", "failure", "delay", Notify::NEVER];
    let found = Occasion::named(text).map(Some);
    found.ok_or_else(|| not_allowed(text, "what to notify of", &words))
}

/// Whether a type of address is that of RFC 6533 section 3.
pub(crate) fn is_utf8(kind: &str) -> bool {
    kind.trim().eq_ignore_ascii_case("utf-8")
}

/// Whether a text is printable ASCII, and some.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_original_recipient_is_encoded_by_its_type() {
        let original = |text: &str| text.parse::<OriginalRecipient>().expect("one");
        let parameter = |text: &str| original(text).parameter();
        assert_eq!(parameter("rfc822;a+b@c.test"), "rfc822;a+2Bb@c.test");
        assert_eq!(parameter("utf-8;a+b@c.test"), "utf-8;a\\x{2B}b@c.test");
        assert_eq!(parameter("UTF-8;m\u{fc}@c.test"), "UTF-8;m\\x{FC}@c.test");
        let native = original("utf-8;m\u{fc}+b@c.test").parameter_in(true);
        assert_eq!(native, "utf-8;m\u{fc}\\x{2B}b@c.test");
        let one = original("utf-8;m\u{fc}+b@c.test");
        for value in [
            "utf-8;m\\x{FC}\\x{2B}b@c.test",
            "UTF-8;m\u{fc}\\x{2B}b@c.test",
        ] {
            let read = OriginalRecipient::of_parameter(value).expect("one");
            assert!(one.is(&read), "{value}");
            assert!(one.is_in_field(&value.replace(';', "; ")), "{value}");
        }
        assert!(!one.is_in_field("rfc822;m\u{fc}+b@c.test"));
        for wrong in ["rfc822;m\u{fc}@c.test", "utf-8;", "utf-8;a\u{7}"] {
            assert!(wrong.parse::<OriginalRecipient>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn order_and_case_of_notify_mean_nothing() {
        let one = Notify::of_parameter("Delay,SUCCESS");
        assert_eq!(one, Notify::of_parameter("SUCCESS,DELAY"));
        assert_eq!(one.expect("some").to_string(), "SUCCESS,DELAY");
        assert_eq!(Notify::of_parameter("never"), Some(Notify::Never));
        assert_eq!(Notify::of_parameter("NEVER,DELAY"), None);
    }
}
