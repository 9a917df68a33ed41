//! The scripts of an adapter, run with what they are told about the drill.
//!
//! A script that belongs to the drill runs on the drill's clock, if that has one of its own, and all that it leaves
//! in the background goes on living by that. What ends in the background ends in this process, the first of its
//! namespace, and is let go at once: whoever waits for such an end waits for it to be taken note of.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Read, Seek},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};

use super::{Adapter, eligibility::SettingsTold};
use crate::{
    clock::Clock,
    sandbox::{end_all_others, is_alone, reap_all_but, rootfs},
    told_relays,
};
use mxdrill::{
    lab::namespace::SendersHost,
    mail::Message,
    scenario::{Scenario, TlsPolicy},
};

/// The folder of what is about the drill, in the server's own root.
pub(super) const FOLDER: &str = "/run/mxdrill";

/// The longest that a script may take, in real time.
const LIMIT: Duration = Duration::from_secs(60);
/// How long it is waited between two looks at processes that were killed, in real time.
const SOON: Duration = Duration::from_millis(2);
/// Octets that a script may print where that is read.
const MAX_PRINTED: u64 = 1024 * 1024;
/// Octets of what the server and its scripts say that are kept.
const MAX_SAID: u64 = 48 * 1024;
/// The most that a process may write to one file, in blocks of 512 octets: a runaway log fills memory.
const MAX_FILE_BLOCKS: u32 = 400_000;

/// Runs an adapter's scripts, with what they are told about the drill.
pub(super) struct Scripts<'a> {
    /// The id that they run as.
    id: u32,
    environment: Vec<(&'static str, String)>,
    clock: Option<&'a Clock>,
    /// The id of the script that is waited for; 0 for none.
    running: Arc<AtomicU32>,
    reaper: JoinHandle<()>,
}

impl Drop for Scripts<'_> {
    fn drop(&mut self) {
        self.reaper.abort();
    }
}

