//! `times` and `sysinfo`: for how long the system has been up, on the clock of the processes.

use std::fs;

use mxdrill_notify::Answer;
use nix::libc;

use super::{
    memory::{Memory, Nanos, SECOND, nanos},
    received::ReceivedCall,
    supervisor::Supervisor,
    wait::Handled,
};

impl Supervisor {
    /// `times`: what was computed is the kernel's to say, and since when is ours.
    pub(super) fn times(&mut self, call: &ReceivedCall) -> Option<Handled> {
        /// A hundredth of a second, in which both are counted (`USER_HZ`).
        const COUNT: Nanos = SECOND / 100;
        let to = call.arguments[0];
        if to != 0 {
            let process = self.quiet.threads.process_of(call.thread);
            let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            // Behind the name, in parentheses, the twelfth is the first: of the process and of its children, in user
            // space and for it.
            let fields = text.rsplit_once(')')?.1.split_whitespace().skip(11).take(4);
            let counts = fields.map(|field| field.parse().ok());
            let octets: Option<Vec<i64>> = counts.collect();
            let octets: Vec<u8> = octets?.into_iter().flat_map(i64::to_ne_bytes).collect();
            Memory(call.thread).write(to, &octets)?;
        }
        Some(Handled::Answer(Answer::Value(self.up() / COUNT)))
    }

    /// `sysinfo`, with the time since the system was started.
    pub(super) fn information(&mut self, call: &ReceivedCall) -> Option<Handled> {
        let mut all = mxdrill_notify::system_information().ok()?;
        all[0] = (self.up() / SECOND).unsigned_abs();
        let octets: Vec<u8> = all.iter().flat_map(|word| word.to_ne_bytes()).collect();
        Memory(call.thread).write(call.arguments[0], &octets)?;
        Some(Handled::Answer(Answer::Value(0)))
    }

    /// For how long the system has been up, on our clock.
    fn up(&self) -> Nanos {
        self.clocks.start(libc::CLOCK_BOOTTIME as u64) + nanos(self.elapsed())
    }
}
