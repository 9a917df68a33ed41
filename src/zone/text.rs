//! Zone-file text (RFC 1035 section 5.1) into records, with the place of every mistake.
//!
//! Owns the order of entries: directives, owners, TTLs, and what one entry means for the next. The words
//! of an entry are [`Words`]'s, its type [`kinds`]'s, the data of a record [`data`]'s.
//!
//! There are two ways to read. A scenario's own text is read to the letter. A file that was
//! exported somewhere is read as far as what it says about mail is clear: types of no interest are
//! passed over, and what some exports are known to write is understood.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use hickory_proto::rr::{Name, RData, Record};

mod expand;

pub(crate) use super::entries::ZoneMistake;
use super::{
    data,
    entries::{Entries, MAX_MISTAKES, ZoneEntry},
    kinds::{self, RecordKind},
    words::{Manner, Words, ttl},
};
use crate::{
    diagnostic::{Mistake, nearest, not_allowed},
    name::Domain,
};

/// TTL in seconds of a record that states none and follows neither `$TTL` nor an SOA.
const DEFAULT_TTL: u32 = 300;
/// Records that a text may have: more take more memory than a look at mail domains is worth.
const MAX_RECORDS: usize = 1_000_000;

/// How a zone file is to be read.
pub(crate) struct Reading<'a> {
    /// What relative names are completed by until the file says so; without it they are mistakes.
    pub(crate) origin: Option<Name>,
    /// Whether each character stands for an octet of the file, which was not UTF-8.
    pub(crate) is_latin: bool,
    /// How `$INCLUDE` finds a file.
    pub(crate) include: Option<&'a Include<'a>>,
}

/// Finds the file that an `$INCLUDE` names.
pub(crate) type Include<'a> = dyn Fn(&str) -> Result<Included, String> + 'a;

/// A file that another includes.
pub(crate) struct Included {
    /// Its path as it is shown.
    pub(crate) path: String,
    /// The text of the file.
    pub(crate) text: String,
    /// Whether it was not UTF-8, as in [`Reading::is_latin`].
    pub(crate) is_latin: bool,
    /// Whether it is part of the file that the user named, so that all that is wrong in it is quoted.
    pub(crate) is_own: bool,
}

/// A record, and where it was written.
#[derive(Debug)]
#[cfg_attr(
    not(feature = "records"),
    expect(dead_code, reason = "files of records are read")
)]
pub(crate) struct Entered {
    pub(crate) record: Record,
    /// Its offset in the text.
    pub(crate) offset: usize,
    /// Its file and line, if in an included file.
    pub(crate) included: Option<(Arc<str>, usize)>,
}

/// Takes the records that mean something to mail as they are read, so that a million of them are not held twice;
/// or says why one of them cannot be taken. What was taken of a text with mistakes is of no use.
pub(crate) type Take<'a> = dyn FnMut(Entered) -> Result<(), String> + 'a;

/// A zone file of somebody else's, whose records were taken.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// How many records were taken.
    pub(crate) records: usize,
    /// The others, by owner and type.
    pub(crate) others: Vec<(Domain, String)>,
    /// How many records were taken for which nothing states a TTL.
    assumed_ttls: usize,
}

impl Written {
    /// That a TTL was assumed, where nothing states one.
    #[cfg(feature = "records")]
    pub(crate) fn assumed(&self, path: &str) -> Option<String> {
        let have = match self.assumed_ttls {
            0 => return None,
            1 => "one record has".to_owned(),
            count => format!("{count} records have"),
        };
        Some(format!(
            "{path}: {have} no TTL, and neither a $TTL nor an SOA record before states one: {DEFAULT_TTL} s are assumed"
        ))
    }

    /// Which types were passed over, but for those that every zone file has.
    pub(crate) fn note(&self, path: &str) -> Option<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, kind) in &self.others {
            if !kinds::is_well_known(kind) {
                *counts.entry(kind).or_default() += 1;
            }
        }
        let counts = counts
            .into_iter()
            .map(|(kind, count)| format!("{count} {kind}"));
        let counts = counts.collect::<Vec<_>>().join(", ");
        (!counts.is_empty()).then(|| {
            format!("{path}: records of types that mean nothing to mail are passed over: {counts}")
        })
    }
}

