//! `mxdrill exec`: a command as the sender, in a private network.
//!
//! Two processes take part: the one that the user started makes the namespaces and waits
//! ([`outside`]); the first one in them has the lab and runs the command ([`inside`]).
//!
//! Inside, in this order:
//!
//! 1. The host gets its names and addresses, and its resolver is the lab's.
//! 2. The lab is put up, and the command started: on virtual time behind a detour that hands its clock to the lab.
//! 3. Events are followed, if that is asked for, until the command has ended and its connections have.
//! 4. What it left behind is killed where it has no clock any more.
//! 5. The verdict is told on standard error, since standard output is the command's; the log and the packets are
//!    written.
//!
//! The exit status is the drill's and not the command's: 0 passed, 1 failed, 2 could not run.

use std::{
    cell::RefCell,
    convert::Infallible,
    ffi::OsStr,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    process::ExitStatus,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    CommandOutcome, LogFormat, at, event_stream, output,
    private::{ClockedArgs, ExecArgs},
    say, scenario_files,
};
use crate::{
    clock::{Clock, Passed},
    command::ChildCommand,
    report::{DrillEnd, DrillReport, Json, Report, Style, TextReport},
    sandbox::{self, Ids, host, resolver_files},
};
use mxdrill::{
    drill::{self, Run},
    event::{Event, EventKind},
    lab::{
        AcceptedMail, Lab, Packet,
        namespace::{OwnHost, SendersHost},
    },
    scenario::Scenario,
    verdict::SenderKind,
};

/// The longest a drill may take: a week, since somebody may sit at a shell in it.
const LIMIT: Duration = Duration::from_secs(7 * 86_400);
/// The longest on virtual time. A limit would be a moment to leap to where the command waits for somebody outside.
const VIRTUAL_LIMIT: Duration = Duration::MAX;

/// In the process that the user started: makes the private network and waits for it.
pub(crate) fn outside(args: &ExecArgs) -> io::Result<CommandOutcome> {
    // Mistakes in the file are told before anything is made.
    match Scenario::load_within(&args.scenario, args.outside.reach()) {
        Ok(scenario) => {
            if let Some(reason) = scenario.needs_a_mail_server() {
                return Err(at(&args.scenario, io::Error::other(reason)));
            }
            scenario_files::tell_notes([&scenario]);
        }
        Err(mistakes) => {
            anstream::eprintln!("{mistakes}");
            return Ok(CommandOutcome::CouldNotRun);
        }
    }
    // The same command again, in the first process of the namespaces.
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let status = sandbox::run_inside(Ids::Host, &arguments)?;
    match status.code() {
        Some(0) => Ok(CommandOutcome::Passed),
        Some(1) => Ok(CommandOutcome::Failed),
        Some(_) => Ok(CommandOutcome::CouldNotRun),
        None => Err(io::Error::other(format!(
            "the private network ended with {status}"
        ))),
    }
}

/// In the first process of the private network: the lab, the command, the verdict.
pub(crate) fn inside(args: &ExecArgs, lifeline: i32) -> io::Result<CommandOutcome> {
    let scenario = Arc::new(
        Scenario::load_within(&args.scenario, args.outside.reach()).map_err(io::Error::other)?,
    );
    let host = SendersHost::of(&scenario);
    sandbox::begin(lifeline, &host.name())?;
    resolver_files::cover(&host, !args.virtual_time)?;
    // Before the drill: a file that cannot be written is told before an hour has gone by.
    let log = args.log.as_deref().map(output::create).transpose()?;
    let begun = Instant::now();
    let runtime = crate::runtime::of_this_thread()?;
    let mut ended = None;
    let run = runtime.block_on(drilled(args, &scenario, &host, &mut ended))?;
    let program = args.command[0].to_string_lossy().into_owned();
    let status = ended
        .unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()))
        .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    if !status.success() {
        anstream::eprintln!("mxdrill: {program} ended with {status}");
    }
    if only_looks(&args.command[0]) && only_asked(&run.events) {
        write_log(args, log, &played(args, &scenario, run, begun))?;
        anstream::eprintln!("mxdrill: {program} sends nothing: there is nothing to judge");
        return Ok(if status.success() {
            CommandOutcome::Passed
        } else {
            CommandOutcome::Failed
        });
    }
    let (passed, too_slow) = (run.verdict.passed(), run.too_slow);
    let played = played(args, &scenario, run, begun);
    // The status is to be had even by those who do not read.
    TextReport::new(anstream::stderr(), Style::Detailed)
        .played(&played)
        .ok();
    write_log(args, log, &played)?;
    if let Some(why) = too_slow {
        super::say::err(format_args!("mxdrill: {why}"));
        return Ok(CommandOutcome::CouldNotRun);
    }
    Ok(if passed {
        CommandOutcome::Passed
    } else {
        CommandOutcome::Failed
    })
}

