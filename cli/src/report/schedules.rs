//! What mail servers do by their own defaults, as text, Markdown, JSON and one HTML file.
//!
//! The same words stand in each: [`NotNow`] and [`StageWait`] are the cells. A mark says where a server is below what
//! RFC 5321 advises.

mod html;
mod markdown;
mod text;

use std::io::{self, Write};

pub(crate) use self::{
    html::{PicturePart, html, part},
    markdown::markdown,
    text::text,
};
use crate::conform::schedules::{
    Measured, Schedules, ServerSchedule,
    reading::{HangRun, Seconds},
    summary::{self, Retries},
};
use mxdrill::fault::Stage;

/// What stands behind a value that is below the advice.
const BELOW: &str = " △";
/// Moments of attempts that are listed; JSON and the picture have all.
const MOST_MOMENTS: usize = 12;

/// Everything, for programs.
pub(crate) fn json(schedules: &Schedules, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, schedules)?;
    writeln!(out)
}

/// What a server does about an exchanger that answers 451, in words.
struct NotNow {
    tried: String,
    count: String,
    first_hour: String,
    waits: String,
    warned: String,
    returned: String,
}

impl NotNow {
    /// The heads of these columns.
    const HEADS: [&str; 6] = [
        "tried",
        "times",
        "in the first hour",
        "shortest and longest wait",
        "author is warned",
        "returned",
    ];

    /// What the RFC advises, by column.
    const ADVICE: [&str; 6] = [
        "",
        "",
        "2",
        "30m at least; later two or three hours",
        "",
        "after 4 or 5 days at least",
    ];

    fn of(server: &ServerSchedule) -> Self {
        let Measured { runs, trouble } = &server.not_now;
        let Some(retries) = Retries::of(runs) else {
            let trouble = trouble.clone().unwrap_or_default();
            return Self {
                tried: format!("not measured: {trouble}"),
                count: String::new(),
                first_hour: String::new(),
                waits: String::new(),
                warned: String::new(),
                returned: String::new(),
            };
        };
        let waits = retries.waits.map(|(least, most)| {
            let below = marked(retries.is_hasty());
            match least == most {
                true => format!("{least}{below}"),
                false => format!("{least}{below}, {most}"),
            }
        });
        Self {
            tried: retries.words(MOST_MOMENTS),
            count: retries.count.to_string(),
            first_hour: format!("{}{}", retries.in_first_hour, marked(retries.is_slow())),
            waits: waits.unwrap_or_default(),
            warned: summary::warned(runs),
            returned: summary::ended(runs) + marked(summary::gives_up_early(runs)),
        }
    }

    fn cells(self) -> [String; 6] {
        [
            self.tried,
            self.count,
            self.first_hour,
            self.waits,
            self.warned,
            self.returned,
        ]
    }
}

/// How long a server waits at a stage, and what it does then, in words.
struct StageWait {
    waits: String,
    then: String,
}

impl StageWait {
    fn of(stage: Stage, measured: &Measured<HangRun>) -> Self {
        let Measured { runs, trouble } = measured;
        if runs.is_empty() {
            return Self {
                waits: "not measured".to_owned(),
                then: trouble.clone().unwrap_or_default(),
            };
        }
        match summary::waited(runs) {
            Some(range) => Self {
                waits: range.times() + marked(summary::is_impatient(stage, runs)),
                then: summary::then(runs),
            },
            None => Self {
                waits: "on".to_owned(),
                then: summary::then(runs),
            },
        }
    }

    /// In one cell.
    fn words(&self) -> String {
        match &*self.then {
            "" => self.waits.clone(),
            then => format!("{}, {then}", self.waits),
        }
    }
}

/// What the RFC advises for a stage.
fn advice(stage: Stage) -> String {
    summary::advised(stage).map_or_else(String::new, |advised| advised.to_string())
}

/// What a stage is, for whoever has not read the format of scenarios.
fn explained(stage: Stage) -> &'static str {
    match stage {
        Stage::Connect => "connect (the SYN is not answered)",
        Stage::Greeting => "greeting",
        Stage::Helo => "EHLO",
        Stage::Mail => "MAIL",
        Stage::Rcpt => "RCPT",
        Stage::Data => "DATA",
        Stage::Content => "content (it is not read)",
        Stage::Dot => "the final dot",
        other => other.word(),
    }
}

fn marked(is_below: bool) -> &'static str {
    if is_below { BELOW } else { "" }
}

/// How it is measured and what the words mean, a paragraph each.
fn explanations() -> [String; 4] {
    let watched = Schedules::watched();
    let Seconds(day) = Seconds(86_400);
    let days = watched.0 / day;
    [
        "Each server runs unmodified on virtual time in a private network of its own, with the settings named. All \
         times are what the lab's exchangers saw, to the second, from when the server was handed the message. Each \
         drill is played twice with different seeds, that of the 451 a third time if two runs differ by more than a \
         second; where runs differ, the range is given."
            .to_owned(),
        "**Trying again:** the only exchanger answers 451 at RCPT, always.".to_owned(),
        format!(
            "**Waiting:** the better of two exchangers says nothing at one stage and keeps the connection; the other \
             works. *next*: the server goes on to the other in the same pass, at once (of a client that keeps its side \
             open the lab sees no more than that, so the wait may be a second too long). *same again*: it tries the \
             silent one again first, that long after it fell silent. *nothing*: it tried no exchanger any more in the \
             {days} days for which a drill is watched, or the one day where the content is not read. *on*: it waited \
             all that time."
        ),
        format!(
            "The mark{BELOW} stands where a server is below the advice of RFC 5321: section 4.5.3.2 for waits, \
             4.5.4.1 for attempts (at least half an hour apart, two in the first hour, for at least four days)."
        ),
    ]
}
