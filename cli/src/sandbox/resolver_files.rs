//! The files by which programs find names: resolv.conf, hosts, nsswitch.conf and the host's own name.
//!
//! Most programs find names through the C library, which reads these files. It may also ask a cache
//! daemon of the host, whose folder is covered by an empty one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nix::mount::{MntFlags, MsFlags, umount2};

use mxdrill::lab::namespace::SendersHost;

use super::{bind, mount_tmpfs};

/// Folders of daemons that answer for the name service, and would do so with the host's records.
const CACHES: [&str; 2] = ["/run/nscd", "/var/run/nscd"];

/// Files in `/etc`, each with its text.
pub(crate) type NameFiles = Vec<(&'static str, String)>;

/// The names of the files and their texts. Where time is real, the one name server is asked once and waited for
/// one second, since faults of DNS should cost no minutes. `trust-ad` lets programs see the AD bit.
pub(crate) fn texts(host: &SendersHost, is_real_time: bool) -> NameFiles {
    let name = host.name();
    let label = name.split('.').next().unwrap_or(&name).to_owned();
    let mut hosts = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
    for address in &host.addresses {
        hosts.push_str(&format!("{address} {name} {label}\n"));
    }
    let waits = if is_real_time {
        "timeout:1 attempts:1 "
    } else {
        ""
    };
    vec![
        (
            "resolv.conf",
            format!("nameserver 127.0.0.1\noptions {waits}trust-ad\n"),
        ),
        ("hosts", hosts),
        (
            "nsswitch.conf",
            "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n"
                .to_owned(),
        ),
        ("hostname", format!("{label}\n")),
        ("mailname", format!("{name}\n")),
    ]
}

/// Puts them in the place of the host's files, for whoever runs inside; the host's stay as they are.
///
/// # Errors
/// When there is no `/etc/resolv.conf` to put the lab's in place of, or the kernel does not allow it.
pub(crate) fn cover(host: &SendersHost, is_real_time: bool) -> io::Result<()> {
    let mut covered = Vec::new();
    for (file, text) in texts(host, is_real_time) {
        match Path::new("/etc").join(file).canonicalize() {
            Ok(theirs) => covered.push((file, text, theirs)),
            Err(error) if file == "resolv.conf" => {
                let text = format!(
                    "/etc/resolv.conf: {error}; expected a file to put the lab's in place of"
                );
                return Err(io::Error::new(error.kind(), text));
            }
            // Programs do without it, as on this host.
            Err(_) => {}
        }
    }
    let theirs: Vec<&Path> = covered
        .iter()
        .map(|(.., theirs)| theirs.as_path())
        .collect();
    let workshop = free_folder(&theirs)?;
    mount_tmpfs(&workshop, MsFlags::MS_NOSUID | MsFlags::MS_NODEV)?;
    for (file, text, theirs) in &covered {
        let ours = workshop.join(file);
        fs::write(&ours, text)?;
        bind(&ours, theirs)?;
    }
    let caches = CACHES.iter().map(Path::new).filter(|cache| cache.is_dir());
    caches
        .into_iter()
        .try_for_each(|cache| mount_tmpfs(cache, MsFlags::MS_NOSUID | MsFlags::MS_NODEV))?;
    // What is bound stays.
    umount2(&workshop, MntFlags::MNT_DETACH)?;
    Ok(())
}

/// A folder of the host in whose place something may be mounted, since none of these paths is in it.
///
/// # Errors
/// When there is none.
pub(crate) fn free_folder(needed: &[&Path]) -> io::Result<PathBuf> {
    let candidates = ["/mnt", "/srv", "/media", "/opt", "/home", "/tmp"].map(PathBuf::from);
    let free =
        |folder: &PathBuf| folder.is_dir() && !needed.iter().any(|path| path.starts_with(folder));
    let found = candidates.into_iter().find(free);
    found.ok_or_else(|| io::Error::other("found no folder such as /mnt to mount at"))
}
