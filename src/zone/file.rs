//! Files that records come from: which may be read, and how much of them.
//!
//! A scenario or a zone file may come from somebody else, and must not make the program read what
//! its author has no business with: other files it names have to lie beside it or below, unless the
//! user says otherwise.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use super::text::Included;
use crate::name::Domain;

/// Octets that a file of records may have: 256 MiB, more than zones of mail domains have.
pub(crate) const MAX_FILE: u64 = 256 << 20;
/// What some editors put in front of a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where the files may lie that a scenario or a zone file names (`zone_file`, `$INCLUDE`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Reach {
    /// In the folder of the file that names them, or below it.
    #[default]
    Folder,
    /// Anywhere that this process may read: what `--allow-outside` says.
    Anywhere,
}

/// The text of a file.
pub(crate) struct ZoneText {
    /// The text, without a byte order mark.
    pub(crate) text: String,
    /// Whether it is not UTF-8: each character stands for an octet then, as in Latin-1.
    pub(crate) is_latin: bool,
}

/// The octets of a file, or of standard input if the path is `-`; devices and what has no end are refused.
///
/// # Errors
/// That it cannot be read, or is too long.
pub(crate) fn octets(path: &Path) -> io::Result<Vec<u8>> {
    if is_standard_input(path) {
        return up_to(MAX_FILE, io::stdin().lock());
    }
    let metadata = fs::metadata(path)?;
    if is_device(&metadata) {
        return Err(io::Error::other("it is a device, expected a file"));
    }
    if metadata.len() > MAX_FILE {
        return Err(too_long());
    }
    up_to(MAX_FILE, File::open(path)?)
}

/// Whether a path means standard input.
pub fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// Reads up to so many octets; what has more is an error, also if it never ends.
fn up_to(most: u64, from: impl Read) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    from.take(most + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > most {
        Err(too_long())
    } else {
        Ok(octets)
    }
}

fn too_long() -> io::Error {
    let why = format!("it has more than {MAX_FILE} octets, which is the most that is read");
    io::Error::other(why)
}

#[cfg(unix)]
fn is_device(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    kind.is_char_device() || kind.is_block_device()
}

#[cfg(not(unix))]
fn is_device(_: &fs::Metadata) -> bool {
    false
}

/// A zone file as text. Old files have Latin-1 in their comments and strings; what has control characters
/// besides is no text at all.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn zone_text(path: &Path) -> Result<ZoneText, String> {
    let mut octets = octets(path).map_err(|error| format!("cannot be read: {error}"))?;
    if octets.starts_with(BYTE_ORDER_MARK) {
        octets.drain(..BYTE_ORDER_MARK.len());
    }
    match String::from_utf8(octets) {
        Ok(text) => Ok(ZoneText {
            text,
            is_latin: false,
        }),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let text: String = error.into_bytes().into_iter().map(char::from).collect();
            if text.contains(|c: char| c.is_ascii_control() && !c.is_ascii_whitespace()) {
                Err(format!(
                    "found octets that are not UTF-8 after octet {valid}, expected a zone file"
                ))
            } else {
                Ok(ZoneText {
                    text,
                    is_latin: true,
                })
            }
        }
    }
}

/// A scenario file, or one that it names, as text.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn utf8(path: &Path) -> io::Result<String> {
    String::from_utf8(octets(path)?).map_err(|error| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "found octets that are not UTF-8 after octet {}, expected UTF-8 text",
                error.utf8_error().valid_up_to()
            ),
        )
    })
}

/// The folder of a file, in which other files are found.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !is_standard_input(path) => folder.to_owned(),
        _ => PathBuf::new(),
    }
}

/// Endings of files that are no zones, and no names of zones either.
const OTHERS: [&str; 12] = [
    ".toml", ".json", ".csv", ".md", ".log", ".bak", ".old", ".orig", ".conf", ".cfg", ".jnl",
    ".signed",
];

/// The domain that the name of a zone file says it is about: `example.com.zone`, `db.example.com`, `example.com`. One of
/// numbers alone (`db.192.0.2`) may be a reverse zone, written in either order.
pub fn domain_of(path: &Path) -> Option<Domain> {
    let name = path.file_name()?.to_str()?;
    let ending = [
        ".zone", ".txt", ".db", ".hosts", ".bind", ".dns", ".yaml", ".yml",
    ];
    let stem = ending.iter().find_map(|ending| name.strip_suffix(ending));
    let stem = stem.or_else(|| name.strip_prefix("db."));
    // A file may be called as its zone is, and other endings are those of other files.
    let is_other = |name: &&str| OTHERS.iter().any(|ending| name.ends_with(ending));
    let domain: Domain = stem
        .or(Some(name).filter(|name| !is_other(name)))?
        .parse()
        .ok()?;
    let (_, top) = domain.as_str().rsplit_once('.')?;
    let is_number = top.bytes().all(|octet| octet.is_ascii_digit());
    (!is_number).then_some(domain)
}

