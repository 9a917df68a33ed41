//! The functions that the kernel puts into every process to read its clocks without a call. They are replaced by some
//! that read ours.
//!
//! The kernel maps a small library (vdso(7)) at a place of its own in each process, the same one in all. Where its
//! functions are is read from its table of symbols once. When a program has just been started, its first call that
//! matters here is `arch_prctl`, by which the linker, or a static program, sets up its threads; at that moment the
//! functions are overwritten. The page is copied by that, so that no other process changes, and a child that is forked
//! inherits it.
//!
//! What is put there is `mxdrill_notify::clock`: it reads a cell beside it, which is written in every process whenever time
//! has leapt ([`Cells`]). All sleep then, so that nobody sees half of it. Where there is no room for it, or the
//! processor's count cannot be trusted, the functions make the calls that they stand for, which the filter sees.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
};

use mxdrill_notify::clock::{self, CELL, ClockReading};
use nix::libc;

/// Where each function begins, from the start of what is mapped, how long it is, and the number of the call that it
/// stands for.
#[derive(Debug)]
pub(super) struct Vdso([(u64, u64, libc::c_long); 3]);

/// The functions by name, in the order of [`clock::entries`].
const FUNCTIONS: [(&[u8], libc::c_long); 3] = [
    (b"__vdso_clock_gettime", libc::SYS_clock_gettime),
    (b"__vdso_gettimeofday", libc::SYS_gettimeofday),
    (b"__vdso_time", libc::SYS_time),
];

/// Where the cell of a process is: in its memory, which this file is, and at that place.
struct TimeCell {
    memory: File,
    place: u64,
}

impl TimeCell {
    /// Writes it; whether the memory is still there.
    fn write(&self, reading: &ClockReading) -> io::Result<bool> {
        let written = self.memory.write_at(&reading.cell(), self.place)?;
        Ok(written == CELL)
    }
}

/// The cells of all processes.
pub(super) struct Cells {
    vdso: Vdso,
    /// Whether there are any, or all functions make calls.
    are_used: bool,
    /// By process; nothing for one whose functions are not replaced.
    known: BTreeMap<i32, Option<TimeCell>>,
    /// What they show.
    reading: ClockReading,
}

impl Cells {
    /// For processes with the functions of this one.
    ///
    /// # Errors
    /// That there are none that are understood.
    pub(super) fn new(reading: ClockReading) -> io::Result<Self> {
        let vdso = Vdso::of_this_process()?;
        let are_used = reading.holds && vdso.has_room();
        Ok(Self {
            vdso,
            are_used,
            known: BTreeMap::new(),
            reading,
        })
    }

    /// Whether one of these processes may read a clock without a call.
    pub(super) fn hold_for(&self, processes: &BTreeSet<i32>) -> bool {
        // One that was forked a moment ago may still show what its parent showed: it counts as reading without a call
        // until it has been seen.
        let is_known = |process| self.known.contains_key(process);
        self.are_used && (self.reading.holds || !processes.iter().all(is_known))
    }

    /// Replaces the functions in a process. One without them is left as it is.
    ///
    /// # Errors
    /// That the kernel does not let this process write there.
    pub(super) fn replace_in(&mut self, process: i32) -> io::Result<()> {
        let cell = match mapped(&process.to_string())? {
            Some((start, _)) => {
                let memory = memory(process)?;
                let place = self.vdso.replace_in(&memory, start, self.are_used)?;
                // Written at once: the program reads a clock before time leaps next.
                let cell = place.map(|place| TimeCell { memory, place });
                if let Some(cell) = &cell {
                    cell.write(&self.reading)?;
                }
                cell
            }
            None => None,
        };
        self.known.insert(process, cell);
        Ok(())
    }

    /// Lets the clocks of these processes show this, which are all that there are. Where it holds, all of them sleep.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn show(
        &mut self,
        reading: ClockReading,
        processes: &BTreeSet<i32>,
    ) -> io::Result<()> {
        self.reading = reading;
        if !self.are_used {
            return Ok(());
        }
        // Who has ended keeps no memory open.
        self.known.retain(|known, _| processes.contains(known));
        for process in processes {
            let is_written = match self.known.get(process) {
                Some(None) => true,
                Some(Some(cell)) => cell.write(&reading)?,
                None => false,
            };
            // It was forked, or its id is another's by now.
            if !is_written {
                let cell = self.inherited(*process);
                if let Some(cell) = &cell {
                    cell.write(&reading)?;
                }
                self.known.insert(*process, cell);
            }
        }
        Ok(())
    }

    /// The cell of a process that was forked by one with functions that are replaced; nothing for one that has ended.
    fn inherited(&self, process: i32) -> Option<TimeCell> {
        let (start, _) = mapped(&process.to_string()).ok()??;
        let memory = memory(process).ok()?;
        let at = start + self.vdso.0[0].0;
        let code = clock::code();
        // A child has its parent's code, and a cell of its own behind it: if the code is ours, the cell is there.
        let mut found = vec![0; code.len() - CELL];
        memory.read_exact_at(&mut found, at).ok()?;
        let place = at + u64::try_from(found.len()).ok()?;
        code.starts_with(&found)
            .then_some(TimeCell { memory, place })
    }
}