/// The drill: a lab, the command in it until it ends, and what the verdict is. How the command ended is left in
/// `ended`.
async fn drilled(
    args: &ExecArgs,
    scenario: &Arc<Scenario>,
    host: &SendersHost,
    ended: &mut Option<io::Result<ExitStatus>>,
) -> io::Result<Run> {
    host::raise(host)?;
    let clock = args.virtual_time.then(Clock::new).transpose()?;
    let time = clock.as_ref().map(Clock::time);
    let command = match &clock {
        Some(clock) => clock.command(&args.command),
        None => args.command.clone(),
    };
    // Packets come from the lab, which sees them all; a task writes them while the drill goes on.
    let (packets, capture) = args.pcap.as_deref().map(captured).transpose()?.unzip();
    let lab = Lab::start_watched(
        Arc::clone(scenario),
        packets,
        OwnHost::Told,
        AcceptedMail::Dropped,
        time,
    )
    .await?;
    if let Some(file) = &args.ca_file {
        super::up::write_authority(&lab, file)?;
    }
    let mut follower = Follower::default();
    let (limit, sender_kind) = match clock {
        Some(_) => (VIRTUAL_LIMIT, SenderKind::ClockedCommand),
        None => (LIMIT, SenderKind::Command),
    };
    // Two closures and what follows have to do with the clock, one after the other.
    let (kept, passed) = (RefCell::new(clock), RefCell::new(None));
    let sender = ChildCommand::new(&command, ended).once_started(|| {
        if let Some(clock) = &mut *kept.borrow_mut() {
            clock.begin();
            clock.complete();
        }
    });
    // What the command leaves behind has no clock any more.
    let sender = sender.once_over(|| {
        if kept.borrow().is_some() {
            sandbox::end_all_others();
        }
        let over = kept.borrow_mut().take().map(Clock::stop);
        *passed.borrow_mut() = over;
    });
    let run = drill::conduct(&lab, sender, args.seed, limit, sender_kind);
    let run = tokio::select! {
        run = run => run,
        // Whoever followed has had enough; the drill goes on.
        never = async {
            follower.follow(&lab, io::stderr()).await.ok();
            std::future::pending().await
        }, if args.follow => never,
    };
    if args.follow {
        follower.catch_up(&lab, &mut io::stderr()).ok();
    }
    let passed: Option<Passed> = passed.into_inner().transpose()?;
    if let Some(passed) = &passed {
        say::err(format_args!("mxdrill: {passed}"));
    }
    let notes: Vec<String> = passed.map(Passed::notes).unwrap_or_default();
    if run.is_err() {
        notes
            .iter()
            .for_each(|note| say::err(format_args!("mxdrill: {note}")));
    }
    // The clock's notes belong to the verdict; without one they were told above.
    let run = run.map(|mut run| {
        run.verdict.notes.extend(notes);
        run
    });
    lab.stop().await;
    if let Some(capture) = capture {
        capture.await.map_err(io::Error::other)??;
    }
    Ok(run?)
}

/// Becomes a command on virtual time.
///
/// # Errors
/// Why it could not.
pub(crate) fn on_virtual_time(args: &ClockedArgs) -> io::Result<Infallible> {
    crate::clock::begin(args.descriptor, &args.command)
}

/// Who reads the log of a lab, and how far.
#[derive(Default)]
pub(crate) struct Follower {
    seen: usize,
}

