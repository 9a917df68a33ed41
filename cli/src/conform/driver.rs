//! A mail server driven through a drill: messages handed over at their moments, passes over its queue
//! begun when the drill's schedule asks for them, and real time never waited for when nothing happens.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Seek},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tokio::{io::AsyncReadExt, net::TcpStream, process::Command, time::sleep};

use super::{Adapter, eligibility};
use crate::sandbox::{reap_all_but, rootfs};
use mxdrill::{
    connection::Connection,
    lab::namespace::SendersHost,
    mail::Message,
    observe,
    outcome::Outcome,
    scenario::{Scenario, TlsPolicy},
    sender::{Sender, SenderContext},
    stream::Stream,
    time::Moment,
};

/// The longest that the server may take to be ready, and for one pass.
const PASS_LIMIT: Duration = Duration::from_secs(40);
/// How often it is asked whether a pass is over.
const POLL: Duration = Duration::from_millis(40);
/// Seconds for every timeout of the server's SMTP client: it costs real time.
const TIMEOUT: &str = "3";
/// Idle polls after which a pass that produced no event counts as over.
const HESITATION: u32 = 4;
/// Idle polls after which an open session counts as abandoned.
const ABANDONED: u32 = 12;
/// Octets that a script may print where that is read.
const MAX_PRINTED: u64 = 1024 * 1024;
/// Octets of what the server and its scripts say that are kept.
const MAX_SAID: u64 = 48 * 1024;
/// The most that a process may write to one file, in blocks of 512 octets: a runaway log fills memory.
const MAX_FILE_BLOCKS: u32 = 400_000;

/// The folder of what is about the drill, in the server's own root.
const FOLDER: &str = "/run/mxdrill";

/// A mail server, unpacked in the root of this process, and the host it stands on.
pub(crate) struct Server<'a> {
    pub(crate) adapter: &'a Adapter,
    pub(crate) host: &'a SendersHost,
    /// Why the drill could not be driven to its end.
    pub(crate) trouble: &'a mut Option<String>,
}

impl Sender for Server<'_> {
    async fn send(self, post: SenderContext) {
        let mut drive = Driver {
            scripts: Scripts::new(self.adapter, self.host, post.scenario()),
            adapter: self.adapter,
            post,
            given: 0,
            passes: 0,
            empty: true,
            seen_out: false,
        };
        if let Err(error) = drive.through().await {
            *self.trouble = Some(error.to_string());
        }
    }
}

/// A drill under way.
struct Driver<'a> {
    adapter: &'a Adapter,
    scripts: Scripts,
    post: SenderContext,
    /// How many messages have been handed over.
    given: usize,
    /// How many passes over the queue were begun.
    passes: usize,
    /// Whether the queue was empty after the last pass.
    empty: bool,
    /// Whether every message given had come to its end when it was last asked what comes next.
    seen_out: bool,
}

/// What comes next in a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Submission,
    Pass,
    /// Messages are given up, all at once.
    Expiry,
}

