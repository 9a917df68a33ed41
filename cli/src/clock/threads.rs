//! The threads that there are, with the files by which the kernel tells of each, kept open.
//!
//! Opening a file of /proc takes longer than reading it, and all threads are looked at for each leap. An open file
//! belongs to its thread, not to the id: when the thread has ended, reading fails, whoever has the id by then.
//!
//! Who has been born is told by the id that was given last (`/proc/loadavg`), so that folders need not be listed:
//! ids are given in order, and those since then are tried. Only who is told which id to take (`clone3` with
//! `set_tid`, by which a checkpoint is restored) would not be seen.
//!
//! What is asked of a thread at each look is two short reads: `schedstat`, which changes whenever it has run, and
//! `wchan`, which says whether it is blocked. Both are needed. One that has not run may be about to (it was woken, and
//! the processor is another's), and one that is blocked may have run since the look before.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fs::{self, File},
    io,
    os::{
        fd::{OwnedFd, RawFd},
        unix::fs::FileExt,
    },
    rc::Rc,
    time::Instant,
};

use mxdrill_notify::Process;
use nix::sys::resource::{Resource, getrlimit};

/// How many ids are tried one by one; where more were given, folders are listed.
const TRIED: i32 = 256;

/// Threads, by their ids, and the processes that were asked for.
pub(super) struct Threads {
    /// The thread that looks, which is none of them.
    own: i32,
    /// The process of the lab.
    lab: i32,
    known: BTreeMap<i32, Thread>,
    processes: BTreeMap<i32, Rc<Process>>,
    /// Where the kernel says which id it gave last.
    last: File,
    /// That id, when everybody slept: all that have a smaller one are known. `None` as long as nobody is.
    settled: Option<i32>,
    /// That id, when it was asked last.
    asked: Option<i32>,
    /// The thread whose call is answered, once it was found to be there, and its process.
    caller: Option<(i32, i32)>,
    /// How many threads' files may be kept open.
    room: usize,
}

/// A thread.
#[derive(Default)]
pub(super) struct Thread {
    /// Where there is no room for them they are opened each time.
    files: Option<ThreadFiles>,
    /// Its process, once that was asked for.
    process: Option<i32>,
    /// For how many nanoseconds it had run when everybody slept last.
    pub(super) had_run: Option<u64>,
    /// How it was seen last.
    pub(super) seen: LastSeen,
}

/// The files by which the kernel tells of a thread.
struct ThreadFiles {
    schedstat: File,
    wchan: File,
    stat: File,
}

/// How a thread was seen.
#[derive(Default)]
pub(super) enum LastSeen {
    /// It ran, or was not looked at yet.
    #[default]
    Running,
    /// It slept, when so much had been done for it.
    Asleep(Counts),
    /// It had ended, and its process with it since then.
    Ended(Option<Instant>),
}

/// Where a thread is blocked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocked {
    /// It is to run.
    Nowhere,
    /// It has made a call, and sleeps until that is answered here.
    Calling,
    Elsewhere,
}

/// How long a thread ran, how long it waited to, and how often it did, as the kernel writes it (`schedstat`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts([u8; 64]);

impl Counts {
    /// For how many nanoseconds the thread ran.
    pub(super) fn ran(&self) -> Option<u64> {
        let first = self.0.split(|octet| *octet == b' ').next()?;
        std::str::from_utf8(first).ok()?.parse().ok()
    }

    /// Whether the kernel counts at all: a thread that asks has run.
    pub(super) fn are_counted(&self) -> bool {
        !self.0.starts_with(b"0 0 0\n")
    }
}

impl Thread {
    /// Its process: the thread itself where that cannot be told.
    pub(super) fn process(&mut self, id: i32) -> i32 {
        *self.process.get_or_insert_with(|| process_of(id))
    }

    /// What the processor did for it.
    ///
    /// # Errors
    /// That it is gone.
    pub(super) fn counts(&self, id: i32) -> io::Result<Counts> {
        let mut octets = [0; 64];
        match &self.files {
            Some(files) => files.schedstat.read_at(&mut octets, 0)?,
            None => open(id, "schedstat")?.read_at(&mut octets, 0)?,
        };
        Ok(Counts(octets))
    }

    /// Whether it is where the processor has nothing to do with it. The kernel shows one as asleep, too, that is about
    /// to be and looks once more whether it has to; where others compute, that may take a while.
    ///
    /// # Errors
    /// That it is gone.
    pub(super) fn is_blocked(&self, id: i32) -> io::Result<bool> {
        Ok(self.blocked(id)? != Blocked::Nowhere)
    }

