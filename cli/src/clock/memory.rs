//! The memory of another process: what a call points to, and where its answer goes.
//!
//! Structures are read and written octet by octet, as the kernel lays them out on x86-64: a `timespec` and a
//! `timeval` are two numbers of eight octets. Nothing is assumed about what is read.

use std::io::{IoSlice, IoSliceMut};

use nix::{
    sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev},
    unistd::Pid,
};

/// Nanoseconds, as times are counted here.
pub(super) type Nanos = i64;

pub(super) const SECOND: Nanos = 1_000_000_000;

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

    /// Writes octets; `None` where there is no room.
    pub(super) fn write(self, address: u64, octets: &[u8]) -> Option<()> {
        let there = [remote(address, octets.len())?];
        let here = [IoSlice::new(octets)];
        let written = process_vm_writev(Pid::from_raw(self.0), &here, &there).ok()?;
        (written == octets.len()).then_some(())
    }

    fn word(self, address: u64) -> Option<i64> {
        let octets = self.read(address, 8)?;
        Some(i64::from_ne_bytes(octets.try_into().ok()?))
    }

    /// A number of four octets, as a futex is.
    pub(super) fn number(self, address: u64) -> Option<u32> {
        let octets = self.read(address, 4)?;
        Some(u32::from_ne_bytes(octets.try_into().ok()?))
    }

    /// A set of signals.
    pub(super) fn signals(self, address: u64) -> Option<u64> {
        Some(u64::from_ne_bytes(self.word(address)?.to_ne_bytes()))
    }

    /// A `timespec`.
    pub(super) fn timespec(self, address: u64) -> Option<Nanos> {
        let (seconds, nanos) = (self.word(address)?, self.word(address.wrapping_add(8))?);
        Some(seconds.saturating_mul(SECOND).saturating_add(nanos))
    }

    /// A `timeval`.
    pub(super) fn timeval(self, address: u64) -> Option<Nanos> {
        let (seconds, micros) = (self.word(address)?, self.word(address.wrapping_add(8))?);
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
        let mut octets = first.to_ne_bytes().to_vec();
        octets.extend(second.to_ne_bytes());
        self.write(address, &octets)
    }
}

fn remote(address: u64, len: usize) -> Option<RemoteIoVec> {
    let base = usize::try_from(address).ok()?;
    Some(RemoteIoVec { base, len })
}
