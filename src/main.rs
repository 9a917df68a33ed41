//! The `mxdrill` command.

fn main() -> std::process::ExitCode {
    mxdrill::cli::main()
}
