//! Files of ours in a folder of the user's: the first line has the digest of the rest, so that only what we
//! wrote, and nobody changed since, is ever written anew.
//!
//! `rehearse --write` may be run again and again in a repository. A file that somebody has changed
//! since is theirs, and none is written then.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use ring::digest::{SHA256, digest};

use super::at;

/// What comes before the digest in the first line, a comment in TOML.
const SEAL: &str = "# Written by mxdrill, and written anew as long as nobody changes it: sha256 ";

/// A file that is to be there.
pub(crate) struct OutputFile {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Writes files into a folder: all of them, or, where one may not be written over, none. A link in the folder
/// is not followed: it may lead out.
///
/// # Errors
/// What may not be written over, or could not be written.
pub(crate) fn write(pages: &[OutputFile]) -> io::Result<()> {
    for OutputFile { path, .. } in pages {
        may_be_written(path)?;
    }
    for OutputFile { path, text } in pages {
        place(path, text).map_err(|error| at(path, error))?;
    }
    Ok(())
}

/// Makes a folder in a folder of the user's, unless it is there; a link that leads elsewhere is none.
///
/// # Errors
/// What is there instead, or that it cannot be made.
pub(crate) fn folder_in(parent: &Path, name: &str) -> io::Result<PathBuf> {
    let path = parent.join(name);
    if path.is_symlink() {
        return Err(refused(&path, "a link"));
    }
    fs::create_dir_all(&path).map_err(|error| at(&path, error))?;
    Ok(path)
}

/// An error if a file may not be written over.
fn may_be_written(path: &Path) -> io::Result<()> {
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(path, error)),
    };
    if there.is_symlink() {
        return Err(refused(path, "a link"));
    }
    if !there.is_file() {
        return Err(refused(path, "something that is no file"));
    }
    let text = fs::read(path).map_err(|error| at(path, error))?;
    if is_sealed(&text) {
        Ok(())
    } else {
        Err(refused(path, "a file that was changed, or made by others"))
    }
}

/// The error about what is there instead.
fn refused(path: &Path, found: &str) -> io::Error {
    let why = format!(
        "found {found}, expected none or one as mxdrill wrote it; move it away, or name another folder"
    );
    at(path, io::Error::new(io::ErrorKind::AlreadyExists, why))
}

/// Puts a file where none is, or one that may go: what is made anew follows no link that came meanwhile.
fn place(path: &Path, text: &str) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::create_new(path)?.write_all(sealed(text).as_bytes())
}

/// A text with the line in front that lets it be written anew.
fn sealed(text: &str) -> String {
    format!("{SEAL}{}\n{text}", digest_of(text.as_bytes()))
}

/// Whether a file is as it was written: its first line has the digest of the rest.
fn is_sealed(text: &[u8]) -> bool {
    let told = text.strip_prefix(SEAL.as_bytes());
    let Some((told, rest)) = told.and_then(|told| {
        let end = told.iter().position(|octet| *octet == b'\n')?;
        Some((&told[..end], &told[end + 1..]))
    }) else {
        return false;
    };
    told == digest_of(rest).as_bytes()
}

fn digest_of(text: &[u8]) -> String {
    let octets = digest(&SHA256, text);
    octets
        .as_ref()
        .iter()
        .fold(String::new(), |mut hex, octet| {
            write!(hex, "{octet:02x}").expect("a string takes it all");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_known_again_until_a_single_octet_differs() {
        let text = sealed("summary = 'a'\n");
        assert!(is_sealed(text.as_bytes()));
        for changed in [
            text.replace("'a'", "'b'"),
            text.clone() + "\n",
            text.replacen("sha256 ", "sha256  ", 1),
            text.lines().skip(1).collect(),
            String::new(),
        ] {
            assert!(!is_sealed(changed.as_bytes()), "{changed}");
        }
    }
}
