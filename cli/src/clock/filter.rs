//! Which system calls wait for an answer: those that read a clock or the times of a file, wait for a time, or begin
//! something that the kernel would end by its own clock.
//!
//! The filter is a program of classic BPF (seccomp(2)). It sees a call's number and arguments, and no memory: a
//! wait is told from one without a time only where that is an argument. What may have one in memory is asked about, and
//! `calls` lets through what has none. All else is allowed without a detour, which would cost some ten
//! microseconds each.

use mxdrill_notify::Instruction;
use nix::libc;

/// Calls that are always asked about.
const ASKED: [libc::c_long; 19] = [
    libc::SYS_gettimeofday,
    libc::SYS_time,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_alarm,
    libc::SYS_setitimer,
    libc::SYS_getitimer,
    libc::SYS_arch_prctl,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_connect,
    libc::SYS_stat,
    libc::SYS_fstat,
    libc::SYS_lstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_times,
    libc::SYS_sysinfo,
];

/// Waits for descriptors that are given a number of milliseconds, and which argument that is; one below zero is for as
/// long as it takes.
const WAIT_MILLIS: [(libc::c_long, u32); 3] = [
    (libc::SYS_poll, 2),
    (libc::SYS_epoll_wait, 3),
    (libc::SYS_epoll_pwait, 3),
];
/// Those that are given the address of a time, and which argument that is; without one they wait for as long as it
/// takes.
const WAIT_AT: [(libc::c_long, u32); 4] = [
    (libc::SYS_ppoll, 2),
    (libc::SYS_select, 4),
    (libc::SYS_pselect6, 4),
    (libc::SYS_epoll_pwait2, 3),
];

/// Calls that go by a clock which this one does not reach: they are let through, or refused, and it is said.
pub(super) const NOTED: [(libc::c_long, &str); 10] = [
    (libc::SYS_timer_create, "timer_create"),
    (libc::SYS_adjtimex, "adjtimex"),
    (libc::SYS_clock_adjtime, "clock_adjtime"),
    (libc::SYS_futex_waitv, "futex_waitv"),
    (libc::SYS_io_uring_setup, "io_uring_setup"),
    (libc::SYS_recvmmsg, "recvmmsg"),
    (libc::SYS_mq_timedreceive, "mq_timedreceive"),
    (libc::SYS_semtimedop, "semtimedop"),
    (libc::SYS_clock_settime, "clock_settime"),
    (libc::SYS_settimeofday, "settimeofday"),
];

/// The architecture that the numbers are of, as the kernel names it (`AUDIT_ARCH_X86_64`).
const X86_64: u32 = 0xc000_003e;

const LOAD: u16 = 0x20;
const IF_EQUAL: u16 = 0x15;
const IF_GREATER: u16 = 0x25;
const IF_ANY: u16 = 0x45;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const ASK: u32 = 0x7fc0_0000;
const REFUSE: u32 = 0x0005_0000;

/// Where the kernel puts what a filter looks at: the number, the architecture, the arguments.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// The filter.
pub(super) fn program() -> Vec<Instruction> {
    let mut program = vec![
        load(ARCHITECTURE),
        jump(IF_EQUAL, X86_64, 1, 0),
        // The numbers of another architecture are other calls.
        end(REFUSE | errno(libc::ENOSYS)),
        load(NUMBER),
    ];
    let noted = NOTED.iter().map(|(number, _)| *number);
    for number in ASKED.into_iter().chain(noted) {
        program.extend([jump(IF_EQUAL, call(number), 0, 1), end(ASK)]);
    }
    // The clocks of processes and threads (2, 3, and those above) count what was computed.
    program.extend([
        jump(IF_EQUAL, call(libc::SYS_clock_gettime), 0, 6),
        load(argument(0)),
        jump(IF_EQUAL, 2, 3, 0),
        jump(IF_EQUAL, 3, 2, 0),
        jump(IF_GREATER, 11, 1, 0),
        end(ASK),
        end(ALLOW),
    ]);
    program.extend(waits());
    // `sendto` may connect, with MSG_FASTOPEN.
    program.extend([
        load(NUMBER),
        jump(IF_EQUAL, call(libc::SYS_sendto), 0, 4),
        load(argument(3)),
        jump(IF_ANY, libc::MSG_FASTOPEN as u32, 0, 1),
        end(ASK),
        end(ALLOW),
    ]);
    program.extend(timeouts_of_sockets());
    program.extend(futex());
    program
}

/// Waits for descriptors: those without a time, and those that only look, are the kernel's.
fn waits() -> Vec<Instruction> {
    let mut program = vec![load(NUMBER)];
    for (number, which) in WAIT_MILLIS {
        program.extend([
            jump(IF_EQUAL, call(number), 0, 5),
            load(argument(which)),
            jump(IF_EQUAL, 0, 2, 0),
            // The sign of a number of 32 bits.
            jump(IF_ANY, 1 << 31, 1, 0),
            end(ASK),
            end(ALLOW),
        ]);
    }
    for (number, which) in WAIT_AT {
        program.extend([
            jump(IF_EQUAL, call(number), 0, 6),
            load(argument(which)),
            jump(IF_EQUAL, 0, 0, 2),
            load(argument(which) + 4),
            jump(IF_EQUAL, 0, 1, 0),
            end(ASK),
            end(ALLOW),
        ]);
    }
    program
}

