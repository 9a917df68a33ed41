//! What becomes of recipients after an attempt: delivered, failed, or left for the next candidate or pass.
//!
//! Whatever takes a recipient out of an entry says so in the log once, and adds it to what the next notification
//! tells, if its author wants to know (RFC 3461 section 4.1).

use super::DeliveryAgent;
use crate::{
    extension::{self, Extension},
    mail::{ByMode, DELIVERBY, DeliverBy, Mailbox, Notify, Occasion},
    name::Domain,
    outcome::Outcome,
    reply::Status,
    sender::{
        Flaw,
        content::{Reported, Server, Told},
        queue_entry::QueueEntry,
        report,
        smtp_client::{Reason, RecipientResult},
    },
};

impl DeliveryAgent {
    /// Takes the recipients that are settled out of the entry.
    ///
    /// Those that are deferred stay, in their order, for the next candidate. The reasons of later
    /// candidates overwrite those of earlier ones: what the last host said is what the sender is
    /// told.
    pub(super) fn settle(
        &self,
        entry: &mut QueueEntry,
        results: Vec<RecipientResult>,
        exchanger: &Domain,
        offered: &[Extension],
    ) {
        // Results are in the order of the envelope, which is that of the entry.
        let recipients = std::mem::take(&mut entry.to);
        for (recipient, result) in recipients.into_iter().zip(results) {
            match result {
                RecipientResult::Delivered => {
                    report(
                        &self.state,
                        &entry.message.id,
                        &recipient,
                        Outcome::Delivered,
                        None,
                        "",
                    );
                    self.relayed(entry, recipient, exchanger, offered);
                }
                RecipientResult::Failed(reason)
                    if matches!(
                        self.flaw,
                        Some(Flaw::IgnoresPermanent | Flaw::PermanentIsTransient)
                    ) =>
                {
                    entry.last = Some(reason);
                    entry.to.push(recipient);
                }
                RecipientResult::Failed(reason) => {
                    let server = Server::that_said(exchanger, &reason);
                    self.fail(entry, recipient, reason, server);
                }
                RecipientResult::Deferred(reason) | RecipientResult::HostRefuses(reason) => {
                    entry.last_server = Server::that_said(exchanger, &reason);
                    entry.last = Some(reason);
                    entry.to.push(recipient);
                }
            }
        }
    }

    /// Reports a recipient as bounced, and notes it for the notification that ends the step.
    fn fail(
        &self,
        entry: &mut QueueEntry,
        recipient: Mailbox,
        reason: Reason,
        server: Option<Server>,
    ) {
        report(
            &self.state,
            &entry.message.id,
            &recipient,
            Outcome::Bounced,
            Some(reason.status),
            &reason.text,
        );
        // Who asked not to be told of failures is not (RFC 3461 section 5.2.6).
        if self.flaw == Some(Flaw::IgnoresNever)
            || entry.message.wants(&recipient, Occasion::Failure)
        {
            entry.reported.push(Reported {
                recipient,
                told: Told::Failed,
                reason,
                server,
            });
        }
    }

    /// Notes a recipient whose author is to be told that the message went on, since nobody further on will tell what was
    /// asked: of success, where DSN is not offered (RFC 3461 section 5.2.2(b)); that it is late, where DELIVERBY is not
    /// (RFC 2852 section 4.1.4.2). Or since each relay was asked for (section 4.1.4).
    fn relayed(
        &self,
        entry: &mut QueueEntry,
        recipient: Mailbox,
        exchanger: &Domain,
        offered: &[Extension],
    ) {
        let offers = |keyword: &str| extension::is_offered(offered, keyword);
        let message = &entry.message;
        let is_silent = message.request_of(&recipient).notify == Some(Notify::Never);
        let by = message.deliver_by.filter(|_| !is_silent);
        // Once it is late and that was told, there is nothing more to tell.
        let may_be_late_unseen =
            |by: &DeliverBy| by.mode == ByMode::Notify && !offers(DELIVERBY) && !entry.told_late;
        let mut told = entry.reported.iter();
        let is_told_of = told.any(|one| one.recipient == recipient);
        let why = if message.wants(&recipient, Occasion::Success) && !offers("DSN") {
            "which sends no notifications of success"
        } else if by.as_ref().is_some_and(may_be_late_unseen) {
            "which does not know until when it is to arrive"
        } else if by.is_some_and(|by| by.trace) && !is_told_of {
            "as is to be told of each relay"
        } else {
            return;
        };
        entry.reported.push(Reported {
            recipient,
            told: Told::Relayed,
            reason: Reason {
                status: Status(2, 0, 0),
                text: format!("relayed to {exchanger}, {why}"),
            },
            server: Some(Server {
                name: exchanger.clone(),
                said: None,
            }),
        });
    }

    /// Gives up all recipients that are left, for one reason.
    pub(in crate::sender) fn fail_rest(
        &self,
        entry: &mut QueueEntry,
        reason: Reason,
        server: Option<Server>,
    ) {
        for recipient in std::mem::take(&mut entry.to) {
            self.fail(entry, recipient, reason.clone(), server.clone());
        }
    }

    /// Reports the recipients that are left as deferred: once after each pass, and for a message
    /// that is due only after the drill's stop.
    pub(in crate::sender) fn say_deferred(&self, entry: &QueueEntry) {
        let reason = entry.last.as_ref();
        for recipient in &entry.to {
            let text = reason.map_or("", |reason| &reason.text);
            report(
                &self.state,
                &entry.message.id,
                recipient,
                Outcome::Deferred,
                reason.map(|reason| reason.status),
                text,
            );
        }
    }
}