impl Follower {
    /// Writes events down as they happen, for as long as `out` can be written to.
    pub(crate) async fn follow(&mut self, lab: &Lab, mut out: impl Write) -> io::Result<()> {
        loop {
            lab.past(self.seen).await;
            self.catch_up(lab, &mut out)?;
        }
    }

    /// Writes down what happened since.
    pub(crate) fn catch_up(&mut self, lab: &Lab, out: &mut impl Write) -> io::Result<()> {
        let events = lab.events_since(self.seen);
        self.seen += events.len();
        event_stream::write(&events, LogFormat::Text, out)
    }
}

/// Whether the name server was asked, and nobody connected, as with dig and its like.
fn only_asked(events: &[Event]) -> bool {
    let mut kinds = events.iter().map(|event| &event.kind);
    let asked = kinds
        .clone()
        .any(|what| matches!(what, EventKind::Query { .. }));
    asked && !kinds.any(|what| matches!(what, EventKind::Connect { .. }))
}

/// Programs that look names up and send nothing.
const LOOKERS: [&str; 7] = ["dig", "nslookup", "host", "drill", "delv", "kdig", "getent"];

/// Whether a program is known to send nothing: of any other, mail that it does not send is missing.
fn only_looks(program: &OsStr) -> bool {
    let name = Path::new(program).file_name().unwrap_or_default();
    LOOKERS.iter().any(|looker| name == *looker)
}

/// The drill as a report has it, with the command that runs it again.
fn played(args: &ExecArgs, scenario: &Arc<Scenario>, run: Run, begun: Instant) -> DrillReport {
    let command: Vec<String> = args
        .command
        .iter()
        .map(|word| super::quoted(&word.to_string_lossy()))
        .collect();
    let (path, seed) = (&scenario.path, run.seed);
    DrillReport {
        scenario: Arc::clone(scenario),
        again: format!(
            "mxdrill exec --seed {seed}{}{} {path} -- {}",
            args.outside.again(),
            if args.virtual_time {
                " --virtual-time"
            } else {
                ""
            },
            command.join(" ")
        ),
        elapsed: begun.elapsed(),
        end: DrillEnd::Ran(Box::new(run)),
        known: None,
    }
}

/// Writes the log and the verdict to the file that was opened for them, if one was.
fn write_log(
    args: &ExecArgs,
    file: Option<BufWriter<File>>,
    played: &DrillReport,
) -> io::Result<()> {
    let (Some(mut file), Some(path)) = (file, &args.log) else {
        return Ok(());
    };
    let written = Json::new(&mut file).played(played);
    // What waits in it must not be lost in silence.
    let written = written.and_then(|()| file.flush());
    written.map_err(|error| at(path, error))
}

/// Where packets go that are written to a file, and the task that writes them.
fn captured(
    path: &Path,
) -> io::Result<(mpsc::UnboundedSender<Packet>, JoinHandle<io::Result<()>>)> {
    let file = output::create(path)?;
    let (packets, arrived) = mpsc::unbounded_channel();
    Ok((packets, tokio::spawn(capture(file, arrived))))
}

/// Writes packets down in the format of libpcap: a header, then each with its time and length.
async fn capture(
    mut file: BufWriter<File>,
    mut packets: mpsc::UnboundedReceiver<Packet>,
) -> io::Result<()> {
    const MAGIC: u32 = 0xa1b2_c3d4;
    const VERSION: [u16; 2] = [2, 4];
    /// Octets of a packet that is kept whole, as tcpdump has it.
    const LONGEST: u32 = 262_144;
    /// The link type of what the lab sees (LINKTYPE_ETHERNET).
    const ETHERNET: u32 = 1;
    file.write_all(&MAGIC.to_le_bytes())?;
    for number in VERSION {
        file.write_all(&number.to_le_bytes())?;
    }
    for number in [0, 0, LONGEST, ETHERNET] {
        file.write_all(&number.to_le_bytes())?;
    }
    while let Some(packet) = packets.recv().await {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        let length = u32::try_from(packet.len()).unwrap_or(LONGEST);
        for number in [seconds, now.subsec_micros(), length, length] {
            file.write_all(&number.to_le_bytes())?;
        }
        file.write_all(&packet)?;
    }
    file.flush()
}
