//! A root folder of its own for a mail server that is unpacked and not installed: its files over the
//! host's programs and libraries, everything else fresh and in memory.
//!
//! The tree in the cache is shared by all drills and never written to: it is the lower layer of an
//! overlay that is mounted for reading. What servers write goes to a file system in memory that
//! ends with the namespace.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    unistd::pivot_root,
};

use super::{
    bind, mount_proc, mount_tmpfs, refused,
    resolver_files::{self, NameFiles},
};

/// What of the host's `/etc` programs need to run at all: the linker's cache, certificates, names
/// of services.
const FROM_ETC: [&str; 9] = [
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "alternatives",
    "ssl",
    "localtime",
    "services",
    "protocols",
    "mime.types",
];
/// The devices that programs need; each is the host's own, bound.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Folders that are there from the start, empty.
const FOLDERS: [&str; 14] = [
    "dev/shm",
    "etc",
    "home",
    "opt",
    "proc",
    "root",
    "run",
    "srv",
    "tmp",
    "usr",
    "var/lib",
    "var/log",
    "var/spool",
    "var/tmp",
];
/// The first id of the users and groups of a mail server, above those of the system.
const FIRST_ID: u32 = 100;

/// Who a mail server's files and processes would belong to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts<'a> {
    /// Users, each with a group of the same name.
    pub(crate) users: &'a [String],
    /// Groups alone.
    pub(crate) groups: &'a [String],
}

/// The id of a mail server's user, by its place among them.
pub(crate) fn id_of(index: usize) -> u32 {
    FIRST_ID + u32::try_from(index).unwrap_or(0)
}

/// Makes the unpacked `tree` the root of this process and of what it starts; nothing of the host's
/// files is left but `/usr` and what belongs to it.
///
/// # Errors
/// What the kernel does not allow, or a file that cannot be read.
pub(crate) fn change(tree: &Path, names: NameFiles, accounts: &Accounts<'_>) -> io::Result<()> {
    let root = resolver_files::free_folder(&[tree])?;
    mount_tmpfs(&root, MsFlags::empty())?;
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder))?;
    }
    for open in ["tmp", "var/tmp", "dev/shm"] {
        fs::set_permissions(root.join(open), fs::Permissions::from_mode(0o1777))?;
    }
    symlink("/run", root.join("var/run"))?;
    system(tree, &root)?;
    settings(tree, &root, names, accounts)?;
    copy(&tree.join("var"), &root.join("var"))?;
    if tree.join("opt").is_dir() {
        // Two layers there must be; the second has nothing in it.
        let layers = format!(
            "lowerdir={}:{}",
            tree.join("opt").display(),
            root.join("srv").display()
        );
        overlay(&layers, &root.join("opt"))?;
    }
    devices(&root)?;
    mount_proc(&root.join("proc"))?;
    std::env::set_current_dir(&root)?;
    pivot_root(".", ".").map_err(|error| refused("a root of its own", error.into()))?;
    umount2(".", MntFlags::MNT_DETACH)?;
    std::env::set_current_dir("/")
}

/// Programs and libraries: the tree's over the host's, for reading only.
fn system(tree: &Path, root: &Path) -> io::Result<()> {
    let layers = format!("lowerdir={}:/usr", tree.join("usr").display());
    overlay(&layers, &root.join("usr"))?;
    for folder in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        let (theirs, ours) = (Path::new("/").join(folder), root.join(folder));
        match fs::read_link(&theirs) {
            Ok(target) => symlink(target, ours)?,
            Err(_) if theirs.is_dir() => {
                fs::create_dir(&ours)?;
                bind(&theirs, &ours)?;
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// Mounts layers over each other, for reading only.
fn overlay(layers: &str, at: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_RDONLY;
    let options = format!("{layers},userxattr");
    let kind = Some("overlay");
    mount(Some("mxdrill"), at, kind, flags, Some(&*options)).map_err(|error| {
        let what = format!("an overlay at {} (Linux 5.11; {layers})", at.display());
        refused(&what, error.into())
    })
}

/// `/etc`: what programs need of the host's, what the packages bring, what the drill says.
///
/// Later ones replace earlier ones.
fn settings(tree: &Path, root: &Path, names: NameFiles, accounts: &Accounts<'_>) -> io::Result<()> {
    let etc = root.join("etc");
    for entry in FROM_ETC {
        let theirs = Path::new("/etc").join(entry);
        if theirs.exists() {
            copy(&theirs, &etc.join(entry))?;
        }
    }
    copy(&tree.join("etc"), &etc)?;
    let mut passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        .to_owned();
    let mut group = "root:x:0:\nmail:x:8:\nnogroup:x:65534:\n".to_owned();
    for (index, user) in accounts.users.iter().enumerate() {
        let id = id_of(index);
        passwd.push_str(&format!(
            "{user}:x:{id}:{id}::/var/lib/{user}:/usr/sbin/nologin\n"
        ));
        group.push_str(&format!("{user}:x:{id}:\n"));
    }
    for (id, name) in (id_of(accounts.users.len())..).zip(accounts.groups) {
        group.push_str(&format!("{name}:x:{id}:\n"));
    }
    let own = [("passwd", passwd), ("group", group)];
    for (file, text) in names.into_iter().chain(own) {
        let path = etc.join(file);
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

/// Binds the devices, and makes the links that programs expect beside them.
fn devices(root: &Path) -> io::Result<()> {
    for device in DEVICES {
        let ours = root.join("dev").join(device);
        fs::write(&ours, "")?;
        bind(&Path::new("/dev").join(device), &ours)?;
    }
    let links = [
        ("fd", ""),
        ("stdin", "/0"),
        ("stdout", "/1"),
        ("stderr", "/2"),
    ];
    links.into_iter().try_for_each(|(name, at)| {
        symlink(format!("/proc/self/fd{at}"), root.join("dev").join(name))
    })
}

/// Copies files, folders and links; what cannot be read is left out, as a private key of the host.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(about) = from.symlink_metadata() else {
        return Ok(());
    };
    if about.is_symlink() {
        let taken = to.symlink_metadata().is_ok();
        return if taken {
            Ok(())
        } else {
            symlink(fs::read_link(from)?, to)
        };
    }
    if about.is_file() {
        return match fs::copy(from, to) {
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => Err(error),
            _ => Ok(()),
        };
    }
    let Ok(entries) = fs::read_dir(from) else {
        return Ok(());
    };
    if !to.is_dir() {
        fs::create_dir(to)?;
    }
    for entry in entries {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
