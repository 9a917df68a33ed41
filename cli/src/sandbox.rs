//! A private network made of Linux namespaces: a drill's own addresses, names and files, for any
//! program at all, and nothing else in reach.
//!
//! Three processes: the one that the user started, or a keeper for each drill, which makes the
//! namespaces; this program once more as the first process inside, which is the lab; and what is
//! drilled. The first process inside dies with its keeper, and everything else inside dies with it:
//! the kernel takes processes, mounts and network away, however a run ends. What the lab serves
//! inside is `lab::namespace`'s.
//!
//! The steps, in order:
//!
//! 1. The keeper makes new namespaces for mounts, network, host name, IPC and processes, and for
//!    users unless it is root and asked for the host's ids.
//! 2. It starts this program again, which is process 1 of the new namespace of processes: when that
//!    ends, the kernel ends all others in it.
//! 3. Process 1 reads from a pipe whose other end the keeper holds: if that is closed, the keeper
//!    was dead before the kernel was told to end process 1 with it ([`begin`]).
//! 4. It mounts its own `/proc`, hides the host's files ([`rootfs`]) or only those that name servers
//!    are found by ([`resolver_files`]), gives itself ids ([`ids`]) and brings up the network ([`host`]).
//!
//! Nothing of it needs root where user namespaces are allowed.

pub(crate) mod host;
pub(crate) mod ids;
pub(crate) mod resolver_files;
pub(crate) mod rootfs;

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, IsTerminal, Read},
    os::{
        fd::{AsRawFd, RawFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
    process::ExitStatus,
    time::Duration,
};

use nix::{
    fcntl::{FcntlArg, FdFlag, OFlag, fcntl},
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::{
        prctl::set_pdeathsig,
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, waitid, waitpid},
    },
    unistd::{Pid, getegid, geteuid, getpid, getppid, sethostname},
};

use crate::signals;

/// How long the first process inside may take to end once it was asked to, before it is killed.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// How often it is asked: a process that has just begun has no handler yet and hears nothing.
const SAID_AGAIN: Duration = Duration::from_millis(100);

/// Whose ids programs inside have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    /// Those of the host, which only root can give; for others as `Mapped`.
    Host,
    /// One id, that of the user, which is root inside.
    Mapped,
}

/// Runs this program again, with these arguments after `--inside FD`, as the first process of new
/// namespaces, and waits for it. An interrupt from the terminal is left to what runs inside.
///
/// # Errors
/// That namespaces may not be made here, with what would allow it.
pub(crate) fn run_inside(ids: Ids, arguments: &[OsString]) -> io::Result<ExitStatus> {
    separate(ids)?;
    inside(arguments, Terminated::IsHandedOn)
}

/// What becomes of the wish that this process end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Terminated {
    /// The first process inside hears of it, and has something to say before it ends.
    IsHandedOn,
    /// It ends here, and with it all that is inside.
    EndsAll,
}

/// Starts this program as the first process inside, and waits for it.
fn inside(arguments: &[OsString], terminated: Terminated) -> io::Result<ExitStatus> {
    let (lifeline, held) = io::pipe()?;
    fcntl(&lifeline, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let mut command = tokio::process::Command::new("/proc/self/exe");
    command
        .arg("--inside")
        .arg(lifeline.as_raw_fd().to_string())
        .args(arguments);
    let runtime = crate::runtime::of_this_thread()?;
    let status = runtime.block_on(async {
        let mut child = command.spawn()?;
        let wish = async {
            match terminated {
                // An interrupt from the terminal reaches the command by itself.
                Terminated::IsHandedOn if io::stdin().is_terminal() => signals::terminated().await,
                Terminated::IsHandedOn => signals::interrupted().await,
                Terminated::EndsAll => std::future::pending().await,
            }
        };
        let wished = tokio::select! {
            status = waited(&mut child) => return status,
            wished = wish => wished,
        };
        wished?;
        let own = child.id().and_then(|id| i32::try_from(id).ok());
        let ended = tokio::time::timeout(LAST_WORDS, async {
            loop {
                if let Some(id) = own {
                    // It may have ended just now.
                    kill(Pid::from_raw(id), Signal::SIGTERM).ok();
                }
                // One that has just begun hears nothing yet.
                let again = tokio::time::sleep(SAID_AGAIN);
                tokio::select! {
                    status = waited(&mut child) => return status,
                    () = again => {}
                }
            }
        });
        match ended.await {
            Ok(status) => status,
            Err(_) => {
                child.start_kill()?;
                child.wait().await
            }
        }
    });
    drop(held);
    status
}

/// How a process ended; an interrupt from the terminal is left to it.
async fn waited(child: &mut tokio::process::Child) -> io::Result<ExitStatus> {
    loop {
        tokio::select! {
            status = child.wait() => return status,
            interrupted = tokio::signal::ctrl_c() => interrupted?,
        }
    }
}

/// Lets this process die with the one that started it, from before it makes namespaces.
///
/// # Errors
/// That it is dead already.
pub(crate) fn die_with_parent() -> io::Result<Parent> {
    set_pdeathsig(Signal::SIGKILL)?;
    let parent = Parent(getppid());
    // It may have died before the wish was known; then another process is in its place.
    let meant = std::env::var(PARENT).unwrap_or_default();
    if meant == parent.0.to_string() {
        Ok(parent)
    } else {
        Err(gone())
    }
}

/// The variable that tells a process the id of the one that started it.
pub(crate) const PARENT: &str = "MXDRILL_PARENT";

/// The error when there is nobody left to work for.
fn gone() -> io::Error {
    io::Error::other("the process that asked for this is gone")
}

/// The process that this one is to die with, as it was when the kernel was told so.
pub(crate) struct Parent(Pid);

/// As [`run_inside`], in a process that is to die with its parent.
///
/// # Errors
/// As [`run_inside`].
pub(crate) fn run_inside_with(
    parent: &Parent,
    ids: Ids,
    arguments: &[OsString],
) -> io::Result<ExitStatus> {
    separate(ids)?;
    // New credentials take the wish back.
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != parent.0 {
        return Err(gone());
    }
    inside(arguments, Terminated::EndsAll)
}

/// Makes the namespaces for this process's children. In a new namespace of users, one id is mapped:
/// more would need a helper that is root.
fn separate(ids: Ids) -> io::Result<()> {
    let (user, group) = (geteuid(), getegid());
    let private_user = ids == Ids::Mapped || !user.is_root();
    let mut flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWPID;
    if private_user {
        flags |= CloneFlags::CLONE_NEWUSER;
    }
    unshare(flags).map_err(|error| refused("namespaces", error.into()))?;
    if private_user {
        let map = |id: u32| format!("0 {id} 1\n");
        // The kernel asks for this before an ordinary user may map a group.
        fs::write("/proc/self/setgroups", "deny")
            .and_then(|()| fs::write("/proc/self/uid_map", map(user.as_raw())))
            .and_then(|()| fs::write("/proc/self/gid_map", map(group.as_raw())))
            .map_err(|error| refused("ids of its own", error))?;
    }
    small_tables()
}

/// Puts this process into a network whose table of connections is its own and small: all others share one that is as large
/// as the machine is, and the clock has it walked for each connection that is opened. Where the kernel knows of no such
/// table (before Linux 6.1) the network is as it was.
fn small_tables() -> io::Result<()> {
    /// What holds for the networks that are made from this one.
    const SETTING: &str = "/proc/sys/net/ipv4/tcp_child_ehash_entries";
    const ENTRIES: &str = "256";
    match fs::write(SETTING, ENTRIES) {
        Ok(()) => {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|error| refused("namespaces", error.into()))
        }
        Err(_) => Ok(()),
    }
}

