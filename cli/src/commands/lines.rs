//! The JSON lines of drills that are played side by side: those of the drill whose turn it is are told as they
//! come; those of the others wait, in files where they are many.
//!
//! Their order must not depend on which drill is faster, and their number may be large: so the
//! lines of a drill whose turn has not come wait, in memory up to a bound, in a temporary file
//! beyond it.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    sync::{Arc, Condvar, Mutex},
};

use crate::parallel;
use mxdrill::{event::Event, recording, scenario::Scenario};

/// Octets that are handed over at a time: 64 KiB.
const PIECE: usize = 64 * 1024;
/// Octets of a drill that wait in memory, 256 KiB; more wait in a file.
const MOST_WAITING: usize = 256 * 1024;
/// By how many drills one may be ahead of the one whose turn it is: what came of it has to wait.
const MOST_AHEAD: usize = 256;

/// Which drill is told next, of those that are counted from 0.
#[derive(Default)]
pub(crate) struct NextDrill {
    next: Mutex<usize>,
    passed: Condvar,
}

impl NextDrill {
    /// The one whose turn it was has been told.
    pub(crate) fn pass(&self) {
        *parallel::lock(&self.next) += 1;
        self.passed.notify_all();
    }

    /// Waits until a drill would not be too far ahead.
    pub(crate) fn come_near(&self, index: usize) {
        let next = parallel::lock(&self.next);
        let far = |next: &mut usize| index > *next + MOST_AHEAD;
        drop(self.passed.wait_while(next, far));
    }

    fn is_of(&self, index: usize) -> bool {
        *parallel::lock(&self.next) == index
    }
}

/// When lines may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// As they come.
    AtOnce,
    /// Once the drill has ended: it may be played again, and what came of the first time is forgotten.
    AtTheEnd,
}

/// The lines of a drill that is being played.
pub(crate) struct Lines<T> {
    index: usize,
    turn: Arc<NextDrill>,
    when: When,
    rest: Rest,
    tell: T,
}

/// Lines that are still to be told.
#[derive(Default)]
pub(crate) struct Rest {
    file: Option<File>,
    waiting: Vec<u8>,
}

impl<T: FnMut(Vec<u8>)> Lines<T> {
    /// Those of a drill by its number; `tell` takes pieces when it is its turn.
    pub(crate) fn new(index: usize, turn: &Arc<NextDrill>, when: When, tell: T) -> Self {
        Self {
            index,
            turn: Arc::clone(turn),
            when,
            rest: Rest::default(),
            tell,
        }
    }

    /// Takes an event in.
    ///
    /// # Errors
    /// That the file cannot be written in which lines wait.
    pub(crate) fn see(&mut self, scenario: &Scenario, event: &Event) -> io::Result<()> {
        recording::write_event(&mut self.rest.waiting, scenario, event)?;
        if self.rest.waiting.len() < PIECE {
            return Ok(());
        }
        if self.when == When::AtOnce && self.turn.is_of(self.index) {
            let Rest { file, waiting } = std::mem::take(&mut self.rest);
            if let Some(file) = file {
                in_pieces(file, &mut self.tell)?;
            }
            (self.tell)(waiting);
            return Ok(());
        }
        self.rest.make_room()
    }

    /// Forgets what came so far: the drill is played again.
    pub(crate) fn forget(&mut self) {
        self.rest = Rest::default();
    }

    /// What has not been told when the drill has ended.
    pub(crate) fn finish(self) -> Rest {
        self.rest
    }
}

impl Rest {
    /// Moves what waits into a file, if it is much.
    fn make_room(&mut self) -> io::Result<()> {
        if self.waiting.len() < MOST_WAITING {
            return Ok(());
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile()?,
        };
        file.write_all(&self.waiting)?;
        self.waiting.clear();
        self.file = Some(file);
        Ok(())
    }

    /// Writes them out.
    ///
    /// # Errors
    /// That they cannot be written.
    pub(crate) fn write(self, out: &mut impl Write) -> io::Result<()> {
        if let Some(mut file) = self.file {
            file.rewind()?;
            io::copy(&mut file, out)?;
        }
        out.write_all(&self.waiting)
    }
}

/// Hands a file over, piece by piece.
fn in_pieces(mut file: File, tell: &mut impl FnMut(Vec<u8>)) -> io::Result<()> {
    file.rewind()?;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        Read::by_ref(&mut file)
            .take(PIECE as u64)
            .read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Ok(());
        }
        tell(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mxdrill::{event::EventKind, time::Moment};

    const EVENTS: usize = 5000;

    fn scenario() -> Scenario {
        Scenario::from_zone("example.test. 300 IN MX 10 mx1.example.test.").expect("valid")
    }

    fn event(number: usize) -> Event {
        Event {
            at: Moment::START,
            kind: EventKind::Changed {
                change: format!("{number} {}", "x".repeat(100)),
            },
        }
    }

    /// What is told before the end, and all in all, where its turn comes after so many events.
    fn told(when: When, turn_comes: usize) -> (usize, Vec<u8>) {
        let (turn, mut told) = (Arc::new(NextDrill::default()), Vec::new());
        let mut lines = Lines::new(1, &turn, when, |piece| told.extend(piece));
        for number in 0..EVENTS {
            if number == turn_comes {
                turn.pass();
            }
            lines.see(&scenario(), &event(number)).expect("kept");
            assert!(lines.rest.waiting.len() <= MOST_WAITING + PIECE);
        }
        let rest = lines.finish();
        let before = told.len();
        rest.write(&mut told).expect("memory takes it all");
        (before, told)
    }

    #[test]
    fn lines_are_told_in_their_order_however_early_the_turn_of_their_drill_comes() {
        let mut all = Vec::new();
        for number in 0..EVENTS {
            recording::write_event(&mut all, &scenario(), &event(number))
                .expect("memory takes it all");
        }
        assert!(all.len() > 3 * MOST_WAITING);
        for turn_comes in [0, 1, EVENTS / 2, EVENTS - 1000] {
            let (before, told) = told(When::AtOnce, turn_comes);
            assert!(before > all.len() - 2 * PIECE, "{before}");
            assert!(told == all, "{turn_comes}");
        }
        for (when, turn_comes) in [(When::AtOnce, EVENTS), (When::AtTheEnd, 0)] {
            let (before, told) = told(when, turn_comes);
            assert_eq!(before, 0);
            assert!(told == all, "{when:?}");
        }
    }
}