/// `setsockopt` of SO_RCVTIMEO and SO_SNDTIMEO, in both of their forms; each jump counts from the line below.
fn timeouts_of_sockets() -> [Instruction; 11] {
    const SOL_SOCKET: u32 = 1;
    [
        load(NUMBER),
        jump(IF_EQUAL, call(libc::SYS_setsockopt), 0, 9),
        load(argument(1)),
        jump(IF_EQUAL, SOL_SOCKET, 0, 6),
        load(argument(2)),
        jump(IF_EQUAL, 20, 3, 0),
        jump(IF_EQUAL, 21, 2, 0),
        jump(IF_EQUAL, 66, 1, 0),
        jump(IF_EQUAL, 67, 0, 1),
        end(ASK),
        end(ALLOW),
    ]
}

/// `futex`: waits with a time, and what wakes them.
fn futex() -> Vec<Instruction> {
    const OPERATION: u32 = 0x7f;
    let mut program = vec![
        load(NUMBER),
        jump(IF_EQUAL, call(libc::SYS_futex), 1, 0),
        end(ALLOW),
        load(argument(1)),
        plain(AND, OPERATION),
    ];
    for operation in FUTEX_WAKES {
        program.extend([jump(IF_EQUAL, operation, 0, 1), end(ASK)]);
    }
    // To the line behind the one that allows all others.
    let behind = (1..=FUTEX_WAITS.len() as u8).rev();
    let waits = FUTEX_WAITS.into_iter().zip(behind);
    program.extend(waits.map(|(operation, behind)| jump(IF_EQUAL, operation, behind, 0)));
    program.extend([
        end(ALLOW),
        // The address of the time, in two halves: without one it waits for as long as it takes.
        load(argument(3)),
        jump(IF_EQUAL, 0, 0, 2),
        load(argument(3) + 4),
        jump(IF_EQUAL, 0, 1, 0),
        end(ASK),
        end(ALLOW),
    ]);
    program
}

/// The operations of `futex` that are asked about.
pub(super) const FUTEX_WAIT: u32 = 0;
pub(super) const FUTEX_WAKE: u32 = 1;
pub(super) const FUTEX_REQUEUE: u32 = 3;
pub(super) const FUTEX_CMP_REQUEUE: u32 = 4;
pub(super) const FUTEX_WAKE_OP: u32 = 5;
pub(super) const FUTEX_LOCK_PI: u32 = 6;
pub(super) const FUTEX_WAIT_BITSET: u32 = 9;
pub(super) const FUTEX_WAKE_BITSET: u32 = 10;
pub(super) const FUTEX_WAIT_REQUEUE_PI: u32 = 11;
pub(super) const FUTEX_LOCK_PI2: u32 = 13;

const FUTEX_WAKES: [u32; 5] = [
    FUTEX_WAKE,
    FUTEX_WAKE_BITSET,
    FUTEX_REQUEUE,
    FUTEX_CMP_REQUEUE,
    FUTEX_WAKE_OP,
];
/// Those that may have a time.
const FUTEX_WAITS: [u32; 5] = [
    FUTEX_WAIT,
    FUTEX_WAIT_BITSET,
    FUTEX_LOCK_PI,
    FUTEX_LOCK_PI2,
    FUTEX_WAIT_REQUEUE_PI,
];

fn load(offset: u32) -> Instruction {
    plain(LOAD, offset)
}

fn end(verdict: u32) -> Instruction {
    plain(RETURN, verdict)
}

fn plain(code: u16, operand: u32) -> Instruction {
    jump(code, operand, 0, 0)
}

fn jump(code: u16, operand: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction {
        code,
        if_true,
        if_false,
        operand,
    }
}

