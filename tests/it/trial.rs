//! A drill with a log written by hand, and what is found in it: as it is, and with one thing changed.

use mxdrill::verdict::SenderKind;

use crate::log::{SENDER, events, judged, lines, scenario};

/// Two exchangers, one preferred.
pub(crate) const ZONE: &str = "
$ORIGIN example.test.
@   MX 10 mx1
@   MX 20 mx2
mx1 A  192.0.2.1
mx2 A  192.0.2.2
www A  192.0.2.80
";

/// A drill and a log of it, as text.
#[derive(Clone, Copy)]
pub(crate) struct Trial<'a> {
    pub(crate) zone: &'a str,
    /// What else the drill says.
    pub(crate) rest: &'a str,
    pub(crate) log: &'a str,
    pub(crate) sender_kind: SenderKind,
}

/// A trial of one message through the two exchangers.
pub(crate) const ONE: Trial<'static> = Trial {
    zone: ZONE,
    rest: "sender = {}\nmessages = [{ id = 'm', to = 'a@example.test' }]",
    log: "",
    sender_kind: SENDER,
};

impl Trial<'_> {
    /// What is found, and what is noted.
    pub(crate) fn verdict(&self) -> (Vec<String>, Vec<String>) {
        let scenario = scenario(self.zone, self.rest);
        let events = events(&scenario, self.log);
        let verdict = judged(&scenario, &events, self.sender_kind);
        (lines(&verdict), verdict.notes)
    }

    /// The same with one thing changed, which stands in it once.
    pub(crate) fn with(&self, written: &str, instead: &str) -> (Vec<String>, Vec<String>) {
        let texts = [self.zone, self.rest, self.log];
        let count: usize = texts.iter().map(|text| text.matches(written).count()).sum();
        assert_eq!(count, 1, "{written} in {texts:?}");
        let [zone, rest, log] = texts.map(|text| text.replace(written, instead));
        let (zone, rest, log) = (&*zone, &*rest, &*log);
        Trial {
            zone,
            rest,
            log,
            ..*self
        }
        .verdict()
    }

    /// It breaks a rule and nothing else; with any of these changes it breaks none.
    pub(crate) fn breaks(&self, finding: &str, near: &[(&str, &str)]) {
        assert_eq!(self.verdict().0, [finding], "{}", self.log);
        for (written, instead) in near {
            let found = self.with(written, instead).0;
            assert_eq!(found, [""; 0], "{written} made {instead} in {}", self.log);
        }
    }

    /// It breaks a rule with any of these changes, too.
    pub(crate) fn also(&self, finding: &str, changes: &[(&str, &str)]) {
        for (written, instead) in changes {
            let found = self.with(written, instead).0;
            assert_eq!(found, [finding], "{written} made {instead} in {}", self.log);
        }
    }

    pub(crate) fn breaks_nothing(&self) {
        assert_eq!(self.verdict().0, [""; 0], "{}", self.log);
    }

    /// What is found with one thing changed, as the claims or the rules alone.
    pub(crate) fn found_with(&self, written: &str, instead: &str) -> String {
        let found = self.with(written, instead).0;
        let claims = found.iter().filter_map(|line| line.split(": ").next());
        let claims = claims.filter_map(|claim| Some(claim.split_once(' ')?.1));
        claims.collect::<Vec<_>>().join(", ")
    }
}