impl Driver<'_> {
    /// The whole drill: set up, then what comes next until nothing does.
    async fn through(&mut self) -> io::Result<()> {
        self.scripts
            .run("configure", &self.adapter.configure)
            .await?;
        if let Some(start) = &self.adapter.start {
            self.scripts.run("start", start).await?;
        }
        while let Some((moment, next)) = self.next() {
            self.post.leap_to(moment);
            match next {
                Next::Submission => self.submit_due().await?,
                Next::Pass => {
                    self.passes += 1;
                    self.flush().await?;
                }
                Next::Expiry => {
                    let expire = self.adapter.expire.as_deref().unwrap_or_default();
                    self.scripts.run("expire", expire).await?;
                    return self.flush().await;
                }
            }
        }
        Ok(())
    }

    /// A pass over the queue, until it is over.
    async fn flush(&mut self) -> io::Result<()> {
        let before = self.post.log().len();
        self.scripts.run("flush", &self.adapter.flush).await?;
        self.pass_is_over(before).await
    }

    /// Hands over every message whose moment has come, one after the other, each with a pass to
    /// itself: what is done for one at a time can be told apart.
    async fn submit_due(&mut self) -> io::Result<()> {
        while let Some((_, message)) = self.post.due() {
            let before = self.post.log().len();
            self.given += 1;
            match &self.adapter.submit_smtp {
                Some(address) => {
                    let content = self.post.content(&message);
                    let what = format!("submission to {address}");
                    within(&what, submit_by_smtp(address, &message, &content))
                        .await
                        .map_err(|error| {
                            io::Error::new(error.kind(), format!("{what}: {error}"))
                        })?;
                }
                None => {
                    let path = PathBuf::from(FOLDER).join(format!("message-{}", self.given));
                    fs::write(&path, self.post.plain_content(&message))?;
                    let submit = self.adapter.submit.as_deref().unwrap_or_default();
                    self.scripts.submit(submit, &message, &path).await?;
                }
            }
            self.pass_is_over(before).await?;
        }
        Ok(())
    }

    /// What comes next, and when: nothing if every message came to its end, or is to be left.
    ///
    /// What left the queue is not waited for, whatever became of it.
    fn next(&mut self) -> Option<(Moment, Next)> {
        let scenario = self.post.scenario();
        let events = self.post.log().events();
        let attempts = observe::attempts(scenario, &events);
        let endings = observe::endings(scenario, &events, &attempts);
        let now = self.post.now();
        let submission = self
            .post
            .next_at()
            .map(|at| (at.max(now), Next::Submission));
        let is_open = |message: &&Message| endings[&message.id].outcome() == Outcome::Deferred;
        // Mail that came to its end and is queued all the same will be sent again.
        let all_ended = !self.post.given().any(|message| is_open(&message));
        let again = all_ended && !self.seen_out;
        self.seen_out = all_ended;
        let open = self
            .post
            .given()
            .filter(|message| !self.empty && (again || is_open(message)));
        let mut passes = Vec::new();
        let mut ends = Vec::new();
        let mut is_left = false;
        for message in open {
            let tried = attempts
                .iter()
                .filter(|attempt| attempt.message.as_ref() == Some(&message.id))
                .count();
            let left = message
                .leave
                .is_some_and(|leave| now >= leave.after && tried >= leave.attempts);
            is_left |= left;
            if left {
                continue;
            }
            match eligibility::schedule(scenario, message.at).find(|moment| *moment > now) {
                Some(at) if self.passes < eligibility::MOST_PASSES => passes.push(at),
                _ => ends.push(message.at.after(scenario.sender.expire).max(now)),
            }
        }
        let stopped = |at: &Moment| scenario.stop.is_some_and(|stop| *at > stop);
        passes.retain(|at| !stopped(at));
        ends.retain(|at| !stopped(at));
        let pass = passes.into_iter().map(|at| (at, Next::Pass));
        let next = submission.into_iter().chain(pass).min();
        // All that is queued is given up at once: when nothing else is left to do.
        let can = self.adapter.expire.is_some() && !is_left;
        let end = ends.into_iter().max().filter(|_| can);
        next.or_else(|| Some((end?, Next::Expiry)))
    }

    /// Waits until no delivery is under way: no session is open, and the server says so, twice, with
    /// nothing seen in between; more often if nothing was seen since `before`, for some servers take
    /// their time to begin.
    async fn pass_is_over(&mut self, before: usize) -> io::Result<()> {
        let begun = Instant::now();
        let mut seen = None;
        let mut unchanged = 0;
        while begun.elapsed() < PASS_LIMIT {
            sleep(POLL).await;
            let idle = match &self.adapter.idle {
                Some(idle) => self.scripts.succeeds(idle).await?,
                None => true,
            };
            self.post.caught_up().await;
            let events = self.post.log().len();
            // A receiver that does not read does not see that it was left.
            unchanged = if seen == Some(events) {
                unchanged + 1
            } else {
                0
            };
            let quiet = idle && (self.post.log().open_sessions() == 0 || unchanged >= ABANDONED);
            let enough = if events > before { 1 } else { HESITATION };
            if quiet && unchanged >= enough {
                let queued = self.scripts.output("queued", &self.adapter.queued).await?;
                self.empty = queued.trim_ascii().is_empty();
                return Ok(());
            }
            seen = idle.then_some(events);
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("a pass over the queue did not end within {PASS_LIMIT:?}"),
        ))
    }
}

