//! Where mail servers come from: packages unpacked into a cache folder; nothing is installed.
//!
//! The steps of [`get`]:
//!
//! 1. What is there already is taken, if it was made from the same packages on the same release of
//!    the system.
//! 2. A folder beside the final one is begun; its name has the id of this process, so that
//!    leftovers of a killed one can be told.
//! 3. Lists of packages are brought into the cache, without root: the host's own may be weeks old, and name packages
//!    that there are no more. Where they cannot be had the host's are used.
//!    Packages are downloaded as on a system where nothing is installed, without what the host has,
//!    and unpacked into it.
//! 4. The folder is renamed into place: nobody ever sees half of one.
//!
//! No script of a package is run, and nothing of the host is changed.

use std::{
    collections::BTreeSet,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Adapter, variant};
use crate::{commands::say, signals};

/// The interpreter that mail servers find, too: packages may be compiled for it alone.
const PYTHON: &str = "/usr/bin/python3";

/// A mail server that is unpacked, and may be used by many drills at once: nobody writes into it.
#[derive(Debug, Clone)]
pub(crate) struct RootFs {
    /// Its root folder, with `usr`, `etc`, `var` and perhaps `opt`.
    pub(crate) root: PathBuf,
    /// The packages that it was made of, with their versions, a line each.
    pub(crate) packages: Vec<String>,
}

/// The folder that mail servers are unpacked in: `$MXDRILL_CACHE`, or `mxdrill` in the user's cache.
///
/// # Errors
/// When the user has no home.
pub(crate) fn cache() -> io::Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = set("MXDRILL_CACHE") {
        return std::path::absolute(PathBuf::from(folder));
    }
    if let Some(folder) = set("XDG_CACHE_HOME") {
        return Ok(PathBuf::from(folder).join("mxdrill"));
    }
    let home = set("HOME").ok_or_else(|| {
        io::Error::other(
            "found neither MXDRILL_CACHE nor HOME, expected a folder to keep mail servers in",
        )
    })?;
    Ok(PathBuf::from(home).join(".cache/mxdrill"))
}

