//! Lines of notifications that arrive at the lab's own domain for senders, with and without a report.

use mxdrill::{
    event::{EventKind, NotificationReport, ReportedRecipient, Returned, SessionId},
    fault::Stage,
    mail::Action,
    reply::Status,
};

use super::WrittenLog;

impl WrittenLog<'_> {
    /// A notification that arrives at the lab's own domain for senders.
    pub(super) fn returns(&mut self, id: &str, status: Option<&str>) {
        let notification = format!("{id}.bounce.1");
        self.tries(
            &notification,
            "bounces.sender.test[198.51.100.25]",
            &["accepted"],
        );
        let status: Option<Status> = status.map(|status| status.parse().expect("a status"));
        let taken = self.events.iter_mut().rev();
        let mut taken = taken.filter_map(|event| match &mut event.kind {
            EventKind::Taken { about, status, .. } => Some((about, status)),
            _ => None,
        });
        let (about, given) = taken.next().expect("it was taken");
        (*about, *given) = (Some(id.into()), status);
    }

    /// A notification with a report, by its fields.
    pub(super) fn notifies(&mut self, id: &str, words: &[&str]) {
        let mut tried: Vec<&str> = words.to_vec();
        tried.retain(|word| word.starts_with('+') || word.starts_with("offers="));
        let notification = format!("{id}.bounce.1");
        let host = "bounces.sender.test[198.51.100.25]";
        self.tries(&notification, host, &[&tried[..], &["accepted"]].concat());
        let mut group = ReportedRecipient::default();
        let mut report = NotificationReport::default();
        (report.multipart_report, report.to) = (true, vec!["sender@sender.test".to_owned()]);
        let mut envelope = ("", "sender@sender.test");
        for word in words.iter().filter(|word| !tried.contains(word)) {
            match word.split_once('=') {
                Some(("of", of)) => group.recipient = Some(of.to_owned()),
                Some(("action", action)) => group.action = Action::named(action),
                Some(("status", status)) => group.status = status.parse().ok(),
                Some(("remote", name)) => group.remote_mta = Some(format!("dns; {name}")),
                Some(("code", code)) => group.diagnostic = Some(format!("smtp; {code} no")),
                Some(("original", to)) => group.original_recipient = Some(to.to_owned()),
                Some(("envid", envid)) => report.envelope_id = Some(envid.to_owned()),
                Some(("returned", part)) => {
                    report.returned = Returned::named(part).expect("a part");
                }
                Some(("To", to)) => report.to = vec![to.to_owned()],
                Some(("from", from)) => envelope.0 = from,
                Some(("to", to)) => envelope.1 = to,
                None if *word == "plain" => report.multipart_report = false,
                None if *word == "until" => group.will_retry = true,
                _ => panic!("{word}"),
            }
        }
        let (given, why) = (group.action, group.status);
        report.recipients.push(group);
        // The last session is that of the notification.
        let session = SessionId(self.sessions);
        for event in self.events.iter_mut().rev() {
            match &mut event.kind {
                EventKind::Taken {
                    about,
                    action,
                    status,
                    report: said,
                    from,
                    to,
                    ..
                } if about.is_none() && said.is_none() => {
                    (*about, *action, *status) = (Some(id.into()), given, why);
                    *said = Some(Box::new(report.clone()));
                    (*from, *to) = (envelope.0.to_owned(), vec![envelope.1.to_owned()]);
                }
                EventKind::Reply {
                    session: of,
                    stage,
                    argument,
                    ..
                } if *of == session => match stage {
                    Stage::Mail => *argument = Some(envelope.0.to_owned()),
                    Stage::Rcpt => *argument = Some(envelope.1.to_owned()),
                    _ => {}
                },
                EventKind::Connect { .. } => break,
                _ => {}
            }
        }
    }
}