/// Runs an adapter's scripts, with what they are told about the drill.
struct Scripts {
    /// The id that they run as.
    id: u32,
    environment: Vec<(&'static str, String)>,
}

impl Scripts {
    fn new(adapter: &Adapter, host: &SendersHost, scenario: &Scenario) -> Self {
        let address = |wanted: Option<std::net::IpAddr>| {
            wanted.map_or_else(String::new, |address| address.to_string())
        };
        let names: Vec<String> = host.names.iter().map(ToString::to_string).collect();
        let authority = Path::new(FOLDER).join("ca.pem");
        let ca_file = if authority.exists() {
            authority.display().to_string()
        } else {
            String::new()
        };
        let tls = match scenario.sender.tls {
            TlsPolicy::None => "none",
            TlsPolicy::Opportunistic | TlsPolicy::MtaSts => "may",
            TlsPolicy::Required => "encrypt",
            TlsPolicy::Verified => "verify",
            TlsPolicy::Dane => "dane",
        };
        let user = adapter
            .users
            .iter()
            .position(|user| Some(user) == adapter.runs_as.as_ref());
        Self {
            id: user.map_or(0, rootfs::id_of),
            environment: vec![
                (
                    "PATH",
                    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
                ),
                ("HOME", "/root".to_owned()),
                ("LANG", "C.UTF-8".to_owned()),
                ("NAME", host.name()),
                ("NAMES", names.join(" ")),
                ("ADDRESS", address(host.address(std::net::IpAddr::is_ipv4))),
                ("ADDRESS6", address(host.address(std::net::IpAddr::is_ipv6))),
                ("TIMEOUT", TIMEOUT.to_owned()),
                ("TLS", tls.to_owned()),
                ("CA_FILE", ca_file),
            ],
        }
    }

    /// A script; what it and its daemons say goes to one file.
    fn command(&self, script: &str) -> io::Result<Command> {
        let said = OpenOptions::new()
            .create(true)
            .append(true)
            .open(Self::said_path())?;
        let mut command = match self.id {
            0 => Command::new("/bin/sh"),
            id => {
                let mut command = Command::new("/proc/self/exe");
                command.args(["user", &id.to_string(), "--", "/bin/sh"]);
                command
            }
        };
        command
            .arg("-euc")
            .arg(format!("ulimit -f {MAX_FILE_BLOCKS}\n{script}"))
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (*name, value)))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .kill_on_drop(true);
        Ok(command)
    }

    fn said_path() -> PathBuf {
        Path::new(FOLDER).join("said")
    }

    async fn run(&self, what: &str, script: &str) -> io::Result<()> {
        let mut command = self.command(script)?;
        Self::finish(what, &mut command).await
    }

    async fn submit(&self, script: &str, message: &Message, path: &Path) -> io::Result<()> {
        let to: Vec<&str> = message.to.iter().map(|to| &*to.text).collect();
        let from = message.from.as_ref().map_or("", |from| &*from.text);
        let mut command = self.command(script)?;
        command
            .env("SENDER", from)
            .env("RECIPIENTS", to.join(" "))
            .env("MESSAGE", path);
        Self::finish("submit", &mut command).await
    }

    async fn finish(what: &str, command: &mut Command) -> io::Result<()> {
        Self::succeeded(what, within(what, command.status()).await?)
    }

    async fn succeeds(&self, script: &str) -> io::Result<bool> {
        let mut command = self.command(script)?;
        let ended = within("idle", command.status()).await;
        Ok(ended.is_ok_and(|status| status.success()))
    }

    /// What a script prints; what it says besides is kept with what all say.
    async fn output(&self, what: &str, script: &str) -> io::Result<Vec<u8>> {
        let mut running = self.command(script)?.stdout(Stdio::piped()).spawn()?;
        let mut printed = Vec::new();
        let status = within(what, async {
            if let Some(out) = running.stdout.take() {
                out.take(MAX_PRINTED + 1).read_to_end(&mut printed).await?;
            }
            if printed.len() as u64 > MAX_PRINTED {
                let text = format!("{what} printed more than {MAX_PRINTED} octets");
                return Err(io::Error::other(text));
            }
            running.wait().await
        });
        Self::succeeded(what, status.await?)?;
        Ok(printed)
    }

    /// An error with the last line that was said, if a script failed.
    fn succeeded(what: &str, status: ExitStatus) -> io::Result<()> {
        if status.success() {
            return Ok(());
        }
        let said = said();
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        let last = last.map_or(String::new(), |line| format!(": {line}"));
        Err(io::Error::other(format!(
            "{what} ended with {status}{last}"
        )))
    }
}