    /// Where the kernel has it blocked.
    ///
    /// # Errors
    /// That it is gone.
    pub(super) fn blocked(&self, id: i32) -> io::Result<Blocked> {
        let mut octets = [0; 64];
        let length = match &self.files {
            Some(files) => files.wchan.read_at(&mut octets, 0)?,
            None => open(id, "wchan")?.read_at(&mut octets, 0)?,
        };
        Ok(match &octets[..length] {
            b"" | b"0" => Blocked::Nowhere,
            // What compilers do to a function is behind a dot.
            name if name.starts_with(b"seccomp_do_user_notification") => Blocked::Calling,
            _ => Blocked::Elsewhere,
        })
    }

    /// Whether it has the processor, or is to have it.
    pub(super) fn runs(&self, id: i32) -> bool {
        self.state(id).is_some_and(|(state, _)| state == b'R')
    }

    /// Its state, and how many threads its process has; `None` if it is gone.
    pub(super) fn state(&self, id: i32) -> Option<(u8, u32)> {
        let mut octets = [0; 512];
        let length = match &self.files {
            Some(files) => files.stat.read_at(&mut octets, 0),
            None => stat(id).and_then(|stat| stat.read_at(&mut octets, 0)),
        };
        let text = octets.get(..length.ok()?)?;
        // The name, which may hold anything, is in parentheses.
        let end = text.iter().rposition(|octet| *octet == b')')?;
        let rest = std::str::from_utf8(text.get(end + 2..)?).ok()?;
        let mut fields = rest.split(' ');
        let state = fields.next()?.bytes().next()?;
        let threads = fields.nth(16)?.parse().ok()?;
        Some((state, threads))
    }
}

impl Threads {
    /// Those of this namespace of processes.
    ///
    /// # Errors
    /// That the kernel does not tell of them.
    pub(super) fn new() -> io::Result<Self> {
        let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
        Ok(Self {
            own: nix::unistd::gettid().as_raw(),
            lab: std::process::id().cast_signed(),
            known: BTreeMap::new(),
            processes: BTreeMap::new(),
            last: File::open("/proc/loadavg")?,
            settled: None,
            asked: None,
            caller: None,
            // Three each, and as much for all else.
            room: usize::try_from(limit / 6).unwrap_or(usize::MAX),
        })
    }

    /// All that are known.
    pub(super) fn all(&mut self) -> impl Iterator<Item = (i32, &mut Thread)> {
        self.known.iter_mut().map(|(id, thread)| (*id, thread))
    }

    /// The thread of this id, if it is known.
    pub(super) fn known(&self, id: i32) -> Option<&Thread> {
        self.known.get(&id)
    }

    /// The thread of this id, if there is one.
    pub(super) fn take_in(&mut self, id: i32) -> Option<&mut Thread> {
        if id == self.own {
            return None;
        }
        let has_room = self.known.len() < self.room;
        match self.known.entry(id) {
            Entry::Occupied(known) => Some(known.into_mut()),
            Entry::Vacant(place) => {
                // Opened even without room to keep them: that all can be opened says that the thread is there.
                let files = ThreadFiles {
                    schedstat: open(id, "schedstat").ok()?,
                    wchan: open(id, "wchan").ok()?,
                    stat: stat(id).ok()?,
                };
                Some(place.insert(Thread {
                    files: has_room.then_some(files),
                    ..Thread::default()
                }))
            }
        }
    }

    /// Forgets a thread that is gone.
    pub(super) fn forget(&mut self, id: i32) {
        self.known.remove(&id);
        self.processes.remove(&id);
    }

    /// Takes in who was born since everybody slept last. One that is being born may have its id and not be there
    /// yet, so that it is tried again until everybody sleeps.
    pub(super) fn take_in_born(&mut self) -> io::Result<()> {
        let mut octets = [0; 128];
        let length = self.last.read_at(&mut octets, 0)?;
        // The last of five fields of `/proc/loadavg` is the id that was given last.
        let text = octets[..length].trim_ascii_end();
        let last = text.rsplit(|octet| *octet == b' ').next();
        let last = last.and_then(|last| std::str::from_utf8(last).ok()?.parse().ok());
        self.asked = last;
        match (self.settled, last) {
            (Some(settled), Some(last)) if settled == last => {}
            // At the end of all ids it begins anew.
            (Some(settled), Some(last)) if (settled..settled + TRIED).contains(&last) => {
                for id in settled + 1..=last {
                    self.take_in(id);
                }
            }
            _ => self.list()?,
        }
        Ok(())
    }

    /// Everybody slept when it was asked who was born: nobody was about to be.
    pub(super) fn settle(&mut self) {
        self.settled = self.asked;
    }