/// What is wrong in a text.
#[derive(Debug)]
pub(crate) struct Misread {
    pub(crate) mistakes: Vec<ZoneMistake>,
    /// Whether it is a zone file at all: some record of it can be read.
    pub(crate) is_zone: bool,
}

/// All records of a scenario's own zone text in its order, or the mistakes in it.
pub(crate) fn parse(text: &str) -> Result<Vec<Record>, Vec<ZoneMistake>> {
    parse_including(text, None)
}

/// As [`parse`], with a way to find the files that the text includes.
pub(crate) fn parse_including(
    text: &str,
    include: Option<&Include<'_>>,
) -> Result<Vec<Record>, Vec<ZoneMistake>> {
    let reading = Reading {
        origin: Some(Name::root()),
        is_latin: false,
        include,
    };
    let mut records = Vec::new();
    let mut take = |entered: Entered| {
        records.push(entered.record);
        Ok(())
    };
    read(text, &reading, false, &mut take).map_err(|misread| misread.mistakes)?;
    Ok(records)
}

/// Reads a zone file as it is found elsewhere: types that mean nothing to mail are passed over, and a
/// record without a TTL has that of the one before it (RFC 1035 section 5.1).
pub(crate) fn parse_file(
    text: &str,
    reading: &Reading<'_>,
    take: &mut Take<'_>,
) -> Result<Written, Misread> {
    read(text, reading, true, take)
}

/// Reads a text, in one of the two ways.
fn read(
    text: &str,
    reading: &Reading<'_>,
    is_file: bool,
    take: &mut Take<'_>,
) -> Result<Written, Misread> {
    let manner = Manner {
        is_file,
        is_latin: reading.is_latin,
    };
    let mut context = Context {
        origin: reading.origin.clone().map(Arc::new),
        include: reading.include,
        take,
        ttl: None,
        owner: None,
        stated_ttl: None,
        generated: 0,
        includes: 0,
        included: 0,
        written: Written::default(),
        is_zone: false,
        mistakes: Vec::new(),
    };
    let frame = Frame {
        text,
        manner,
        included: None,
        depth: 0,
    };
    context.read_all(&frame);
    if context.mistakes.is_empty() {
        Ok(context.written)
    } else {
        Err(Misread {
            mistakes: context.mistakes,
            is_zone: context.is_zone,
        })
    }
}

/// A text that is being read.
struct Frame<'a> {
    text: &'a str,
    manner: Manner,
    /// Of an included file: its path, and the offset of the `$INCLUDE` in the outermost text.
    included: Option<(Arc<str>, usize)>,
    /// How many `$INCLUDE`s lead to it.
    depth: usize,
}

impl Frame<'_> {
    fn token(&self, range: &Range<usize>) -> &str {
        &self.text[range.clone()]
    }

    /// The mistake as the outermost text has it.
    fn placed(&self, mistake: ZoneMistake) -> ZoneMistake {
        match &self.included {
            Some((path, offset)) if mistake.elsewhere.is_none() => ZoneMistake {
                elsewhere: Some(Mistake::at(
                    path,
                    self.text,
                    mistake.offset,
                    mistake.message.clone(),
                )),
                offset: *offset,
                message: mistake.message,
            },
            _ => mistake,
        }
    }
}

/// What earlier entries mean for later ones.
struct Context<'a> {
    origin: Option<Arc<Name>>,
    include: Option<&'a Include<'a>>,
    take: &'a mut Take<'a>,
    /// What `$TTL` says, or the SOA in its place.
    ttl: Option<u32>,
    /// The owner of the last entry, which one without an owner inherits.
    owner: Option<Name>,
    /// The TTL that a record stated last.
    stated_ttl: Option<u32>,
    /// Records that `$GENERATE` has made so far.
    generated: usize,
    /// Files that were included, and their octets.
    includes: usize,
    included: usize,
    written: Written,
    /// Whether anything in it can only be of a zone file.
    is_zone: bool,
    mistakes: Vec<ZoneMistake>,
}