/// Waits for something that a pass is made of, not for ever.
async fn within<T>(what: &str, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let ended = tokio::time::timeout(PASS_LIMIT, work).await;
    // No script is waited for now.
    reap_all_but(None);
    ended.unwrap_or_else(|_| {
        let text = format!("{what} did not end within {PASS_LIMIT:?}");
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    })
}

/// Makes the folder of what is about the drill, with the certificate of its authority.
pub(crate) fn prepare(authority: Option<String>) -> io::Result<()> {
    fs::create_dir_all(FOLDER)?;
    match authority {
        Some(pem) => fs::write(Path::new(FOLDER).join("ca.pem"), pem),
        None => Ok(()),
    }
}

/// What the server's scripts and daemons said, the end of it if it is much.
pub(crate) fn said() -> String {
    tail(Some(&Scripts::said_path()))
}

/// The end of a file, if there is one.
pub(crate) fn tail(path: Option<&Path>) -> String {
    let read = |path: &Path| {
        let mut octets = Vec::new();
        let length = fs::metadata(path).ok().filter(fs::Metadata::is_file)?.len();
        let mut file = fs::File::open(path).ok()?;
        file.seek(io::SeekFrom::Start(length.saturating_sub(MAX_SAID)))
            .ok()?;
        file.take(MAX_SAID).read_to_end(&mut octets).ok()?;
        Some(octets)
    };
    String::from_utf8_lossy(&path.and_then(read).unwrap_or_default()).into_owned()
}

/// The version that the server says it has.
///
/// # Errors
/// That its script failed, or printed nothing.
pub(crate) async fn version(
    adapter: &Adapter,
    host: &SendersHost,
    scenario: &Scenario,
) -> io::Result<String> {
    let scripts = Scripts::new(adapter, host, scenario);
    let printed = scripts.output("version", &adapter.version).await?;
    let printed = String::from_utf8_lossy(&printed).trim().to_owned();
    if printed.is_empty() {
        Err(io::Error::other("version printed nothing"))
    } else {
        Ok(printed)
    }
}

/// Hands a message over by SMTP.
async fn submit_by_smtp(address: &str, message: &Message, content: &[u8]) -> io::Result<()> {
    let mut connection = Connection::new(Stream::Tcp(TcpStream::connect(address).await?));
    let from = message.from.as_ref().map_or("", |from| &*from.text);
    let is_ascii = from.is_ascii() && message.to.iter().all(|to| to.text.is_ascii());
    let mut commands = vec![
        "EHLO client.sender.test".to_owned(),
        format!(
            "MAIL FROM:<{from}>{}",
            if is_ascii { "" } else { " SMTPUTF8" }
        ),
    ];
    commands.extend(message.to.iter().map(|to| format!("RCPT TO:<{to}>")));
    commands.push("DATA".to_owned());
    expect_positive(&mut connection, "the greeting").await?;
    for command in commands {
        connection.send(format!("{command}\r\n").as_bytes()).await?;
        expect_positive(&mut connection, &command).await?;
    }
    connection.send(content).await?;
    expect_positive(&mut connection, "the message").await?;
    connection.send(b"QUIT\r\n").await?;
    // It has the message; how it takes leave is its own affair.
    connection.reply().await.ok();
    Ok(())
}

async fn expect_positive(connection: &mut Connection, to: &str) -> io::Result<()> {
    let (reply, _) = connection.reply().await?;
    match reply.code {
        ..400 => Ok(()),
        _ => Err(io::Error::other(format!(
            "{to} was answered {} {}",
            reply.code, reply.text
        ))),
    }
}