    fn list(&mut self) -> io::Result<()> {
        for process in numbers(fs::read_dir("/proc")?) {
            // One that is gone by now has no threads.
            let threads = fs::read_dir(format!("/proc/{process}/task"));
            for id in threads.into_iter().flat_map(numbers) {
                self.take_in(id);
            }
        }
        Ok(())
    }

    /// Finds the process of who calls anew: another call has come, or was answered.
    pub(super) fn forget_caller(&mut self) {
        self.caller = None;
    }

    /// The process of the lab.
    pub(super) fn lab(&self) -> i32 {
        self.lab
    }

    /// The process of a thread: the thread itself where that cannot be told.
    pub(super) fn process_of(&mut self, id: i32) -> i32 {
        if let Some((_, process)) = self.caller.filter(|(thread, _)| *thread == id) {
            return process;
        }
        let Some(thread) = self.take_in(id) else {
            return id;
        };
        // An id that is another's by now is not answered with what was known of the one before.
        if thread.counts(id).is_err() {
            self.forget(id);
            return process_of(id);
        }
        let process = thread.process(id);
        self.caller = Some((id, process));
        process
    }

    /// All processes of which a thread is known, but that of the lab.
    pub(super) fn processes(&mut self) -> BTreeSet<i32> {
        // The lab's own cells are nobody's clock.
        let own = self.lab;
        let processes = self
            .known
            .iter_mut()
            .map(|(id, thread)| thread.process(*id));
        processes.filter(|process| *process != own).collect()
    }

    /// The process of this id, however long it lives.
    pub(super) fn process(&mut self, id: i32) -> io::Result<Rc<Process>> {
        // Signal 0 is a question: is it still there?
        if let Some(known) = self.processes.get(&id)
            && known.signal(0).is_ok()
        {
            return Ok(Rc::clone(known));
        }
        let process = Rc::new(Process::open(id)?);
        self.processes.insert(id, Rc::clone(&process));
        Ok(process)
    }

    /// The process that a thread belongs to.
    pub(super) fn process_with(&mut self, thread: i32) -> io::Result<Rc<Process>> {
        let process = self.process_of(thread);
        self.process(process)
    }

    /// A descriptor of our own for what a thread's process has open under a number.
    pub(super) fn descriptor(&mut self, thread: i32, number: RawFd) -> io::Result<OwnedFd> {
        self.process_with(thread)?.descriptor(number)
    }
}

/// A file of a thread. Those that are no process are not listed in /proc, and are there all the same.
fn open(id: i32, name: &str) -> io::Result<File> {
    File::open(format!("/proc/{id}/{name}"))
}

fn process_of(thread: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
    line.and_then(|id| id.trim().parse().ok()).unwrap_or(thread)
}

/// The file with the state of a thread, which is of the thread alone and not of its process.
fn stat(id: i32) -> io::Result<File> {
    File::open(format!("/proc/{id}/task/{id}/stat"))
}

/// For how many ticks of the kernel a thread ran by itself, and for how many the kernel did what it asked for.
pub(super) fn ticks(thread: i32) -> Option<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{thread}/task/{thread}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    let mut fields = rest
        .split(' ')
        .skip(11)
        .map_while(|field| field.parse().ok());
    Some((fields.next()?, fields.next()?))
}

/// The entries of a folder that are numbers.
pub(super) fn numbers(folder: fs::ReadDir) -> impl Iterator<Item = i32> {
    let names = folder.flatten().map(|one| one.file_name());
    names.filter_map(|name| name.to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    #[test]
    fn who_is_born_is_taken_in_and_who_is_gone_is_not_read() {
        let mut threads = Threads::new().expect("told");
        threads.take_in_born().expect("listed");
        threads.settle();
        let (tell, told) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let born = thread::spawn(move || {
            tell.send(nix::unistd::gettid().as_raw()).expect("sent");
            ended.recv().ok();
        });
        let id = told.recv().expect("told");
        threads.take_in_born().expect("tried");
        assert!(threads.all().any(|(known, _)| known == id));
        let process = i32::try_from(std::process::id()).expect("small");
        assert_eq!(threads.process_of(id), process);
        drop(end);
        born.join().expect("ended");
        // Joining does not wait until the kernel has forgotten it.
        while fs::exists(format!("/proc/{id}")).unwrap_or(false) {
            thread::yield_now();
        }
        let thread = threads.take_in(id).expect("not forgotten yet");
        assert!(thread.counts(id).is_err() && thread.is_blocked(id).is_err());
    }

    #[test]
    fn a_thread_that_computes_is_not_asleep() {
        let this = nix::unistd::gettid().as_raw();
        let looked_at = Thread::default();
        let (state, threads) = looked_at.state(this).expect("there");
        assert!(state == b'R' && threads >= 1);
        assert_eq!(looked_at.state(i32::MAX), None);
    }
}