impl Context<'_> {
    /// Reads every entry of a text, until too much is wrong or there are too many records.
    fn read_all(&mut self, frame: &Frame<'_>) {
        let mut entries = Entries::of(frame.text);
        let mut line = LineCounter::default();
        let mut entry = ZoneEntry::default();
        loop {
            let before = self.mistakes.len();
            let is_there = entries.next(&mut entry, &mut self.mistakes);
            for mistake in self.mistakes.split_off(before) {
                self.mistakes.push(frame.placed(mistake));
            }
            if !is_there {
                break;
            }
            let offset = entry.tokens[0].start;
            let outcome = if frame.token(&entry.tokens[0]).starts_with('$') {
                self.directive(frame, &entry)
            } else {
                self.record(frame, &entry).map(|record| {
                    if let Some(record) = record {
                        self.take(frame.entered(record, offset, &mut line));
                    }
                })
            };
            if let Err(mistake) = outcome {
                self.mistakes.push(frame.placed(mistake));
            }
            if self.written.records + self.written.others.len() > MAX_RECORDS {
                self.mistakes.push(frame.placed(ZoneMistake {
                    offset,
                    message: format!("found more than {MAX_RECORDS} records, expected fewer"),
                    elsewhere: None,
                }));
                break;
            }
            if self.mistakes.len() >= MAX_MISTAKES {
                break;
            }
        }
    }

    /// Hands a record on, unless the text is of no use any more.
    fn take(&mut self, entered: Entered) {
        self.written.records += 1;
        if !self.mistakes.is_empty() {
            return;
        }
        let offset = entered.offset;
        if let Err(message) = (self.take)(entered) {
            self.mistakes.push(ZoneMistake {
                offset,
                message,
                elsewhere: None,
            });
        }
    }

    /// The record of an entry; nothing if its type is passed over.
    fn record(
        &mut self,
        frame: &Frame<'_>,
        entry: &ZoneEntry,
    ) -> Result<Option<Record>, ZoneMistake> {
        let origin = self.origin.clone();
        let words = Words {
            text: frame.text,
            origin: origin.as_deref(),
            manner: frame.manner,
        };
        let first = &entry.tokens[0];
        let owner = if entry.inherits_owner {
            self.owner.clone().ok_or_else(|| {
                words.at(
                    first,
                    "found no owner name, expected one: no record stands before this line",
                )
            })?
        } else {
            match bare_apex(&words, entry) {
                Some(apex) => apex,
                None => words.name(first)?,
            }
        };
        self.owner = Some(owner.clone());
        let start = usize::from(!entry.inherits_owner);
        let header = kinds::header(&words, entry, start)?;
        self.stated_ttl = header.ttl.or(self.stated_ttl);
        let tokens = &entry.tokens[header.data..];
        let record_type = match header.kind {
            RecordKind::Read(record_type) => record_type,
            RecordKind::Passed { name, is_known } => {
                self.is_zone |= is_known;
                self.written.others.push((Domain::from(&owner), name));
                return Ok(None);
            }
        };
        let data = match data::read(record_type, &words, tokens, entry.end()) {
            Ok(data) => data,
            // What means nothing to mail is no reason to refuse somebody's file.
            Err(_) if frame.manner.is_file && !kinds::is_of_mail(record_type) => {
                let others = &mut self.written.others;
                others.push((Domain::from(&owner), record_type.to_string()));
                return Ok(None);
            }
            Err(mistake) => return Err(mistake),
        };
        self.is_zone = true;
        let stated = self.stated_ttl.filter(|_| frame.manner.is_file);
        if let (RData::SOA(soa), None, None) = (&data, self.ttl, stated.or(header.ttl)) {
            // RFC 1035 section 3.3.13; RFC 2308 section 4 puts $TTL in its place, where there is one.
            self.ttl = Some(soa.minimum);
        }
        let ttl = header.ttl.or(self.ttl).or(stated);
        self.written.assumed_ttls += usize::from(ttl.is_none());
        let ttl = ttl.unwrap_or(DEFAULT_TTL);
        Ok(Some(Record::from_rdata(owner, ttl, data)))
    }

    /// Does what a directive says (RFC 1035 section 5.1; `$TTL` is of RFC 2308 section 4,
    /// `$GENERATE` of BIND).
    fn directive(&mut self, frame: &Frame<'_>, entry: &ZoneEntry) -> Result<(), ZoneMistake> {
        let origin = self.origin.clone();
        let words = Words {
            text: frame.text,
            origin: origin.as_deref(),
            manner: frame.manner,
        };
        let first = &entry.tokens[0];
        let word = words.token(first);
        let argument = |what: &str| {
            let missing = || {
                words.at(
                    first,
                    format!("found {word} alone, expected {what} after it"),
                )
            };
            entry.tokens.get(1).ok_or_else(missing)
        };
        match word.to_ascii_uppercase().as_str() {
            "$ORIGIN" => self.origin = Some(Arc::new(words.name(argument("a domain name")?)?)),
            "$TTL" => {
                let argument = argument("a number of seconds")?;
                self.ttl = Some(ttl(&words, argument)?);
            }
            "$INCLUDE" => {
                let file = argument("the name of a file")?;
                let origin = entry.tokens.get(2).map(|range| words.name(range));
                self.include(frame, file, origin.transpose()?)?;
            }
            "$GENERATE" => {
                argument("a range such as 1-9")?;
                self.generate(frame, entry)?;
            }
            // When a copy of the zone was made; signing programs leave it there.
            "$DATE" if frame.manner.is_file => {}
            other => {
                let known = ["$ORIGIN", "$TTL", "$INCLUDE", "$GENERATE"];
                return Err(words.at(first, not_allowed(other, "a directive", &known)));
            }
        }
        Ok(())
    }
}

