//! The memory of another process: what a call points to, and where its answer goes.
//!
//! Structures are read and written octet by octet, as the kernel lays them out on x86-64: a `timespec` and a
//! `timeval` are two numbers of eight octets. Nothing is assumed about what is read.

use std::{
    io::{IoSlice, IoSliceMut},
    time::Duration,
};

use nix::{
    sys::time::TimeSpec,
    sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev},
    unistd::Pid,
};

/// Nanoseconds, as times are counted here.
pub(super) type Nanos = i64;

pub(super) const SECOND: Nanos = 1_000_000_000;

/// A duration in nanoseconds; nobody waits for longer than there are.
pub(super) fn nanos(duration: Duration) -> Nanos {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// What a clock of the system's shows.
pub(super) fn nanos_of(time: TimeSpec) -> Nanos {
    time.tv_sec() * SECOND + time.tv_nsec()
}

/// The memory of a process, by any of its threads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory(pub(super) i32);

impl Memory {
    /// Reads octets; `None` where there is nothing.
    pub(super) fn read(self, address: u64, length: usize) -> Option<Vec<u8>> {
        let mut octets = vec![0; length];
        let there = [remote(address, length)?];
        let mut here = [IoSliceMut::new(&mut octets)];
        let read = process_vm_readv(Pid::from_raw(self.0), &mut here, &there).ok()?;
        (read == length).then_some(octets)
    }

    /// Reads octets up to the first that is zero, so many at most; `None` where there is none.
    pub(super) fn text(self, address: u64, most: usize) -> Option<Vec<u8>> {
        const PAGE: u64 = 4096;
        let mut text = Vec::new();
        while text.len() < most {
            // What is on the next page may not be there.
            let at = address.wrapping_add(text.len().try_into().ok()?);
            let part = self.read(at, usize::try_from(PAGE - at % PAGE).ok()?)?;
            let end = part.iter().position(|octet| *octet == 0);
            text.extend(&part[..end.unwrap_or(part.len())]);
            if end.is_some() {
                return (text.len() < most).then_some(text);
            }
        }
        None
    }

    /// Writes octets; `None` where there is no room.
    pub(super) fn write(self, address: u64, octets: &[u8]) -> Option<()> {
        let there = [remote(address, octets.len())?];
        let here = [IoSlice::new(octets)];
        let written = process_vm_writev(Pid::from_raw(self.0), &here, &there).ok()?;
        (written == octets.len()).then_some(())
    }

    /// Reads so many octets.
    fn chunk<const N: usize>(self, address: u64) -> Option<[u8; N]> {
        let mut octets = [0; N];
        let there = [remote(address, N)?];
        let mut here = [IoSliceMut::new(&mut octets)];
        let read = process_vm_readv(Pid::from_raw(self.0), &mut here, &there).ok()?;
        (read == N).then_some(octets)
    }

    /// Two numbers of eight octets.
    fn pair(self, address: u64) -> Option<(i64, i64)> {
        let octets: [u8; 16] = self.chunk(address)?;
        let first = i64::from_ne_bytes(*octets.first_chunk()?);
        Some((first, i64::from_ne_bytes(*octets.last_chunk()?)))
    }

    /// A number of four octets, as a futex is.
    pub(super) fn number(self, address: u64) -> Option<u32> {
        self.chunk(address).map(u32::from_ne_bytes)
    }

    /// A set of signals.
    pub(super) fn signals(self, address: u64) -> Option<u64> {
        self.chunk(address).map(u64::from_ne_bytes)
    }

    /// A `timespec`.
    pub(super) fn timespec(self, address: u64) -> Option<Nanos> {
        let (seconds, nanos) = self.pair(address)?;
        Some(seconds.saturating_mul(SECOND).saturating_add(nanos))
    }

    /// A `timeval`.
    pub(super) fn timeval(self, address: u64) -> Option<Nanos> {
        let (seconds, micros) = self.pair(address)?;
        Some(
            seconds
                .saturating_mul(SECOND)
                .saturating_add(micros.saturating_mul(1000)),
        )
    }

    pub(super) fn write_timespec(self, address: u64, time: Nanos) -> Option<()> {
        self.write_pair(address, time / SECOND, time % SECOND)
    }

    pub(super) fn write_timeval(self, address: u64, time: Nanos) -> Option<()> {
        self.write_pair(address, time / SECOND, time % SECOND / 1000)
    }

    fn write_pair(self, address: u64, first: i64, second: i64) -> Option<()> {
        let mut octets = [0; 16];
        octets[..8].copy_from_slice(&first.to_ne_bytes());
        octets[8..].copy_from_slice(&second.to_ne_bytes());
        self.write(address, &octets)
    }
}

fn remote(address: u64, len: usize) -> Option<RemoteIoVec> {
    let base = usize::try_from(address).ok()?;
    Some(RemoteIoVec { base, len })
}
