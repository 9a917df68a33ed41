//! One session as far as it came: what was offered, said and answered in it.
//!
//! It is the state that the rules of `wire` are held against. Nothing of a message is in it; a transaction is open or
//! not, and that is all.
//!
//! Extensions are known from the reply to EHLO alone. Before it, after HELO and right after a handshake none is known,
//! which is an empty list; `None` is something else: a log that does not say, of which nothing can be held against a
//! client.

use std::{net::IpAddr, sync::Arc};

use crate::extension::{self, Extension};

/// A session as far as it came.
pub(super) struct Dialogue {
    pub(super) host: String,
    pub(super) address: IpAddr,
    /// Whether the sender says what the session is for, and so has the name that the scenario gives it.
    pub(super) is_told: bool,
    /// The extensions that the client knows to be there; `None` where the log does not tell.
    pub(super) offered: Option<Arc<[Extension]>>,
    pub(super) tls: bool,
    /// Whether EHLO or HELO was sent since the session began, or TLS did.
    pub(super) greeted: bool,
    /// Whether EHLO was sent at all.
    pub(super) said_ehlo: bool,
    /// Whether a transaction is open.
    pub(super) transaction: bool,
    /// Whether its MAIL asked for SMTPUTF8, and whether only a header can be the reason.
    pub(super) utf8: bool,
    pub(super) utf8_for_header: bool,
    /// Whether its MAIL said how large the message is.
    pub(super) size_said: bool,
    /// Whether DATA, and whether BDAT, was sent in it.
    pub(super) data: bool,
    pub(super) bdat: bool,
    /// Whether a chunk was refused in it, and the client could know before it sent another.
    pub(super) chunk_refused: bool,
    /// Whether the last thing that was answered is DATA, and not with 354.
    pub(super) data_refused: bool,
    /// Whether something came that was no reply.
    pub(super) is_broken: bool,
    /// Whether the receiver is so slow that the client may have left before what the log has last.
    pub(super) is_slow: bool,
    /// Whether something went wrong after which no QUIT can be expected, or it was sent.
    pub(super) no_quit_due: bool,
}

impl Dialogue {
    /// A session that was accepted: plain text, nothing said, nothing offered so far.
    pub(super) fn begun(host: String, address: IpAddr, is_told: bool) -> Self {
        Self {
            host,
            address,
            is_told,
            offered: Some(Arc::default()),
            tls: false,
            greeted: false,
            said_ehlo: false,
            transaction: false,
            utf8: false,
            utf8_for_header: false,
            size_said: false,
            data: false,
            bdat: false,
            chunk_refused: false,
            data_refused: false,
            is_broken: false,
            is_slow: false,
            no_quit_due: true,
        }
    }

    /// Takes in a handshake that came about. What was said and offered in plain text counts no more (RFC 3207
    /// section 4.2).
    pub(super) fn secured(&mut self) {
        self.tls = true;
        self.greeted = false;
        self.offered = Some(Arc::default());
        self.close_transaction();
        // A client that is not content with the certificate may close at once.
        self.no_quit_due = true;
    }

    /// Whether an extension was not offered, where that is known.
    pub(super) fn lacks(&self, keyword: &str) -> bool {
        let offered = self.offered.as_ref();
        offered.is_some_and(|offered| !extension::is_offered(offered, keyword))
    }

    pub(super) fn close_transaction(&mut self) {
        self.transaction = false;
        self.utf8 = false;
        self.utf8_for_header = false;
        self.size_said = false;
        self.data = false;
        self.bdat = false;
        self.chunk_refused = false;
    }
}
