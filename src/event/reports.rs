//! What notifications say, as a log has it.

use serde::{Deserialize, Serialize};

use super::is_false;
use crate::{
    mail::{Action, Returned},
    reply::Status,
};

/// A notification as it was read (RFC 3464): what a program can learn from it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NotificationReport {
    /// Whether it is a `multipart/report` of type `delivery-status` (RFC 6522).
    #[serde(default, skip_serializing_if = "is_false")]
    pub multipart_report: bool,
    /// The mailboxes of its To field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// The Original-Envelope-Id (RFC 3464 section 2.2.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope_id: Option<String>,
    /// The Reporting-MTA (section 2.2.2), such as `dns; mail.sender.test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporting_mta: Option<String>,
    /// What is said of each recipient; empty without a part for programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<ReportedRecipient>,
    /// How much of the message came back.
    pub returned: Returned,
}

impl NotificationReport {
    /// Whether it may be a warning all the same where it says that the time of a message is over: so it is if the message is
    /// tried again.
    pub(crate) fn may_warn(&self) -> bool {
        let mut recipients = self.recipients.iter();
        recipients.any(|one| one.action == Some(Action::Delayed))
    }
}

/// What a notification says of one recipient (RFC 3464 section 2.3): fields as they stand there, unfolded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReportedRecipient {
    /// The address of the Final-Recipient, without its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The Original-Recipient, such as `rfc822;Alice@example.test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_recipient: Option<String>,
    /// The Action; `None` if it is missing or none of the five.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The Status; `None` if it is missing or malformed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The Remote-MTA, such as `dns; mx1.example.test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_mta: Option<String>,
    /// The Diagnostic-Code, such as `smtp; 550 5.1.1 no such user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostic: Option<String>,
    /// Whether it says until when the message is tried (Will-Retry-Until).
    #[serde(default, skip_serializing_if = "is_false")]
    pub will_retry: bool,
}

impl ReportedRecipient {
    /// What became of the recipient. A warning that a message waits is no end of it (RFC 3464 section 2.3.3); one that its
    /// time is over (x.4.7) is, whatever its action says, unless it is still to be tried. (It is the status of one about a
    /// message that is late, too: RFC 2852 section 4.1.3.)
    pub(crate) fn what_became(&self) -> Option<Action> {
        let is_over = self.status.is_some_and(Status::is_expired) && !self.will_retry;
        match self.action {
            Some(Action::Delayed) if is_over => Some(Action::Failed),
            action => action,
        }
    }

    /// The name in the Remote-MTA, without its type.
    pub fn remote_name(&self) -> Option<&str> {
        let field = self.remote_mta.as_deref()?;
        let name = field.split_once(';').map_or(field, |(_, name)| name);
        // A comment may follow it.
        name.split_whitespace().next()
    }

    /// The text of the Diagnostic-Code, without its type.
    pub fn diagnostic_text(&self) -> Option<&str> {
        let field = self.diagnostic.as_deref()?;
        Some(field.split_once(';').map_or(field, |(_, text)| text).trim())
    }
}
