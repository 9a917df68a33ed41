//! Schedules as one HTML file that needs nothing else: a picture of all attempts, and both tables. The picture stands by
//! itself on the page of a matrix, too.
//!
//! The picture has a line for each server and a logarithmic axis of time, on which minutes and days have room. Of
//! several runs it shows the first.

use std::{
    fmt,
    io::{self, Write},
};

use super::{NotNow, StageWait, advice, explained, explanations};
use crate::{
    conform::schedules::{
        Schedules,
        reading::{Ending, NotNowRun, Seconds},
    },
    report::page::Plain,
};

const HEAD: &str = include_str!("page.html");
/// How the picture looks, and where that goes in the head of a page.
const STYLE: &str = include_str!("picture.css");
const STYLE_PLACE: &str = "/* {{picture}} */";

/// The picture: its width, where the axis begins and ends, how far lines are apart, and where the first is.
const WIDTH: f64 = 1000.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 985.0;
const STEP: f64 = 34.0;
const TOP: f64 = 30.0;
/// The axis begins at this second, where all that comes earlier stands, too.
const FROM: f64 = 30.0;
/// What the axis is marked with.
const TICKS: [u64; 11] = [
    60, 300, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000, 1_036_800,
];

/// One file for a browser.
pub(crate) fn html(schedules: &Schedules, out: &mut impl Write) -> io::Result<()> {
    out.write_all(HEAD.replace(STYLE_PLACE, STYLE).as_bytes())?;
    writeln!(
        out,
        "<h1>When mail servers try again, and how long they wait</h1>\n<p class=\"soft\">Measured by mxdrill {} on {}.</p>",
        Plain(&schedules.mxdrill),
        Plain(&schedules.system)
    )?;
    writeln!(out, "<h2>Trying again</h2>")?;
    picture(schedules, out)?;
    again(schedules, out)?;
    let names = schedules.servers.iter();
    let names: Vec<&String> = names.map(|server| &server.server.name).collect();
    writeln!(out, "<h2>Waiting for a silent exchanger</h2>")?;
    write!(
        out,
        "<div class=\"wide\"><table><tr><th>silent at</th><th>RFC 5321</th>"
    )?;
    row(out, "th", names)?;
    let stages = schedules.servers.first();
    for (stage, _) in stages.iter().flat_map(|server| &server.hangs) {
        write!(
            out,
            "<tr><th>{}</th><td class=\"soft\">{}</td>",
            explained(*stage),
            advice(*stage)
        )?;
        let cells = schedules.servers.iter().map(|server| {
            let mut hangs = server.hangs.iter();
            let found = hangs.find(|(of, _)| of == stage);
            found.map_or_else(String::new, |(_, measured)| {
                StageWait::of(*stage, measured).words()
            })
        });
        row(out, "td", cells)?;
    }
    writeln!(out, "</table></div>")?;
    settings(schedules, out)?;
    writeln!(out, "<h2>How it is measured</h2>")?;
    for paragraph in explanations() {
        writeln!(out, "<p>{}</p>", Plain(paragraph.replace('*', "")))?;
    }
    for (id, drill, why) in schedules.troubles() {
        writeln!(
            out,
            "<p>Not measured: {} {}: {}</p>",
            Plain(id),
            drill.name(),
            Plain(why)
        )?;
    }
    writeln!(out, "</main>\n</body>\n</html>")
}

/// The part of another page that has the picture, and what its look is: a text each.
pub(crate) fn part(schedules: &Schedules) -> io::Result<PicturePart> {
    let mut out = Vec::new();
    writeln!(
        out,
        "<section id=\"schedules\">\n<h2>When they try again</h2>\n<p class=\"soft\">The only exchanger answers 451 at RCPT, \
         always. Measured by mxdrill {} on {}.</p>",
        Plain(&schedules.mxdrill),
        Plain(&schedules.system)
    )?;
    picture(schedules, &mut out)?;
    writeln!(out, "<details><summary>in words</summary>")?;
    again(schedules, &mut out)?;
    writeln!(out, "</details>\n</section>")?;
    Ok(PicturePart {
        style: STYLE,
        section: String::from_utf8(out).map_err(io::Error::other)?,
    })
}

/// A picture of schedules for another page.
#[derive(Debug, Default)]
pub(crate) struct PicturePart {
    /// What goes into the head of the page.
    pub(crate) style: &'static str,
    /// An element of its body.
    pub(crate) section: String,
}

/// The table of what each server does about an exchanger that answers 451.
fn again(schedules: &Schedules, out: &mut impl Write) -> io::Result<()> {
    write!(
        out,
        "<div class=\"wide\"><table><tr><th></th><th>version</th>"
    )?;
    row(out, "th", NotNow::HEADS)?;
    write!(out, "<tr class=\"soft\"><th>RFC 5321</th><td></td>")?;
    row(out, "td", NotNow::ADVICE)?;
    for server in &schedules.servers {
        write!(
            out,
            "<tr><th>{}</th><td>{}</td>",
            Plain(&server.server.name),
            Plain(&server.server.version)
        )?;
        row(out, "td", NotNow::of(server).cells())?;
    }
    writeln!(out, "</table></div>")
}

/// What decided for each server, folded up: few readers ask for it.
fn settings(schedules: &Schedules, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "<h2>The settings that decided</h2>")?;
    for server in &schedules.servers {
        writeln!(
            out,
            "<details><summary>{} {}</summary><p class=\"soft\">{}</p><ul>",
            Plain(&server.server.name),
            Plain(&server.server.version),
            Plain(server.server.packages.join(", "))
        )?;
        for setting in &server.server.settings {
            writeln!(out, "<li>{}</li>", Plain(setting))?;
        }
        writeln!(out, "</ul></details>")?;
    }
    Ok(())
}

