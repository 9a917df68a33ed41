//! A command as a sender: any program, in a private network where it finds the lab by itself.
//!
//! It is handed all messages at once, since it has its own idea of when to send what, and is judged
//! by what the lab sees until it ends. Of the scenario it is told the relays alone: no record leads there.

use std::{
    ffi::OsString,
    fs::File,
    io,
    process::{ExitStatus, Stdio},
};

use tokio::{
    process,
    signal::unix::{SignalKind, signal},
};

use crate::{sandbox, signals, told_relays};
use mxdrill::sender::{Sender, SenderContext};

/// A command that sends the drill's messages, all that it cares to, and ends.
pub(crate) struct ChildCommand<'a> {
    program: &'a [OsString],
    started: Option<Done<'a>>,
    over: Option<Done<'a>>,
    output: Option<File>,
    ended: &'a mut Option<io::Result<ExitStatus>>,
}

/// What is done when the command has started, or ended.
type Done<'a> = Box<dyn FnOnce() + 'a>;

impl<'a> ChildCommand<'a> {
    /// A program with its arguments; how it ended is left in `ended`.
    pub(crate) fn new(
        program: &'a [OsString],
        ended: &'a mut Option<io::Result<ExitStatus>>,
    ) -> Self {
        Self {
            program,
            started: None,
            over: None,
            output: None,
            ended,
        }
    }

    /// Does something when the command has started.
    pub(crate) fn once_started(self, started: impl FnOnce() + 'a) -> Self {
        Self {
            started: Some(Box::new(started)),
            ..self
        }
    }

    /// What the command says goes to this file, and it has nothing to read: standard input and output are another's.
    pub(crate) fn saying_to(self, output: File) -> Self {
        Self {
            output: Some(output),
            ..self
        }
    }

    /// Does something when the command has ended, before anything else is done.
    pub(crate) fn once_over(self, over: impl FnOnce() + 'a) -> Self {
        Self {
            over: Some(Box::new(over)),
            ..self
        }
    }
}

impl Sender for ChildCommand<'_> {
    async fn send(self, mut context: SenderContext) {
        context.submit_all();
        let Some((program, arguments)) = self.program.split_first() else {
            return;
        };
        let mut command = process::Command::new(program);
        command.args(arguments).kill_on_drop(true);
        for (name, value) in told_relays::variables(&context.scenario().sender) {
            command.env(format!("{}{name}", told_relays::PREFIX), value);
        }
        *self.ended = Some(match redirected(&mut command, self.output) {
            Ok(()) => watched(command, self.started).await,
            Err(error) => Err(error),
        });
        if let Some(over) = self.over {
            over();
        }
    }
}

/// Lets a command say what it says to a file, if there is one.
fn redirected(command: &mut process::Command, output: Option<File>) -> io::Result<()> {
    if let Some(output) = output {
        command.stdin(Stdio::null()).stderr(output.try_clone()?);
        command.stdout(output);
    }
    Ok(())
}

/// Runs a command to its end. What it leaves behind ends in this process, the first of its namespace:
/// whoever waits for such an end waits for it to be taken note of.
async fn watched(
    mut command: process::Command,
    started: Option<Done<'_>>,
) -> io::Result<ExitStatus> {
    let mut ended = signal(SignalKind::child())?;
    let mut child = command.spawn()?;
    if let Some(started) = started {
        started();
    }
    let own = child.id();
    loop {
        tokio::select! {
            status = child.wait() => return status,
            _ = ended.recv() => sandbox::reap_all_but(own),
            // What was seen so far is judged all the same.
            terminated = signals::terminated() => {
                terminated?;
                child.start_kill()?;
                return child.wait().await;
            }
        }
    }
}
