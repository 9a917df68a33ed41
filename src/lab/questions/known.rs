//! Answers that were given before: to the same octets, from the same zone, the same octets are the answer, and the log
//! has the same event.
//!
//! A client that starts a thousand deliveries asks for the same few names again and again. Only what came of the zone
//! alone is kept: while there is a fault that may strike questions, every one of them is its affair.

use std::{collections::HashMap, sync::Arc};

use super::super::LabState;
use crate::{event::EventKind, zone::History};

/// Questions whose answers are kept. When there are more, all are forgotten.
const MOST: usize = 4096;
/// Octets of a message's id, which is all that two askers of the same differ in.
const ID: usize = 2;

/// The answers of a zone.
#[derive(Default)]
pub(super) struct KnownAnswers {
    /// The zones that they came of, and which of them.
    zones: Option<(Arc<History>, usize)>,
    /// By the question without its id: the answer without it, and the event.
    answers: HashMap<Box<[u8]>, (Vec<u8>, EventKind)>,
}

/// What is known of a question.
pub(super) enum Known {
    /// The answer, which is logged.
    Answer(Vec<u8>),
    /// Nothing: the answer is to be kept under this key ([`KnownAnswers::keep`]).
    Nothing(Box<[u8]>),
    /// It is not the time to keep any.
    Unkept,
}

impl KnownAnswers {
    /// What is known of a question at this moment.
    pub(super) fn look_up(&mut self, state: &LabState, question: &[u8]) -> Known {
        let Some((id, asked)) = question.split_at_checked(ID) else {
            return Known::Unkept;
        };
        // First the faults, as of a question that is new: none is told both that a fault is over and of a zone before that.
        if state.faults().strike_queries() {
            return Known::Unkept;
        }
        self.turn_to(state.zones(), state);
        let Some((answer, event)) = self.answers.get(asked) else {
            return Known::Nothing(asked.into());
        };
        if let EventKind::Query { name, answer, .. } = event {
            tracing::debug!(%name, %answer, "answered a query again");
        }
        state.record(event.clone());
        Known::Answer([id, answer].concat())
    }

    /// Forgets the answers of other zones.
    fn turn_to(&mut self, zones: Arc<History>, state: &LabState) {
        let version = zones.version(state.clock.now());
        let are_these =
            |(known, of): &(Arc<History>, usize)| Arc::ptr_eq(known, &zones) && *of == version;
        if !self.zones.as_ref().is_some_and(are_these) {
            self.answers.clear();
            self.zones = Some((zones, version));
        }
    }

    /// Keeps the answer to a question, and what the log has of it.
    pub(super) fn keep(&mut self, asked: Box<[u8]>, answer: &[u8], event: EventKind) {
        // One may have been put up since.
        if !matches!(event, EventKind::Query { fault: None, .. }) {
            return;
        }
        if self.answers.len() == MOST {
            self.answers.clear();
        }
        if let Some(answer) = answer.get(ID..) {
            self.answers.insert(asked, (answer.to_vec(), event));
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::{
        op::{Message, MessageType, OpCode, Query},
        rr::{Name, RecordType},
    };

    use super::*;
    use crate::{
        fault::Transport,
        lab::{Lab, name_server::NameServer},
    };

    const ZONE: &str = "
example.test.      300 IN MX 10 mx1.example.test.
mx1.example.test.  300 IN A  192.0.2.1
";

    fn question(id: u16, name: &str) -> Vec<u8> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        let name = Name::from_ascii(name).expect("a name");
        message.add_query(Query::query(name, RecordType::MX));
        message.to_vec().expect("encoded")
    }

    /// What a question is answered with, and whether that was known.
    async fn ask(lab: &Lab, known: &mut KnownAnswers, question: &[u8]) -> (Vec<u8>, bool) {
        let asked = match known.look_up(lab.state(), question) {
            Known::Answer(answer) => return (answer, true),
            Known::Nothing(asked) => Some(asked),
            Known::Unkept => None,
        };
        let server = NameServer::new(Arc::clone(lab.state()));
        let told = server.answer_and_tell(question.to_vec(), Transport::Udp);
        let (answer, told) = told.await.expect("an answer");
        if let Some((asked, event)) = asked.zip(told) {
            known.keep(asked, &answer, event);
        }
        (answer, false)
    }

    #[tokio::test]
    async fn a_question_is_known_by_its_octets_as_long_as_zone_and_faults_are_the_same() {
        let lab = Lab::from_zone(ZONE).await.expect("a lab");
        let known = &mut KnownAnswers::default();
        let (first, other) = (question(1, "example.test."), question(2, "example.test."));
        let (answer, was_known) = ask(&lab, known, &first).await;
        assert!(!was_known);
        let (again, was_known) = ask(&lab, known, &other).await;
        assert!(was_known);
        assert_eq!((&again[..ID], &again[ID..]), (&other[..ID], &answer[ID..]));
        // The log has both, and no difference between them but the moment.
        let kinds: Vec<_> = lab.events().into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds.len(), 2);
        assert_eq!(kinds[0], kinds[1]);
        // Who writes the name otherwise has it back so.
        let (shouted, was_known) = ask(&lab, known, &question(3, "EXAMPLE.test.")).await;
        assert!(!was_known && shouted[ID..] != answer[ID..]);

        // One about another name, even.
        let fault = lab.fail_query("other.test MX", "servfail");
        let fault = fault.expect("a fault");
        assert_eq!(ask(&lab, known, &first).await, (answer.clone(), false));
        assert_eq!(ask(&lab, known, &first).await, (answer.clone(), false));
        drop(fault);
        assert_eq!(ask(&lab, known, &first).await, (answer.clone(), true));

        let change = lab.update(&[], "example.test. 300 IN MX 20 mx1.example.test.");
        change.expect("a change");
        let (changed, was_known) = ask(&lab, known, &first).await;
        assert!(!was_known && changed != answer);
        assert_eq!(ask(&lab, known, &first).await, (changed, true));
    }

    #[tokio::test]
    async fn no_more_than_so_many_are_kept() {
        let lab = Lab::from_zone(ZONE).await.expect("a lab");
        let known = &mut KnownAnswers::default();
        for number in 0..=MOST {
            let name = format!("{number}.example.test.");
            ask(&lab, known, &question(1, &name)).await;
        }
        assert_eq!(known.answers.len(), 1);
    }
}