/// The error for a system that does not allow namespaces, with what would.
fn refused(what: &str, error: io::Error) -> io::Error {
    let hint = "a private network needs Linux with user namespaces (sysctl user.max_user_namespaces above 0; \
        on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0), or root; in a container, --privileged";
    io::Error::new(
        error.kind(),
        format!("the kernel does not give this process {what}: {error}; {hint}"),
    )
}

/// What the first process inside does first: it ties its life to its keeper's, and takes mounts and
/// processes for its own. `lifeline` is the descriptor that [`run_inside`] passed.
///
/// # Errors
/// That the keeper is gone, or that the kernel does not allow a step.
pub(crate) fn begin(lifeline: RawFd, host_name: &str) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    let mut keeper = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(format!("/proc/self/fd/{lifeline}"))?;
    // Nothing to read yet means that the keeper is there; an end of file means that it is not.
    match keeper.read(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        _ => return Err(io::Error::other("the process that keeps this one is gone")),
    }
    let none = None::<&str>;
    // Mounts that are shared with the host would be seen there.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|error| refused("mounts of its own", error.into()))?;
    mount_proc(Path::new("/proc"))?;
    // A dot in the kernel's host name would become a search suffix in programs written in Go.
    let label = host_name.split('.').next().unwrap_or(host_name);
    sethostname(label)?;
    Ok(())
}

/// Lets processes go that ended and whose parents did before, in the first process of a namespace, whose
/// children they are now; all but one, which somebody waits for.
pub(crate) fn reap_all_but(own: Option<u32>) {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(status) = waitid(Id::All, flags) {
        let Some(ended) = status.pid() else {
            return;
        };
        if u32::try_from(ended.as_raw()).ok() == own || waitpid(ended, None).is_err() {
            return;
        }
    }
}

/// Ends every other process of this namespace, in its first one; elsewhere it does nothing. They would end with this
/// process, but a little later than what it serves them with.
pub(crate) fn end_all_others() {
    if getpid() == Pid::from_raw(1) {
        kill(Pid::from_raw(-1), Signal::SIGKILL).ok();
    }
}

/// Whether this namespace has no process but this one. Who has ended and was not let go yet is one.
///
/// # Errors
/// That its processes cannot be listed.
pub(crate) fn is_alone() -> io::Result<bool> {
    let own = getpid().to_string();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(|c: char| c.is_ascii_digit()) && *name != *own {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Mounts the processes of this namespace.
fn mount_proc(at: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), at, Some("proc"), flags, None::<&str>)
        .map_err(|error| refused("a /proc of its own", error.into()))
}

/// How an empty file system is made: one drill must not fill the memory of its host.
const TMPFS: &str = "mode=755,size=512m";

/// Mounts an empty file system in memory.
fn mount_tmpfs(at: &Path, flags: MsFlags) -> io::Result<()> {
    mount(Some("mxdrill"), at, Some("tmpfs"), flags, Some(TMPFS))
        .map_err(|error| refused(&format!("a tmpfs at {}", at.display()), error.into()))
}

/// Lets a file or folder be seen at another place too.
fn bind(from: &Path, at: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(from), at, None::<&str>, flags, None::<&str>).map_err(|error| {
        let paths = format!("{} at {}", from.display(), at.display());
        refused(&format!("a mount of {paths}"), error.into())
    })
}
