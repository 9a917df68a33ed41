//! Functions that read a clock without a call, as the kernel's own do (vdso(7)), by a clock that somebody else moves.
//!
//! They are a piece of code that may be copied anywhere. At its end stands what they read, the [cell](ClockReading):
//! what the clocks showed at a count of the processor, and whether that holds. From there on they go on by one
//! nanosecond for 2¹¹ counts, about a thousandth of the system's speed, so that no two looks are the same, whoever
//! looks. Where the cell does not hold, or it says nothing of a clock, the functions make the call that they stand
//! for.

use std::{
    arch::{
        global_asm,
        x86_64::{__cpuid, _rdtsc},
    },
    sync::LazyLock,
    time::Duration,
};

/// By how many bits a count of the processor is shifted to be nanoseconds.
const SHIFT: u32 = 11;

/// The octets of a [`ClockReading`].
pub const CELL: usize = 64;

/// What the clocks show: seconds and nanoseconds each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockReading {
    /// Whether it holds; where it does not, the kernel is asked.
    pub holds: bool,
    /// The processor's count at that moment ([`count`]).
    pub count: u64,
    /// The time of day (`CLOCK_REALTIME`).
    pub wall: (i64, i64),
    /// Since some moment (`CLOCK_MONOTONIC`).
    pub monotonic: (i64, i64),
    /// Since the system was started (`CLOCK_BOOTTIME`).
    pub boot: (i64, i64),
}

impl ClockReading {
    /// As the code reads it.
    #[must_use]
    pub fn cell(&self) -> [u8; CELL] {
        let words = [
            i64::from(self.holds),
            self.count.cast_signed(),
            self.wall.0,
            self.wall.1,
            self.monotonic.0,
            self.monotonic.1,
            self.boot.0,
            self.boot.1,
        ];
        let mut cell = [0; CELL];
        for (place, word) in cell.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        cell
    }
}

/// The code, the cell at its end.
#[must_use]
pub fn code() -> &'static [u8] {
    // SAFETY: the symbols are the two ends of what stands below, which nobody writes to.
    unsafe {
        let (begin, end) = (&raw const mxdrill_clock, &raw const mxdrill_clock_end);
        let length = end.addr() - begin.addr();
        std::slice::from_raw_parts(begin, length)
    }
}

/// Where in the code `clock_gettime`, `gettimeofday` and `time` begin.
#[must_use]
pub fn entries() -> [usize; 3] {
    let begin = (&raw const mxdrill_clock).addr();
    [
        begin,
        (&raw const mxdrill_clock_of_day).addr(),
        (&raw const mxdrill_clock_seconds).addr(),
    ]
    .map(|entry| entry - begin)
}

/// What the processor has counted, if it counts at one speed, whatever it does.
#[must_use]
pub fn count() -> Option<u64> {
    /// Asking takes long where the processor is a virtual one.
    static IS_STEADY: LazyLock<bool> = LazyLock::new(is_steady);
    // SAFETY: every processor of this kind has the instruction.
    IS_STEADY.then(|| unsafe { _rdtsc() })
}

fn is_steady() -> bool {
    const POWER: u32 = 0x8000_0007;
    /// In the fourth word.
    const INVARIANT: u32 = 1 << 8;
    // SAFETY: every processor of this kind has the instruction.
    #[allow(unused_unsafe, reason = "newer compilers know that asking is safe")]
    unsafe {
        __cpuid(0x8000_0000).eax >= POWER && __cpuid(POWER).edx & INVARIANT == INVARIANT
    }
}

/// How far the clocks have gone on between two counts.
#[must_use]
pub fn between(earlier: u64, later: u64) -> Duration {
    Duration::from_nanos(later.saturating_sub(earlier) >> SHIFT)
}

unsafe extern "C" {
    static mxdrill_clock: u8;
    static mxdrill_clock_of_day: u8;
    static mxdrill_clock_seconds: u8;
    static mxdrill_clock_end: u8;
}