/// The mail server of an adapter, if it has been unpacked.
///
/// # Errors
/// When the cache cannot be read.
pub(crate) fn find(id: &str, adapter: &Adapter) -> io::Result<Option<RootFs>> {
    let folder = folder(id, adapter)?;
    match fs::read_to_string(folder.join("packages")) {
        Ok(text) => Ok(Some(RootFs {
            root: folder.join("root"),
            packages: text.lines().map(str::to_owned).collect(),
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(in_cache(&folder, error)),
    }
}

/// An error about the cache, with where that is.
fn in_cache(folder: &Path, error: io::Error) -> io::Error {
    let text = format!(
        "{}: {error}; MXDRILL_CACHE names another folder to keep mail servers in",
        folder.display()
    );
    io::Error::new(error.kind(), text)
}

/// Where a mail server is unpacked: a folder for each set of packages on each release of the system.
fn folder(id: &str, adapter: &Adapter) -> io::Result<PathBuf> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let mut recipe = DefaultHasher::new();
    (&adapter.debian, &adapter.npm, release).hash(&mut recipe);
    // What was fetched before there was this key is found again.
    if !adapter.pypi.is_empty() {
        adapter.pypi.hash(&mut recipe);
    }
    // What is changed in its configuration changes nothing here.
    let name = format!("{}-{:08x}", variant::server_of(id), recipe.finish() as u32);
    Ok(cache()?.join("mta").join(name))
}

/// Fetches and unpacks the mail server of an adapter, if that is not done yet.
///
/// # Errors
/// What a program of the distribution said that is needed for it.
pub(crate) fn get(id: &str, adapter: &Adapter) -> io::Result<RootFs> {
    if let Some(tree) = find(id, adapter)? {
        return Ok(tree);
    }
    let place = folder(id, adapter)?;
    let cache = cache()?.join("mta");
    fs::create_dir_all(&cache).map_err(|error| in_cache(&cache, error))?;
    sweep(&cache)?;
    let made = tempfile::Builder::new()
        .prefix(&format!(".{id}-{}-", std::process::id()))
        .tempdir_in(&cache)?;
    fs::set_permissions(made.path(), fs::Permissions::from_mode(0o755))?;
    let root = made.path().join("root");
    for part in ["usr", "etc", "var"] {
        fs::create_dir_all(root.join(part))?;
    }
    let mut packages = Vec::new();
    if !adapter.debian.is_empty() {
        packages.extend(unpack_debian(&adapter.debian, made.path(), &root)?);
    }
    if !adapter.npm.is_empty() {
        packages.extend(unpack_npm(&adapter.npm, &root)?);
    }
    if !adapter.pypi.is_empty() {
        packages.extend(unpack_pypi(&adapter.pypi, &root, Path::new(PYTHON))?);
    }
    let lines: String = packages.iter().map(|line| format!("{line}\n")).collect();
    fs::write(made.path().join("packages"), lines)?;
    if let Err(error) = fs::rename(made.path(), &place) {
        // Somebody else was faster.
        return find(id, adapter)?.ok_or(error);
    }
    drop(made.keep());
    Ok(RootFs {
        root: place.join("root"),
        packages,
    })
}

/// Set once: no program of a fetch may be started any more.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Ends what is being fetched by this process, from another thread: its programs, and what they left.
///
/// # Errors
/// What could not be removed.
pub(crate) fn stop() -> io::Result<()> {
    STOPPED.store(true, Ordering::SeqCst);
    let cache = cache()?.join("mta");
    // A program that was just being started when it was looked first is there when it is looked again.
    for _ in 0..2 {
        signals::kill_descendants();
        remove(&cache, |maker| maker == std::process::id())?;
    }
    Ok(())
}

/// Removes what fetches left that were killed.
fn sweep(cache: &Path) -> io::Result<()> {
    remove(cache, |maker| {
        !Path::new(&format!("/proc/{maker}")).exists()
    })
}

/// Removes unfinished folders, `.NAME-PROCESS-REST`, of these processes.
fn remove(cache: &Path, is_meant: impl Fn(u32) -> bool) -> io::Result<()> {
    let entries = match fs::read_dir(cache) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(in_cache(cache, error)),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let mut parts = name.rsplitn(3, '-').skip(1);
        let maker = parts.next().and_then(|maker| maker.parse().ok());
        if name.starts_with('.') && maker.is_some_and(&is_meant) {
            match fs::remove_dir_all(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Settings of apt with which it has lists of packages of its own in the cache, brought up to date once by this
/// process; `None` where they cannot be had.
fn own_lists() -> io::Result<Option<PathBuf>> {
    static BROUGHT: OnceLock<Option<PathBuf>> = OnceLock::new();
    if let Some(brought) = BROUGHT.get() {
        return Ok(brought.clone());
    }
    let folder = cache()?.join("apt");
    let lists = folder.join("lists");
    fs::create_dir_all(lists.join("partial")).map_err(|error| in_cache(&folder, error))?;
    let settings = folder.join("apt.conf");
    // What the host does after an update is about the host's lists. Whoever runs this may write to the cache,
    // which apt's own user may not.
    let text = format!(
        "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n\
        Dir::State::lists \"{}\";\nDir::Cache \"{}\";\nAPT::Sandbox::User \"\";\nDebug::NoLocking \"1\";\n",
        lists.display(),
        folder.display()
    );
    fs::write(&settings, text).map_err(|error| in_cache(&folder, error))?;
    let mut update = Command::new("apt-get");
    update.arg("-c").arg(&settings).args(["-qq", "update"]);
    let brought = match output(&mut update, "apt") {
        Ok(_) => Some(settings),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
        Err(error) => {
            say::err(format_args!(
                "The system's own lists of packages are used: {error}"
            ));
            None
        }
    };
    Ok(BROUGHT.get_or_init(|| brought).clone())
}

/// Downloads packages with all that they depend on and the host does not have, and unpacks them.
fn unpack_debian(wanted: &[String], folder: &Path, root: &Path) -> io::Result<Vec<String>> {
    let debs = folder.join("debs");
    fs::create_dir(&debs)?;
    let status = debs.join("status");
    fs::write(&status, "")?;
    let own_lists = own_lists()?;
    let apt_get = || {
        let mut apt_get = Command::new("apt-get");
        if let Some(settings) = &own_lists {
            apt_get.arg("-c").arg(settings);
        }
        apt_get
    };
    // As on a system where nothing is installed yet, and without touching this one.
    let mut plan = apt_get();
    plan.args([
        "-qq",
        "-y",
        "-o",
        "Debug::NoLocking=1",
        "-o",
        "APT::Install-Recommends=0",
    ])
    .arg("-o")
    .arg(format!("Dir::State::status={}", status.display()))
    .args(["--print-uris", "install"])
    .args(wanted);
    let plan = output(&mut plan, "apt-get update")?;
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${Package} ${db:Status-Status}\n"]);
    let installed = output(&mut query, "dpkg")?;
    let installed: BTreeSet<&str> = installed
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    // 'URI' FILE SIZE HASH, FILE being NAME_VERSION_ARCHITECTURE.deb
    let needed = plan.lines().filter_map(|line| {
        let file = line.split_whitespace().nth(1)?;
        let (name, _) = file.split_once('_')?;
        Some(name.to_owned())
    });
    let missing = needed.filter(|name| !installed.contains(name.as_str()));
    let wanted: BTreeSet<String> = missing.chain(wanted.iter().cloned()).collect();
    let mut download = apt_get();
    download
        .args(["-qq", "download"])
        .args(&wanted)
        .current_dir(&debs);
    output(&mut download, "apt-get update")?;
    let mut files: Vec<PathBuf> = fs::read_dir(&debs)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "deb"));
    files.sort();
    for file in &files {
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("-x").arg(file).arg(root);
        output(&mut unpack, "dpkg")?;
    }
    let named = |file: &PathBuf| {
        file.file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let named = files.iter().map(named).collect();
    fs::remove_dir_all(&debs)?;
    for part in ["bin", "sbin", "lib", "lib64"] {
        merge(&root.join(part), &root.join("usr").join(part))?;
    }
    harmless(root)?;
    Ok(named)
}

/// Installs packages of the npm registry into `/opt`, without running their scripts.
fn unpack_npm(wanted: &[String], root: &Path) -> io::Result<Vec<String>> {
    let opt = root.join("opt");
    fs::create_dir_all(&opt)?;
    let mut install = Command::new("npm");
    install
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--loglevel=error",
            "--prefix",
        ])
        .arg(&opt)
        .args(wanted);
    output(&mut install, "npm (Node.js)")?;
    let mut list = Command::new("npm");
    list.args(["ls", "--depth=0", "--parseable", "--long", "--prefix"])
        .arg(&opt);
    let list = output(&mut list, "npm (Node.js)")?;
    let packages = list.lines().skip(1);
    Ok(packages
        .filter_map(|line| line.split(':').nth(1).map(|name| format!("npm {name}")))
        .collect())
}

/// Installs packages of PyPI into `/opt/python`, by the pip of an interpreter. Wheels alone: a source distribution is
/// built by scripts of its own.
fn unpack_pypi(wanted: &[String], root: &Path, python: &Path) -> io::Result<Vec<String>> {
    let folder = root.join("opt/python");
    fs::create_dir_all(&folder)?;
    let pip = |arguments: &[&str]| {
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "--disable-pip-version-check"])
            .args(arguments)
            // Packages for the user alone, as some have it in their configuration, go to no other folder.
            .env("PIP_USER", "0");
        pip
    };
    let mut install = pip(&["install", "--quiet", "--only-binary", ":all:"]);
    install
        .args(["--no-warn-script-location", "--root-user-action", "ignore"])
        .arg("--target")
        .arg(&folder)
        .args(wanted);
    output(&mut install, "pip (python3-pip)")?;
    let mut list = pip(&["list", "--format", "freeze", "--path"]);
    let list = output(list.arg(&folder), "pip (python3-pip)")?;
    Ok(list.lines().map(|name| format!("pypi {name}")).collect())
}

