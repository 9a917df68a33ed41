//! The ports at which mail servers are reached.

/// Where exchangers take mail (RFC 5321 section 4.5.4.2).
pub(crate) const SMTP: u16 = 25;
/// Where messages are submitted, inside TLS from the first octet (RFC 8314 section 7.3).
pub(crate) const SUBMISSIONS: u16 = 465;
/// Where messages are submitted, with STARTTLS (RFC 6409 section 3.1).
pub(crate) const SUBMISSION: u16 = 587;

/// The port of a log that names none.
pub(crate) fn smtp() -> u16 {
    SMTP
}

/// Whether a log leaves a port out.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks with a reference"
)]
pub(crate) fn is_smtp(port: &u16) -> bool {
    *port == SMTP
}