// Registers that a function may use as it likes are used alone. `r8` is the cell.
global_asm!(
    ".pushsection .text.mxdrill_clock, \"ax\", @progbits",
    ".balign 16",
    ".globl mxdrill_clock",
    ".hidden mxdrill_clock",
    "mxdrill_clock:",
    // clock_gettime(edi = clock, rsi = to)
    "lea r8, [rip + 60f]",
    "cmp edi, 7",
    "ja 19f",
    // Which of the three it is, by four bits for each clock; none has 15.
    "lea ecx, [rdi * 4]",
    "mov eax, {clocks}",
    "shr eax, cl",
    "and eax, 15",
    "cmp eax, 15",
    "je 19f",
    "shl eax, 4",
    "mov ecx, eax",
    "call 50f",
    "jc 19f",
    "mov [rsi], r9",
    "mov [rsi + 8], rax",
    "xor eax, eax",
    "ret",
    "19: mov eax, 228",
    "syscall",
    "ret",
    // gettimeofday(rdi = to, rsi = time zone)
    ".globl mxdrill_clock_of_day",
    ".hidden mxdrill_clock_of_day",
    "mxdrill_clock_of_day:",
    "lea r8, [rip + 60f]",
    "test rsi, rsi",
    "jnz 29f",
    "test rdi, rdi",
    "jz 29f",
    "xor ecx, ecx",
    "call 50f",
    "jc 29f",
    "xor edx, edx",
    "mov ecx, 1000",
    "div rcx",
    "mov [rdi], r9",
    "mov [rdi + 8], rax",
    "xor eax, eax",
    "ret",
    "29: mov eax, 96",
    "syscall",
    "ret",
    // time(rdi = to)
    ".globl mxdrill_clock_seconds",
    ".hidden mxdrill_clock_seconds",
    "mxdrill_clock_seconds:",
    "lea r8, [rip + 60f]",
    "xor ecx, ecx",
    "call 50f",
    "jc 39f",
    "test rdi, rdi",
    "jz 31f",
    "mov [rdi], r9",
    "31: mov rax, r9",
    "ret",
    "39: mov eax, 201",
    "syscall",
    "ret",
    // What a clock shows, by its offset (rcx) in the cell: seconds (r9) and nanoseconds (rax); with carry where that is
    // not known.
    "50: cmp qword ptr [r8], 0",
    "je 59f",
    "rdtsc",
    "shl rdx, 32",
    "or rax, rdx",
    "sub rax, [r8 + 8]",
    // Another processor may be a little behind.
    "jae 51f",
    "xor eax, eax",
    "51: shr rax, {shift}",
    "cmp rax, 1000000000",
    "jae 59f",
    "add rax, [r8 + rcx + 24]",
    "mov r9, [r8 + rcx + 16]",
    "cmp rax, 1000000000",
    "jb 52f",
    "sub rax, 1000000000",
    "inc r9",
    "52: clc",
    "ret",
    "59: stc",
    "ret",
    ".balign 8",
    "60: .zero {cell}",
    ".globl mxdrill_clock_end",
    ".hidden mxdrill_clock_end",
    "mxdrill_clock_end:",
    ".popsection",
    // CLOCK_REALTIME 0, MONOTONIC 1, two of the processor's time, MONOTONIC_RAW 1, REALTIME_COARSE 0,
    // MONOTONIC_COARSE 1, BOOTTIME 2
    clocks = const 0x2101_ff10_u32,
    shift = const SHIFT,
    cell = const CELL,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_stands_by_itself() {
        let code = code();
        assert!((CELL..600).contains(&code.len()), "{}", code.len());
        let (text, cell) = code.split_at(code.len() - CELL);
        assert!(cell.iter().all(|octet| *octet == 0));
        let [first, second, third] = entries();
        assert!(first == 0 && second < third && third < text.len());
        let count = count();
        assert!(count.is_none_or(|count| between(count, count + (5 << 11)).as_nanos() == 5));
    }
}