/// The number of a call, which is never large.
fn call(number: libc::c_long) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn errno(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the filter says of a call, by a reading of its own of the instructions.
    fn verdict(program: &[Instruction], number: u32, arguments: [u64; 6]) -> u32 {
        let mut data = vec![number, X86_64, 0, 0];
        for argument in arguments {
            data.extend([argument as u32, (argument >> 32) as u32]);
        }
        let (mut at, mut held) = (0, 0);
        loop {
            let one = program[at];
            at += 1;
            let holds = match one.code {
                LOAD => {
                    held = data[one.operand as usize / 4];
                    continue;
                }
                AND => {
                    held &= one.operand;
                    continue;
                }
                RETURN => return one.operand,
                IF_EQUAL => held == one.operand,
                IF_GREATER => held > one.operand,
                IF_ANY => held & one.operand != 0,
                code => panic!("{code}"),
            };
            at += usize::from(if holds { one.if_true } else { one.if_false });
        }
    }

    #[test]
    fn clocks_and_waits_are_asked_about_and_nothing_else() {
        let program = program();
        let says = |number: libc::c_long, arguments| verdict(&program, call(number), arguments);
        let first = |one: u64| [one, 0, 0, 0, 0, 0];
        for (number, arguments, expected) in [
            (libc::SYS_read, [0; 6], ALLOW),
            (libc::SYS_poll, [0, 0, 0, 0, 0, 0], ALLOW),
            (libc::SYS_poll, [0, 0, 1, 0, 0, 0], ASK),
            // -1, as a number of 32 bits and of 64.
            (libc::SYS_poll, [0, 0, 0xffff_ffff, 0, 0, 0], ALLOW),
            (libc::SYS_poll, [0, 0, u64::MAX, 0, 0, 0], ALLOW),
            (libc::SYS_epoll_wait, [3, 4096, 1, 0, 0, 0], ALLOW),
            (libc::SYS_epoll_wait, [3, 4096, 1, 1000, 0, 0], ASK),
            (libc::SYS_epoll_pwait, [3, 4096, 1, 1000, 0, 8], ASK),
            (libc::SYS_epoll_pwait, [3, 4096, 1, u64::MAX, 0, 8], ALLOW),
            (libc::SYS_epoll_pwait2, [3, 4096, 1, 1 << 40, 0, 8], ASK),
            (libc::SYS_epoll_pwait2, [3, 4096, 1, 0, 0, 8], ALLOW),
            (libc::SYS_ppoll, [4096, 1, 0, 0, 8, 0], ALLOW),
            (libc::SYS_ppoll, [4096, 1, 4096, 0, 8, 0], ASK),
            (libc::SYS_select, [1, 4096, 0, 0, 0, 0], ALLOW),
            (libc::SYS_select, [1, 4096, 0, 0, 1 << 40, 0], ASK),
            (libc::SYS_pselect6, [1, 4096, 0, 0, 4096, 0], ASK),
            (libc::SYS_pselect6, [1, 4096, 0, 0, 0, 4096], ALLOW),
            (libc::SYS_connect, [0; 6], ASK),
            (libc::SYS_fstat, [0; 6], ASK),
            (libc::SYS_utimensat, [0; 6], ALLOW),
            (libc::SYS_sendto, [3, 0, 0, 0x2000_4000, 0, 0], ASK),
            (libc::SYS_sendto, [3, 0, 0, 0x4000, 0, 0], ALLOW),
            (libc::SYS_clock_gettime, first(0), ASK),
            (libc::SYS_clock_gettime, first(1), ASK),
            (libc::SYS_clock_gettime, first(2), ALLOW),
            (libc::SYS_clock_gettime, first(3), ALLOW),
            (libc::SYS_clock_gettime, first(7), ASK),
            (libc::SYS_clock_gettime, first(11), ASK),
            (libc::SYS_clock_gettime, first(1 << 31), ALLOW),
            (libc::SYS_setsockopt, [3, 1, 20, 0, 0, 0], ASK),
            (libc::SYS_setsockopt, [3, 1, 67, 0, 0, 0], ASK),
            (libc::SYS_setsockopt, [3, 1, 2, 0, 0, 0], ALLOW),
            (libc::SYS_setsockopt, [3, 6, 20, 0, 0, 0], ALLOW),
            // FUTEX_WAIT_PRIVATE without a time, and with one at an address of either half.
            (libc::SYS_futex, [8, 128, 0, 0, 0, 0], ALLOW),
            (libc::SYS_futex, [8, 128, 0, 4096, 0, 0], ASK),
            (libc::SYS_futex, [8, 128, 0, 1 << 40, 0, 0], ASK),
            (libc::SYS_futex, [8, 128 + 9, 0, 4096, 0, 0], ASK),
            (libc::SYS_futex, [8, 128 + 1, 0, 0, 0, 0], ASK),
            (libc::SYS_futex, [8, 10, 0, 0, 0, 0], ASK),
            (libc::SYS_futex, [8, 128 + 3, 0, 0, 0, 0], ASK),
            (libc::SYS_futex, [8, 128 + 5, 0, 0, 0, 0], ASK),
            (libc::SYS_futex, [8, 128 + 6, 0, 4096, 0, 0], ASK),
            (libc::SYS_futex, [8, 128 + 6, 0, 0, 0, 0], ALLOW),
            (libc::SYS_futex, [8, 128 + 11, 0, 4096, 0, 0], ASK),
            (libc::SYS_futex, [8, 128 + 7, 0, 4096, 0, 0], ALLOW),
            (libc::SYS_io_uring_setup, [0; 6], ASK),
        ] {
            assert_eq!(says(number, arguments), expected, "{number} {arguments:?}");
        }
    }
}