/// The rest of a row of a table.
fn row<T: fmt::Display>(
    out: &mut impl Write,
    element: &str,
    cells: impl IntoIterator<Item = T>,
) -> io::Result<()> {
    for cell in cells {
        write!(out, "<{element}>{}</{element}>", Plain(cell))?;
    }
    writeln!(out, "</tr>")
}

/// All attempts of the first run of each server.
fn picture(schedules: &Schedules, out: &mut impl Write) -> io::Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "some servers")]
    let bottom = TOP + STEP * schedules.servers.len() as f64;
    writeln!(
        out,
        "<p class=\"key\"><svg viewBox=\"0 0 10 14\"><path class=\"try\" d=\"M5 0v14\"/></svg> attempt \
         <svg viewBox=\"0 0 14 14\"><path class=\"warn\" d=\"M7 1l6 11h-12z\"/></svg> the author is warned \
         <svg viewBox=\"0 0 14 14\"><path class=\"end\" d=\"M2 2l10 10M12 2l-10 10\"/></svg> returned</p>"
    )?;
    writeln!(
        out,
        "<div class=\"wide\"><svg class=\"picture\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" \
         aria-label=\"The attempts of each server over time; the table below has them in words\">",
        bottom + 22.0
    )?;
    for tick in TICKS {
        let x = place(Seconds(tick));
        writeln!(
            out,
            "<path class=\"tick\" d=\"M{x:.1} {:.1}V{bottom:.1}\"/><text class=\"when\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
            TOP - 10.0,
            bottom + 16.0,
            Seconds(tick)
        )?;
    }
    writeln!(
        out,
        "<text class=\"when\" x=\"{LEFT}\" y=\"{:.1}\">at once</text>",
        bottom + 16.0
    )?;
    let mut y = TOP + STEP / 2.0 - 5.0;
    for server in &schedules.servers {
        writeln!(
            out,
            "<text class=\"who\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 12.0,
            y + 5.0,
            Plain(&server.server.name)
        )?;
        if let Some(run) = server.not_now.runs.first() {
            line(run, y, out)?;
        }
        y += STEP;
    }
    writeln!(out, "</svg></div>")
}

/// The line of a run: as long as the message was queued, with a mark for each thing that was seen.
fn line(run: &NotNowRun, y: f64, out: &mut impl Write) -> io::Result<()> {
    let (Ending::Delivered(end) | Ending::Returned(end) | Ending::Lost(end) | Ending::Open(end)) =
        run.ending;
    writeln!(
        out,
        "<path class=\"queued\" d=\"M{LEFT} {y:.1}H{:.1}\"/>",
        place(end)
    )?;
    for at in &run.attempts {
        writeln!(
            out,
            "<path class=\"try\" d=\"M{:.1} {:.1}v14\"><title>{at}</title></path>",
            place(*at),
            y - 7.0
        )?;
    }
    for at in &run.warned {
        writeln!(
            out,
            "<path class=\"warn\" d=\"M{:.1} {:.1}l6 11h-12z\"><title>the author is warned after {at}</title></path>",
            place(*at),
            y - 18.0
        )?;
    }
    if let Ending::Returned(_) = run.ending {
        writeln!(
            out,
            "<path class=\"end\" d=\"M{:.1} {:.1}l12 12m0 -12l-12 12\"><title>returned after {end}</title></path>",
            place(end) - 6.0,
            y - 6.0
        )?;
    }
    Ok(())
}

/// Where a time stands on the axis.
fn place(at: Seconds) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "times of days, in seconds")]
    let (at, last) = (at.0 as f64, TICKS[TICKS.len() - 1] as f64);
    let part = (at.max(FROM) / FROM).ln() / (last / FROM).ln();
    LEFT + (RIGHT - LEFT) * part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::{
        played_server::PlayedServer,
        schedules::{Measured, ServerSchedule},
    };

    #[test]
    fn times_stand_in_order_within_the_axis() {
        let all: Vec<f64> = [0, 30, 31, 3600, 86_400, 1_036_800]
            .map(|at| place(Seconds(at)))
            .to_vec();
        assert!(all.is_sorted() && all[0] == LEFT && all[1] == LEFT && all[5] == RIGHT);
        assert!(all[1] < all[2]);
    }

    #[test]
    fn what_others_wrote_adds_no_element() {
        let hostile = || "</svg><script>\"&".to_owned();
        let run = NotNowRun {
            attempts: vec![Seconds(0), Seconds(300)],
            warned: vec![Seconds(14_400)],
            ending: Ending::Returned(Seconds(432_000)),
        };
        let server = ServerSchedule {
            server: PlayedServer {
                id: hostile(),
                name: hostile(),
                home: hostile(),
                version: hostile(),
                packages: vec![hostile()],
                settings: vec![hostile()],
            },
            not_now: Measured {
                runs: vec![run],
                trouble: Some(hostile()),
            },
            hangs: Vec::new(),
        };
        let schedules = Schedules {
            mxdrill: "0".to_owned(),
            system: hostile(),
            servers: vec![server],
        };
        let mut page = Vec::new();
        html(&schedules, &mut page).expect("memory takes it all");
        let page = String::from_utf8(page).expect("text");
        assert!(!page.contains("<script"));
        assert_eq!(page.matches("class=\"try\"").count(), 3, "one in the key");
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }
}
