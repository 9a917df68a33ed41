//! `mxdrill completions` and `mxdrill man`: what shells and `man` know of the command line, made of the command line
//! itself. What is hidden from `--help` is hidden from them, too.

use std::{fs, io, path::PathBuf};

use clap_complete::Shell;

use super::{CommandOutcome, at, say};

/// What is said in the help of `completions`.
pub(crate) const COMPLETIONS_NOTES: &str = "\
Where shells look for them:
  mxdrill completions bash > ~/.local/share/bash-completion/completions/mxdrill
  mxdrill completions zsh > ~/.zfunc/_mxdrill          (a folder that is in $fpath)
  mxdrill completions fish > ~/.config/fish/completions/mxdrill.fish";

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// The folder to write to; it is made if it is not there.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Prints a script that lets a shell complete the words of a command line.
pub(crate) fn completions(
    command: clap::Command,
    args: &CompletionsArgs,
) -> io::Result<CommandOutcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut shown(command), "mxdrill", &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script)?;
    Ok(CommandOutcome::Passed)
}

/// Writes a page for the command and one for each of its commands.
pub(crate) fn man(command: clap::Command, args: &ManArgs) -> io::Result<CommandOutcome> {
    let folder = &args.folder;
    fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
    clap_mangen::generate_to(command, folder).map_err(|error| at(folder, error))?;
    let shown = folder.display();
    say::out(format_args!(
        "wrote the pages to {shown}; read the first: man {shown}/mxdrill.1"
    ))?;
    Ok(CommandOutcome::Passed)
}

/// The same command line without what is hidden: completions have no regard for that. Below the first words nothing is.
fn shown(command: clap::Command) -> clap::Command {
    let arguments = command.get_arguments().filter(|one| !one.is_hide_set());
    let commands = command.get_subcommands().filter(|one| !one.is_hide_set());
    clap::Command::new("mxdrill")
        .args(arguments.cloned())
        .subcommands(commands.cloned())
}