/// Moves what a package has beside `/usr` into it, where the host's links lead.
fn merge(from: &Path, to: &Path) -> io::Result<()> {
    let Ok(about) = from.symlink_metadata() else {
        return Ok(());
    };
    if !about.is_dir() || !to.is_dir() {
        if to.symlink_metadata().is_ok() {
            return fs::remove_file(from);
        }
        return fs::rename(from, to);
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        merge(&entry.path(), &to.join(entry.file_name()))?;
    }
    fs::remove_dir(from)
}

/// Takes the bits from files that would let others run them as root: they lie in a user's cache.
fn harmless(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            continue;
        }
        let mode = entry.metadata()?.permissions().mode();
        if mode & 0o6000 != 0 || mode & 0o400 == 0 {
            let plain = fs::Permissions::from_mode(mode & 0o1777 | 0o400);
            fs::set_permissions(entry.path(), plain)?;
        }
        if kind.is_dir() {
            harmless(&entry.path())?;
        }
    }
    Ok(())
}

/// What a program prints; when it is missing or fails, what to do about it.
fn output(command: &mut Command, needs: &str) -> io::Result<String> {
    if STOPPED.load(Ordering::SeqCst) {
        return Err(io::ErrorKind::Interrupted.into());
    }
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("{program}: {error}; it is needed to fetch this mail server ({needs})"),
        )
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!(
        "{program} failed: {said}; it may want {needs} first"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_fetch_left_is_swept_and_others_are_left_alone() {
        let cache = tempfile::tempdir().expect("a folder");
        let own = std::process::id();
        // No process has so high an id.
        let dead = format!(".exim-{}-abc", u32::MAX);
        let alive = format!(".exim-{own}-abc");
        for folder in [&*dead, &alive, "exim-0123abcd", ".other"] {
            fs::create_dir_all(cache.path().join(folder).join("root")).expect("made");
        }
        sweep(cache.path()).expect("swept");
        let left = |name: &str| cache.path().join(name).exists();
        assert!(!left(&dead) && left(&alive) && left("exim-0123abcd") && left(".other"));
        remove(cache.path(), |maker| maker == own).expect("removed");
        assert!(!left(&alive) && left("exim-0123abcd"));
    }

    #[test]
    fn what_lies_beside_usr_is_merged_into_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (from, to) = (folder.path().join("lib"), folder.path().join("usr/lib"));
        fs::create_dir_all(from.join("x")).expect("made");
        fs::create_dir_all(to.join("x")).expect("made");
        fs::write(from.join("x/one"), "1").expect("written");
        fs::write(to.join("x/two"), "2").expect("written");
        merge(&from, &to).expect("merged");
        assert!(to.join("x/one").is_file() && to.join("x/two").is_file() && !from.exists());
    }

    /// A script in the place of a Python interpreter.
    fn interpreter(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("python3");
        // Written by a process that has ended: one that is being written cannot be started.
        let mut write = Command::new("sh");
        write.args([
            "-c",
            "printf '#!/bin/sh\n%s\n' \"$1\" > \"$0\"; chmod +x \"$0\"",
        ]);
        let written = write.arg(&path).arg(script).status().expect("a shell");
        assert!(written.success());
        path
    }

    #[test]
    fn packages_of_pypi_come_by_pip_and_without_it_the_package_that_has_it_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let wanted = ["a-server==1".to_owned(), "b<2".to_owned()];
        let python = interpreter(
            folder.path(),
            "case $4 in install) for word; do echo \"$word\"; done > \"$(dirname \"$0\")/told\" ;; list) echo a-server==1 ;; esac",
        );
        let names = unpack_pypi(&wanted, folder.path(), &python).expect("installed");
        assert_eq!(names, ["pypi a-server==1"]);
        let told = fs::read_to_string(folder.path().join("told")).expect("told");
        let target = folder.path().join("opt/python");
        assert!(target.is_dir());
        let end = format!("--target\n{}\na-server==1\nb<2\n", target.display());
        assert!(
            told.contains("--only-binary\n:all:\n") && told.ends_with(&end),
            "{told}"
        );
        let python = interpreter(folder.path(), "echo \"No module named pip\" >&2; exit 1");
        let error = unpack_pypi(&wanted, folder.path(), &python).expect_err("there is no pip");
        let told = "failed: No module named pip; it may want pip (python3-pip) first";
        assert!(error.to_string().ends_with(told), "{error}");
    }
}