impl Vdso {
    /// As this process has it: all have the same.
    fn of_this_process() -> io::Result<Self> {
        let (start, end) = mapped("self")?.ok_or_else(unknown)?;
        let length = usize::try_from(end - start).map_err(|_| unknown())?;
        let mut image = vec![0; length];
        File::open("/proc/self/mem")?.read_exact_at(&mut image, start)?;
        functions(&image).map(Self).ok_or_else(unknown)
    }

    /// Whether the code fits in the place of the first function; the others jump there.
    fn has_room(&self) -> bool {
        const JUMP: u64 = 5;
        let [(_, first, _), others @ ..] = &self.0;
        // The code is for all three: the other two only jump to their entries in it, five octets each.
        let has_room = usize::try_from(*first).is_ok_and(|first| clock::code().len() <= first);
        has_room && others.iter().all(|(_, length, _)| *length >= JUMP)
    }

    /// Replaces the functions in a memory, in which they are mapped from there on; where their cell is, if they are to
    /// have one.
    fn replace_in(&self, memory: &File, start: u64, cell: bool) -> io::Result<Option<u64>> {
        let number = |number: i64| i32::try_from(number).map_err(io::Error::other);
        if cell {
            let code = clock::code();
            let at = start + self.0[0].0;
            memory.write_all_at(code, at)?;
            for ((offset, ..), entry) in self.0.iter().zip(clock::entries()).skip(1) {
                // A jump counts from the instruction behind it.
                let from = start + offset + 5;
                let to = at + u64::try_from(entry).map_err(io::Error::other)?;
                // jmp TO
                let mut jump = vec![0xe9];
                jump.extend(number(to.wrapping_sub(from).cast_signed())?.to_le_bytes());
                memory.write_all_at(&jump, start + offset)?;
            }
            let length = u64::try_from(code.len() - CELL).map_err(io::Error::other)?;
            return Ok(Some(at + length));
        }
        for (offset, _, call) in &self.0 {
            // mov eax, CALL; syscall; ret
            let mut code = vec![0xb8];
            code.extend(number(*call)?.to_le_bytes());
            code.extend([0x0f, 0x05, 0xc3]);
            memory.write_all_at(&code, start + offset)?;
        }
        Ok(None)
    }
}

/// The memory of a process, to be read and written at its own addresses.
fn memory(process: i32) -> io::Result<File> {
    let path = format!("/proc/{process}/mem");
    File::options().read(true).write(true).open(path)
}

/// Why there is no virtual time on a kernel whose functions are not found.
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
fn functions(image: &[u8]) -> Option<[(u64, u64, libc::c_long); 3]> {
    /// PT_DYNAMIC, and the tags DT_SYMTAB, DT_STRTAB and DT_HASH of its section (elf(5)).
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
    // Of the ELF header: where the program headers are, and how many of 56 octets each.
    let headers = word(32)?;
    let count = short(56)?;
    let dynamic = (0..count)
        .map(|index| headers + 56 * index)
        .find(|header| half(*header) == Some(DYNAMIC))?;
    // The dynamic section is a list of pairs, a tag and a value, which a tag of 0 ends.
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
    let mut found = [None; FUNCTIONS.len()];
    // A symbol has 24 octets: the place of its name first, its value and its size at 8 and 16.
    for symbol in (0..length).map(|index| symbols + 24 * index) {
        let name = usize::try_from(strings + u64::from(half(symbol)?)).ok()?;
        let name = image.get(name..)?.split(|octet| *octet == 0).next()?;
        for ((known, number), found) in FUNCTIONS.iter().zip(&mut found) {
            if *known == name {
                *found = Some((word(symbol + 8)?, word(symbol + 16)?, *number));
            }
        }
    }
    let [first, second, third] = found;
    Some([first?, second?, third?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_of_this_kernel_are_found() {
        let vdso = Vdso::of_this_process().expect("known");
        assert!(vdso.has_room());
        let image = functions(b"\x7fELF is not all of it");
        assert_eq!(image, None);
    }
}
