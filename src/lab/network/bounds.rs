//! How much a lab serves at once, and the port that it has beside those of exchangers.

/// The port of the web servers of MTA-STS policies in a private network.
pub(in crate::lab) const HTTPS_PORT: u16 = 443;

/// Sessions that a lab serves at once; further connections are reset. It keeps a sender that opens
/// sessions without end from taking all memory, and is more than any drill needs.
pub(crate) const MAX_SESSIONS: usize = 10_000;

/// The trouble of a lab when there are more.
pub(in crate::lab) const TOO_MANY_SESSIONS: &str =
    "more sessions at once than a lab serves (10000)";
