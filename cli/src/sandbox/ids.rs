//! One id for everybody: mail servers change to users of their own, and a namespace of an ordinary
//! user has no second id to change to.
//!
//! So every process inside has the user's id, which is root's inside. System calls that would
//! change it, or the owner of a file, report success and do nothing: a seccomp filter answers for
//! them. A server that checks who it is afterwards gets a namespace of its own with just that id
//! ([`become_user`]).

use std::{
    collections::BTreeMap, convert::Infallible, ffi::OsString, fs, io,
    os::unix::process::CommandExt, process::Command,
};

use nix::{
    libc,
    sched::{CloneFlags, unshare},
    unistd::{getegid, geteuid},
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// The system calls that succeed and do nothing from now on, in this thread and in what it starts.
/// Calls that read ids still tell the truth.
const DONE_AS_IT_IS: &[libc::c_long] = &[
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
];

/// Becomes another user, in a namespace that has only that one, and then a program.
///
/// # Errors
/// What the kernel does not allow, or that there is no such program.
pub(crate) fn become_user(id: u32, program: &[OsString]) -> io::Result<Infallible> {
    let [program, arguments @ ..] = program else {
        return Err(io::Error::other("found no program, expected one"));
    };
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    fs::write("/proc/self/uid_map", format!("{id} {user} 1\n"))?;
    fs::write("/proc/self/gid_map", format!("{id} {group} 1\n"))?;
    Err(Command::new(program).args(arguments).exec())
}

/// Lets changes of user, group and owner pass without effect.
///
/// # Errors
/// When the kernel has no seccomp, or the processor is one that its filters are not made for.
pub(crate) fn let_changes_pass() -> io::Result<()> {
    let rules: BTreeMap<i64, Vec<seccompiler::SeccompRule>> = DONE_AS_IT_IS
        .iter()
        .map(|call| (*call, Vec::new()))
        .collect();
    let architecture = std::env::consts::ARCH
        .try_into()
        .map_err(io::Error::other)?;
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(0),
        architecture,
    );
    let program: BpfProgram = filter
        .and_then(TryInto::try_into)
        .map_err(io::Error::other)?;
    seccompiler::apply_filter(&program).map_err(io::Error::other)
}