/// Whether the file of a folder is named as zone files are: after its zone, or with one of their endings.
pub fn is_named_as_a_zone(path: &Path) -> bool {
    let has_ending = path.extension().is_some_and(|ending| {
        ["zone", "db", "hosts", "bind", "dns"]
            .iter()
            .any(|known| ending == *known)
    });
    let name = path.file_name().and_then(|name| name.to_str());
    let is_hidden = name.is_none_or(|name| name.starts_with('.') || name.ends_with('~'));
    !is_hidden && (has_ending || domain_of(path).is_some())
}

/// Whether a path may be read, which was joined to a folder.
///
/// # Errors
/// That it lies outside the folder, or is not there.
pub(crate) fn allowed(folder: &Path, path: &Path, reach: Reach) -> io::Result<()> {
    if reach == Reach::Anywhere {
        return Ok(());
    }
    let outside = || {
        let why =
            "it lies outside the folder of the file that names it; --allow-outside lets it be read";
        io::Error::new(io::ErrorKind::PermissionDenied, why)
    };
    let inside = path.strip_prefix(folder).map_err(|_| outside())?;
    // A path that leads outside is refused before it is looked at: the answer must not tell whether
    // such a file exists.
    let mut depth = 0_usize;
    for component in inside.components() {
        depth = match component {
            Component::Normal(_) => depth + 1,
            Component::CurDir => depth,
            Component::ParentDir if depth > 0 => depth - 1,
            _ => return Err(outside()),
        };
    }
    // A link may lead out.
    let here = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    if fs::canonicalize(path)?.starts_with(fs::canonicalize(here)?) {
        Ok(())
    } else {
        Err(outside())
    }
}

/// The file that an `$INCLUDE` names, found beside the outermost file.
///
/// # Errors
/// Why it cannot be read.
#[cfg_attr(
    not(feature = "records"),
    expect(dead_code, reason = "files of records are read")
)]
pub(crate) fn included(folder: &Path, name: &str, reach: Reach) -> Result<Included, String> {
    let path = folder.join(name);
    allowed(folder, &path, reach).map_err(|error| format!("cannot be read: {error}"))?;
    let ZoneText { text, is_latin } =
        zone_text(&path).map_err(|why| format!("cannot be used: {why}"))?;
    Ok(Included {
        path: path.display().to_string(),
        text,
        is_latin,
        is_own: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_than_it_may_be_is_refused_and_not_cut() {
        assert_eq!(up_to(3, &b"abc"[..]).expect("read"), b"abc");
        assert!(up_to(3, &b"abcd"[..]).is_err());
        assert!(up_to(3, io::repeat(b'x')).is_err());
    }

    #[test]
    fn what_a_file_names_lies_beside_it() {
        let outer = tempfile::tempdir().expect("a folder");
        let folder = outer.path().join("drills");
        fs::create_dir_all(folder.join("zones")).expect("made");
        for file in ["secret", "drills/a.zone", "drills/zones/b.zone"] {
            fs::write(outer.path().join(file), "x").expect("written");
        }
        let may = |name: &str, reach| allowed(&folder, &folder.join(name), reach).is_ok();
        for name in ["a.zone", "zones/b.zone", "zones/../a.zone", "./a.zone"] {
            assert!(may(name, Reach::Folder), "{name}");
        }
        // The folder of a file that is named without one.
        let here = allowed(Path::new(""), Path::new("./Cargo.toml"), Reach::Folder);
        assert!(here.is_ok(), "{here:?}");
        let absolute = outer.path().join("secret").display().to_string();
        for name in ["../secret", "zones/../../secret", &absolute] {
            assert!(!may(name, Reach::Folder), "{name}");
            assert!(may(name, Reach::Anywhere), "{name}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("../secret", folder.join("link")).expect("made");
            assert!(!may("link", Reach::Folder));
        }
    }

    #[test]
    fn a_file_is_text_of_one_kind_or_the_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.zone");
        let read = |octets: &[u8]| {
            fs::write(&path, octets).expect("written");
            zone_text(&path).map(|text| (text.text, text.is_latin))
        };
        assert_eq!(read(b"\xef\xbb\xbfa"), Ok(("a".to_owned(), false)));
        assert_eq!(read("\u{e9}".as_bytes()), Ok(("\u{e9}".to_owned(), false)));
        assert_eq!(read(b"\xe9\t\n"), Ok(("\u{e9}\t\n".to_owned(), true)));
        assert!(read(b"\xe9\x00").is_err());
        assert!(up_to(MAX_FILE, io::repeat(b'x').take(10)).is_ok());
    }

    #[test]
    fn the_name_of_a_file_may_be_that_of_its_zone() {
        for (name, domain) in [
            ("example.test.zone", Some("example.test")),
            ("db.example.test", Some("example.test")),
            ("zones/example.test.txt", Some("example.test")),
            ("reverse.zone", None),
            ("db.192.0.2", None),
            ("example.test", Some("example.test")),
            ("example.test.bak", None),
            ("zones.json", None),
            ("example.test.yaml", Some("example.test")),
            ("production.yml", None),
            ("README", None),
        ] {
            let found = domain_of(Path::new(name));
            assert_eq!(found.as_ref().map(Domain::as_str), domain, "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_refused() {
        assert!(octets(Path::new("/dev/zero")).is_err());
    }
}