impl<'a> Scripts<'a> {
    /// The scripts of an adapter, run by the clock of the system.
    ///
    /// # Errors
    /// That it is not to be had who ends.
    pub(super) fn new(
        adapter: &Adapter,
        host: &SendersHost,
        scenario: &Scenario,
    ) -> io::Result<Self> {
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
            TlsPolicy::DaneOnly => "dane-only",
        };
        let user = adapter
            .users
            .iter()
            .position(|user| Some(user) == adapter.runs_as.as_ref());
        let running = Arc::<AtomicU32>::default();
        let mut environment = vec![
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
            ("TLS", tls.to_owned()),
            ("CA_FILE", ca_file),
        ];
        environment.extend(told_relays::variables(&scenario.sender));
        Ok(Self {
            reaper: reaper(Arc::clone(&running))?,
            running,
            clock: None,
            id: user.map_or(0, rootfs::id_of),
            environment,
        })
    }

    /// Tells the scripts what the drill has to set; what it leaves to the server is empty.
    pub(super) fn telling(mut self, told: &SettingsTold) -> Self {
        let seconds = |time: &Duration| time.as_secs().to_string();
        let retry = told.retry.iter().flatten().map(seconds);
        let told = [
            ("LIFETIME", told.lifetime.as_ref().map(seconds)),
            (
                "RETRY",
                told.retry
                    .as_ref()
                    .map(|_| retry.collect::<Vec<_>>().join(" ")),
            ),
            ("TIMEOUT", told.timeout.as_ref().map(seconds)),
        ];
        for (variable, value) in told {
            self.environment.retain(|(known, _)| *known != variable);
            self.environment.push((variable, value.unwrap_or_default()));
        }
        self
    }

    /// Lets them run on a clock.
    pub(super) fn on(mut self, clock: Option<&'a Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// A script, by this clock; what it and its daemons say goes to one file.
    fn command(&self, script: &str, clock: Option<&Clock>) -> io::Result<Command> {
        let said = OpenOptions::new()
            .create(true)
            .append(true)
            .open(Self::said_path())?;
        let mut words: Vec<OsString> = match self.id {
            0 => Vec::new(),
            id => ["/proc/self/exe", "user", &id.to_string(), "--"]
                .map(OsString::from)
                .to_vec(),
        };
        // A script that writes without end is stopped by the kernel, and not by a full disk.
        let script = format!("ulimit -f {MAX_FILE_BLOCKS}\n{script}");
        words.extend(["/bin/sh", "-euc", &script].map(OsString::from));
        if let Some(clock) = clock {
            words = clock.command(&words);
        }
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
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

    /// Runs the script that writes the configuration: it has nothing to wait for, and may take a while.
    pub(super) async fn configure(&self, script: &str) -> io::Result<()> {
        let command = self.command(script, None)?;
        self.finish("configure", command).await
    }

    /// Runs a script to its end.
    pub(super) async fn run(&self, what: &str, script: &str) -> io::Result<()> {
        let command = self.command(script, self.clock)?;
        self.finish(what, command).await
    }

    /// Runs the script that hands over a message, which is in a file.
    pub(super) async fn submit(
        &self,
        script: &str,
        message: &Message,
        path: &Path,
    ) -> io::Result<()> {
        let to: Vec<&str> = message.to.iter().map(|to| &*to.text).collect();
        let from = message.from.as_ref().map_or("", |from| &*from.text);
        let mut command = self.command(script, self.clock)?;
        command
            .env("SENDER", from)
            .env("RECIPIENTS", to.join(" "))
            .env("MESSAGE", path);
        self.finish("submit", command).await
    }

    async fn finish(&self, what: &str, mut command: Command) -> io::Result<()> {
        let mut running = self.started(&mut command)?;
        Self::succeeded(what, self.within(what, running.wait()).await?)
    }

    fn started(&self, command: &mut Command) -> io::Result<Child> {
        let running = command.spawn()?;
        let id = running.id().unwrap_or_default();
        self.running.store(id, Ordering::Relaxed);
        Ok(running)
    }

    /// What a script prints; what it says besides is kept with what all say.
    pub(super) async fn output(&self, what: &str, script: &str) -> io::Result<Vec<u8>> {
        let mut command = self.command(script, self.clock)?;
        let mut running = self.started(command.stdout(Stdio::piped()))?;
        let mut printed = Vec::new();
        let status = self.within(what, async {
            if let Some(out) = running.stdout.take() {
                // One octet more than is kept, by which it is known that there was more.
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

    /// Kills all that the scripts have left running, and waits until none of it is there any more.
    pub(super) async fn kill_all(&self) -> io::Result<()> {
        let gone = async {
            loop {
                end_all_others();
                reap_all_but(None);
                if is_alone()? {
                    return Ok(());
                }
                tokio::time::sleep(SOON).await;
            }
        };
        self.within("the end of its processes", gone).await
    }

    /// What comes of some work in real time, for which nobody waits for ever.
    pub(super) async fn within<T>(
        &self,
        what: &str,
        work: impl Future<Output = io::Result<T>>,
    ) -> io::Result<T> {
        let ended = tokio::time::timeout(LIMIT, work).await;
        self.running.store(0, Ordering::Relaxed);
        // It may have ended in the background before the script did.
        reap_all_but(None);
        ended.unwrap_or_else(|_| {
            let text = format!("{what} did not end within {LIMIT:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })
    }

    /// An error with the last line that was said, if a script failed.
    fn succeeded(what: &str, status: ExitStatus) -> io::Result<()> {
        if status.success() {
            return Ok(());
        }
        // The last line that is not empty: shells say there what went wrong.
        let said = said();
        let last = said.lines().rev().find(|line| !line.trim().is_empty());
        let last = last.map_or(String::new(), |line| format!(": {line}"));
        Err(io::Error::other(format!(
            "{what} ended with {status}{last}"
        )))
    }
}

/// Lets go what ended in the background, but for a script that is waited for.
fn reaper(running: Arc<AtomicU32>) -> io::Result<JoinHandle<()>> {
    let mut ended = signal(SignalKind::child())?;
    Ok(tokio::spawn(async move {
        while ended.recv().await.is_some() {
            let script = running.load(Ordering::Relaxed);
            reap_all_but(Some(script).filter(|id| *id != 0));
        }
    }))
}

/// What the server's scripts and daemons said, the end of it if it is much.
pub(crate) fn said() -> String {
    tail(Some(&Scripts::said_path()))
}

/// The end of a file, if there is one.
pub(crate) fn tail(path: Option<&Path>) -> String {
    let read = |path: &Path| {
        let mut octets = Vec::new();
        // Of a long file only its end is read, where the newest lines are.
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
    let scripts = Scripts::new(adapter, host, scenario)?;
    let printed = scripts.output("version", &adapter.version).await?;
    let printed = String::from_utf8_lossy(&printed).trim().to_owned();
    if printed.is_empty() {
        Err(io::Error::other("version printed nothing"))
    } else {
        Ok(printed)
    }
}
