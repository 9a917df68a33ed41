//! The command as it is run on the domains of a folder.

use std::{collections::BTreeSet, path::Path, process::Command};

/// What a command prints, and its exit status.
pub(crate) fn mxdrill(arguments: &[&str], folder: &Path) -> (String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mxdrill"));
    let output = command.args(arguments).current_dir(folder).output();
    let output = output.expect("it ran");
    let [out, err] =
        [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned());
    (out + &err, output.status.code())
}

/// The domains of which JSON lines speak.
pub(crate) fn domains_in(json: &str) -> BTreeSet<String> {
    let lines = json.lines().filter(|line| line.starts_with('{'));
    lines
        .filter_map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            value["domain"].as_str().map(str::to_owned)
        })
        .collect()
}