impl Frame<'_> {
    /// A record with its place: in an included file also the place of the `$INCLUDE` in the
    /// outermost one.
    fn entered(&self, record: Record, offset: usize, line: &mut LineCounter) -> Entered {
        let included = self.included.as_ref().map(|(path, outer)| {
            let place = (Arc::clone(path), line.of(self.text, offset));
            (place, *outer)
        });
        Entered {
            record,
            offset: included.as_ref().map_or(offset, |(_, outer)| *outer),
            included: included.map(|(place, _)| place),
        }
    }
}

/// Counts lines up to offsets that grow.
#[derive(Default)]
pub(crate) struct LineCounter {
    offset: usize,
    before: usize,
}

impl LineCounter {
    /// The line of an offset, from 1.
    pub(crate) fn of(&mut self, text: &str, offset: usize) -> usize {
        let between = &text.as_bytes()[self.offset..offset];
        self.before += between.iter().filter(|octet| **octet == b'\n').count();
        self.offset = offset;
        self.before + 1
    }
}

/// The owner of an SOA that some exports write without its final dot: it is the origin, or where there is
/// none yet, what is written, and not a name below the origin.
fn bare_apex(words: &Words<'_>, entry: &ZoneEntry) -> Option<Name> {
    let first = words.token(&entry.tokens[0]);
    if !words.manner.is_file || !first.contains('.') || first.ends_with('.') {
        return None;
    }
    let mut others = entry.tokens.iter().skip(1).map(|range| words.token(range));
    if !others.any(|word| word.eq_ignore_ascii_case("SOA")) {
        return None;
    }
    let apex: Domain = first.parse().ok()?;
    let is_origin = words
        .origin
        .is_none_or(|origin| origin.is_root() || Domain::from(origin) == apex);
    is_origin.then(|| apex.to_wire())
}

/// The nearest of the names that own records, for a name that owns none: a wildcard only for another one.
pub(crate) fn nearest_name(found: &Domain, names: &[Domain]) -> Option<String> {
    let is_wildcard = |name: &Domain| name.as_str().starts_with("*.");
    let names = names
        .iter()
        .filter(|name| !is_wildcard(name) || is_wildcard(found));
    nearest(found.as_str(), names.map(Domain::as_str)).map(str::to_owned)
}

#[cfg(test)]
mod tests;
