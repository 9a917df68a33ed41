//! The functions that the kernel puts into every process to read its clocks without a call. They are replaced by
//! the calls themselves, which the filter then sees.
//!
//! The kernel maps a small library (vdso(7)) at a place of its own in each process, the same one in all. Where its
//! functions are is read from its table of symbols once. When a program has just been started, its first call that
//! matters here is `arch_prctl`, by which the linker, or a static program, sets up its threads; at that moment the
//! first octets of each function are overwritten. The page is copied by that, so that no other process changes, and
//! a child that is forked inherits it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
};

use nix::libc;

/// Where each function begins, from the start of what is mapped, with the number of the call that it stands for.
#[derive(Debug)]
pub(super) struct Vdso(Vec<(u64, libc::c_long)>);

/// The functions by name.
const FUNCTIONS: [(&[u8], libc::c_long); 3] = [
    (b"__vdso_clock_gettime", libc::SYS_clock_gettime),
    (b"__vdso_gettimeofday", libc::SYS_gettimeofday),
    (b"__vdso_time", libc::SYS_time),
];

impl Vdso {
    /// As this process has it: all have the same.
    ///
    /// # Errors
    /// That there is none that is understood.
    pub(super) fn of_this_process() -> io::Result<Self> {
        let (start, end) = mapped("self")?.ok_or_else(unknown)?;
        let length = usize::try_from(end - start).map_err(|_| unknown())?;
        let mut image = vec![0; length];
        File::open("/proc/self/mem")?.read_exact_at(&mut image, start)?;
        let found = functions(&image).ok_or_else(unknown)?;
        if found.len() < FUNCTIONS.len() {
            return Err(unknown());
        }
        Ok(Self(found))
    }

    /// Replaces the functions in a process. One without them is left as it is.
    ///
    /// # Errors
    /// That the kernel does not let this process write there.
    pub(super) fn replace_in(&self, process: i32) -> io::Result<()> {
        let Some((start, _)) = mapped(&process.to_string())? else {
            return Ok(());
        };
        let path = format!("/proc/{process}/mem");
        let memory = File::options().read(true).write(true).open(path)?;
        for (offset, number) in &self.0 {
            let number = u32::try_from(*number).map_err(io::Error::other)?;
            // mov eax, NUMBER; syscall; ret
            let mut code = vec![0xb8];
            code.extend(number.to_le_bytes());
            code.extend([0x0f, 0x05, 0xc3]);
            memory.write_all_at(&code, start + offset)?;
        }
        Ok(())
    }
}

fn unknown() -> io::Error {
    let why = "the clock functions of this kernel (its vDSO) are none that virtual time knows";
    io::Error::new(io::ErrorKind::Unsupported, why)
}

/// Where it is mapped in a process.
fn mapped(process: &str) -> io::Result<Option<(u64, u64)>> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"));
    Ok(line.and_then(|line| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some((number(start)?, number(end)?))
    }))
}

/// The functions of an image: those of its table of dynamic symbols (ELF, 64 bits).
fn functions(image: &[u8]) -> Option<Vec<(u64, libc::c_long)>> {
    const DYNAMIC: u32 = 2;
    const SYMBOLS: u64 = 6;
    const STRINGS: u64 = 5;
    const HASH: u64 = 4;
    let word = |at: u64| {
        let at = usize::try_from(at).ok()?;
        Some(u64::from_le_bytes(image.get(at..at + 8)?.try_into().ok()?))
    };
    let half = |at: u64| u32::try_from(word(at)? & 0xffff_ffff).ok();
    let short = |at: u64| Some(word(at)? & 0xffff);
    let headers = word(32)?;
    let count = short(56)?;
    let dynamic = (0..count)
        .map(|index| headers + 56 * index)
        .find(|header| half(*header) == Some(DYNAMIC))?;
    let mut entry = word(dynamic + 8)?;
    let (mut symbols, mut strings, mut hash) = (None, None, None);
    while word(entry)? != 0 {
        let value = word(entry + 8)?;
        match word(entry)? {
            SYMBOLS => symbols = Some(value),
            STRINGS => strings = Some(value),
            HASH => hash = Some(value),
            _ => {}
        }
        entry += 16;
    }
    let (symbols, strings) = (symbols?, strings?);
    // The length of the table is in its hash; without one, the strings stand behind it.
    let length = match hash {
        Some(hash) => u64::from(half(hash + 4)?),
        None => strings.checked_sub(symbols)? / 24,
    };
    let mut found = Vec::new();
    for symbol in (0..length).map(|index| symbols + 24 * index) {
        let name = usize::try_from(strings + u64::from(half(symbol)?)).ok()?;
        let name = image.get(name..)?.split(|octet| *octet == 0).next()?;
        let known = FUNCTIONS.iter().find(|(known, _)| *known == name);
        if let Some((_, number)) = known {
            found.push((word(symbol + 8)?, *number));
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_of_this_kernel_are_found() {
        let vdso = Vdso::of_this_process().expect("known");
        assert_eq!(vdso.0.len(), 3);
        let image = functions(b"\x7fELF is not all of it");
        assert_eq!(image, None);
    }
}
