//! What stands for more than itself: `$INCLUDE`, the entries of another file, and `$GENERATE`, records of one
//! pattern.
//!
//! Both may multiply what a few lines ask for, so both are bounded, and mistakes are told at the
//! line that asked.

use std::{ops::Range, sync::Arc};

use hickory_proto::rr::Name;

use super::{
    super::{
        entries::{Entries, ZoneEntry, ZoneMistake},
        generate::Range as Steps,
        words::Manner,
    },
    Context, Frame, LineCounter,
};

/// Files within files: a bound that ends a file which includes itself.
const MAX_DEPTH: usize = 8;
/// Records that `$GENERATE` may make in one text: 65536, the addresses of an IPv4 network of 16
/// bits.
const MAX_GENERATED: usize = 65_536;
/// Files that `$INCLUDE` may bring in, and the octets in all of them together: as many as one file
/// may have.
const MAX_INCLUDES: usize = 1000;
const MAX_INCLUDED: usize = 256 << 20;

impl Context<'_> {
    /// Reads a file in the place of an entry; origin and owner are afterwards what they were before.
    pub(super) fn include(
        &mut self,
        frame: &Frame<'_>,
        file: &Range<usize>,
        origin: Option<Name>,
    ) -> Result<(), ZoneMistake> {
        let name = frame.token(file).trim_matches('"');
        let wrong = |message: String| ZoneMistake {
            offset: file.start,
            message,
            elsewhere: None,
        };
        let Some(find) = self.include else {
            let message = format!("found $INCLUDE of {name:?}, expected the records themselves");
            return Err(wrong(message));
        };
        if frame.depth >= MAX_DEPTH {
            let message = format!("found $INCLUDE within {MAX_DEPTH} others, expected fewer");
            return Err(wrong(message));
        }
        let included = find(name)
            .map_err(|reason| wrong(format!("found $INCLUDE of {name:?}, which {reason}")))?;
        self.included += included.text.len();
        self.includes += 1;
        if self.included > MAX_INCLUDED || self.includes > MAX_INCLUDES {
            let message = format!(
                "found more than {MAX_INCLUDES} included files or {MAX_INCLUDED} octets in them, expected fewer"
            );
            return Err(wrong(message));
        }
        let outermost = frame
            .included
            .as_ref()
            .map_or(file.start, |(_, offset)| *offset);
        let inner = Frame {
            text: &included.text,
            manner: Manner {
                is_latin: included.is_latin,
                ..frame.manner
            },
            included: Some((included.path.as_str().into(), outermost)),
            depth: frame.depth + 1,
        };
        let before = (self.origin.clone(), self.owner.clone());
        let was_zone = std::mem::take(&mut self.is_zone);
        let mistakes = self.mistakes.len();
        self.origin = origin.map(Arc::new).or_else(|| self.origin.take());
        self.read_all(&inner);
        (self.origin, self.owner) = before;
        // Nothing is quoted of somebody else's file that is no zone file, and one line of one that is.
        if !included.is_own && self.mistakes.len() > mistakes {
            let first = self.mistakes.swap_remove(mistakes);
            self.mistakes.truncate(mistakes);
            self.mistakes.push(first.without_quotes(!self.is_zone));
        }
        self.is_zone |= was_zone;
        Ok(())
    }

    /// The records of `$GENERATE RANGE OWNER [TTL] [CLASS] TYPE DATA`, as BIND makes them.
    pub(super) fn generate(
        &mut self,
        frame: &Frame<'_>,
        entry: &ZoneEntry,
    ) -> Result<(), ZoneMistake> {
        let at = |range: &Range<usize>, message: String| ZoneMistake {
            offset: range.start,
            message,
            elsewhere: None,
        };
        let [first, range, columns @ ..] = &entry.tokens[..] else {
            unreachable!("a directive with an argument")
        };
        let steps: Steps = frame.token(range).parse().map_err(|why| at(range, why))?;
        let room = MAX_GENERATED - self.generated;
        if steps.count() > room {
            let message = format!(
                "found $GENERATE of {} records, expected {MAX_GENERATED} at most in a file",
                steps.count()
            );
            return Err(at(first, message));
        }
        self.generated += steps.count();
        let owner = self.owner.clone();
        let template = columns.iter().enumerate().map(|(index, column)| {
            let token = frame.token(column);
            // Data of several words may be quoted as one.
            let is_data = index > 1 && index + 1 == columns.len();
            let quoted = token
                .strip_prefix('"')
                .and_then(|token| token.strip_suffix('"'));
            quoted
                .filter(|_| is_data)
                .map_or(token.to_owned(), |data| data.replace("\\\"", "\""))
        });
        let template = template.collect::<Vec<_>>().join(" ");
        let mut made_entry = ZoneEntry::default();
        for value in steps {
            let line = steps
                .filled(&template, value)
                .map_err(|why| at(first, why))?;
            let made = Frame {
                text: &line,
                manner: frame.manner,
                included: None,
                depth: frame.depth,
            };
            let mut mistakes = Vec::new();
            let is_there = Entries::of(&line).next(&mut made_entry, &mut mistakes);
            let read = match mistakes.pop() {
                Some(mistake) => Err(mistake),
                None if is_there => self.record(&made, &made_entry),
                None => Ok(None),
            };
            let record = read.map_err(|mistake| {
                at(
                    first,
                    format!("{} (made by $GENERATE: {line:?})", mistake.message),
                )
            })?;
            let mut lines = LineCounter::default();
            if let Some(record) = record {
                self.take(frame.entered(record, first.start, &mut lines));
            }
        }
        self.owner = owner;
        Ok(())
    }
}

impl ZoneMistake {
    /// This mistake, told without the words of the file.
    fn without_quotes(mut self, wanted: bool) -> Self {
        if wanted {
            let message = "found no record in this file, expected a zone file";
            message.clone_into(&mut self.message);
            if let Some(elsewhere) = &mut self.elsewhere {
                message.clone_into(&mut elsewhere.message);
            }
        }
        self
    }
}
