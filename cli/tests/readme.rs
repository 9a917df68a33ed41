//! The README and the other pages as their readers use them: each command of a console block whose output
//! is shown is run beside the files that the page shows, and says what the page says. One whose program or
//! mail server is missing is ignored by name.
//!
//! A line of `...` stands for any lines. Times that the machine decides, ports and versions may differ.

mod fetched;

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Read},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

/// The pages, from the top of the checkout. What the first one shows is there for the others, too.
const PAGES: [&str; 3] = ["README.md", "docs/domains.md", "docs/programs.md"];

/// How often a command is run that says that the machine was too busy for real time.
const TRIES: u32 = 5;

/// A command of a page, and what the page says comes of it.
#[derive(Clone)]
struct Example {
    place: String,
    command: String,
    shown: Vec<String>,
}

/// A file that a page shows: its first line is a comment with its name.
type ShownOutput = (String, String);

fn read(page: &str, text: &str) -> (Vec<Example>, Vec<ShownOutput>) {
    let (mut examples, mut files) = (Vec::new(), Vec::new());
    let mut lines = text.lines().enumerate();
    while let Some((_, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let block = lines.by_ref().take_while(|(_, line)| *line != "```");
        let block: Vec<(usize, &str)> = block.collect();
        if language == "console" {
            examples.extend(commands(page, &block));
        } else if let Some(name) = block.first().and_then(|(_, line)| file_name(line)) {
            let text: String = block.iter().map(|(_, line)| format!("{line}\n")).collect();
            files.push((name.to_owned(), text));
        }
    }
    (examples, files)
}

fn file_name(line: &str) -> Option<&str> {
    let name = line.strip_prefix("# ").or(line.strip_prefix("; "))?;
    (name.contains('.') && !name.contains(' ')).then_some(name)
}

fn commands(page: &str, block: &[(usize, &str)]) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for (number, line) in block {
        match line.strip_prefix("$ ") {
            Some(command) => examples.push(Example {
                place: format!("{page}:{}", number + 1),
                command: command.to_owned(),
                shown: Vec::new(),
            }),
            None => {
                let example = examples.last_mut().expect("output follows a command");
                example.shown.push((*line).to_owned());
            }
        }
    }
    examples
}

impl Example {
    /// The arguments of mxdrill, if the command is one of its own.
    fn arguments(&self) -> Option<Vec<&str>> {
        let rest = self.command.strip_prefix("mxdrill ");
        let rest = rest.or(self.command.strip_prefix("cargo run --release -- "));
        Some(rest?.split(' ').collect())
    }

    /// Why it cannot be run here.
    fn obstacle(&self) -> Option<String> {
        match &self.arguments()?[..] {
            ["exec", _, "--", program, ..] => {
                let missing =
                    (!is_installed(program)).then(|| format!("{program} is not installed"));
                missing.or_else(no_private_network)
            }
            ["conform", rest @ ..] => {
                let servers = rest.iter().take_while(|word| !word.starts_with('-'));
                let mut servers = servers.filter(|server| !fetched::is_fetched(server));
                let missing = servers
                    .next()
                    .map(|server| format!("mxdrill mta get {server} fetches it"));
                missing.or_else(no_private_network)
            }
            ["up", ..] if TcpListener::bind("127.25.0.1:0").is_err() => {
                Some("this system has no address for loopback but 127.0.0.1".to_owned())
            }
            _ => None,
        }
    }

    /// Runs it beside the files and compares.
    fn holds(&self, files: &[ShownOutput]) -> Result<(), Failed> {
        let folder = TempDir::new()?;
        for (name, text) in files {
            fs::write(folder.path().join(name), text)?;
        }
        let arguments = self.arguments().ok_or("no command of mxdrill")?;
        let mut tries = 0..TRIES;
        let said = loop {
            let said = match arguments[0] {
                "up" => self.first_lines(&arguments, folder.path())?,
                _ => all(&mut started(&arguments, folder.path())?)?,
            };
            tries.next();
            if tries.is_empty() || !said.contains("this machine is too busy") {
                break said;
            }
        };
        let said: Vec<&str> = said.lines().collect();
        let shown: Vec<&str> = self.shown.iter().map(String::as_str).collect();
        let settled = |lines: &[&str]| -> Vec<String> {
            let lines = lines.iter();
            lines.map(|line| self.settled(line)).collect()
        };
        match is_told(&settled(&shown), &settled(&said)) {
            true => Ok(()),
            false => Err(format!(
                "$ {}\nthe page says\n\n{}\n\nit said\n\n{}\n",
                self.command,
                shown.join("\n"),
                said.join("\n")
            )
            .into()),
        }
    }

    /// What a command that goes on until it is ended says at first, at ports that are free.
    fn first_lines(&self, arguments: &[&str], folder: &Path) -> io::Result<String> {
        let ports = [free_port()?, free_port()?];
        let mut next = ports.iter();
        let mut replaced = Vec::new();
        let arguments: Vec<String> = arguments
            .iter()
            .map(|word| match word.parse::<u16>() {
                Ok(shown) => {
                    let port = next.next().expect("two ports at most").to_string();
                    replaced.push((port.clone(), shown.to_string()));
                    port
                }
                Err(_) => (*word).to_owned(),
            })
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut running = started(&arguments, folder)?;
        let lines = BufReader::new(&mut running.output).lines();
        let said: Result<Vec<String>, _> = lines.take(self.shown.len()).collect();
        drop(running);
        let said = said?.join("\n");
        Ok(replaced
            .iter()
            .fold(said, |said, (port, shown)| said.replace(port, shown)))
    }

    /// A line without what the machine decides.
    fn settled(&self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let settled = words.iter().enumerate().map(|(index, word)| {
            let next = words.get(index + 1).map(|next| bare(next));
            match bare(word).parse::<f64>().is_ok() && next == Some("s") {
                true => "[seconds]",
                false => self.settled_word(word),
            }
        });
        let settled: Vec<&str> = settled.collect();
        match self.command.starts_with("mxdrill up") {
            // Columns give way where a port has more digits.
            true => settled.concat(),
            false => settled.join(" "),
        }
    }

    /// A word, unless it is a moment or a version of a drill in real time.
    fn settled_word<'a>(&self, word: &'a str) -> &'a str {
        let is_real = ["mxdrill exec", "mxdrill conform"]
            .iter()
            .any(|real| self.command.starts_with(real));
        let units = ["ms", "s", "m", "h", "d"];
        let has_digits = bare(word).starts_with(|c: char| c.is_ascii_digit());
        if !is_real || !has_digits {
            word
        } else if units.iter().any(|unit| bare(word).ends_with(unit)) {
            "[moment]"
        } else if word.ends_with(':') {
            "[version]"
        } else {
            word
        }
    }
}

/// A word without what stands around it.
fn bare(word: &str) -> &str {
    word.trim_matches(['+', '(', ')', ',', ':'])
}

/// Whether lines are those that are shown, where `...` stands for any.
fn is_told(shown: &[String], said: &[String]) -> bool {
    match shown {
        [] => said.is_empty(),
        [any, rest @ ..] if any == "..." => {
            (0..=said.len()).any(|skipped| is_told(rest, &said[skipped..]))
        }
        [line, rest @ ..] => said
            .split_first()
            .is_some_and(|(first, others)| first == line && is_told(rest, others)),
    }
}

/// A command that is ended when nobody wants it any more.
struct Running {
    child: Child,
    /// What it says, to either of its outputs, in order.
    output: io::PipeReader,
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended by itself cannot be ended.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn started(arguments: &[&str], folder: &Path) -> io::Result<Running> {
    let (output, writer) = io::pipe()?;
    let child = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()?;
    Ok(Running { child, output })
}

fn all(running: &mut Running) -> io::Result<String> {
    let mut said = String::new();
    running.output.read_to_string(&mut said)?;
    Ok(said)
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn is_installed(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// Why private networks cannot be had here: a command that does nothing fails its drill where they can.
fn no_private_network() -> Option<String> {
    let drill = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs/namespaces.toml");
    let output = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .arg("exec")
        .arg(drill)
        .args(["--", "true"])
        .output();
    match output {
        Ok(output) if output.status.code() == Some(1) => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

fn main() {
    let (mut examples, mut files) = (Vec::new(), Vec::new());
    for page in PAGES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
        let text = fs::read_to_string(path).expect("the page");
        let (found, shown) = read(page, &text);
        assert!(!found.is_empty(), "{page} has no command");
        examples.extend(found);
        files.extend(shown);
    }
    let trials = examples.into_iter().map(|example| {
        let obstacle = example.obstacle();
        let suffix = obstacle
            .as_ref()
            .map_or(String::new(), |reason| format!(" ({reason})"));
        let name = format!("{}: {}{suffix}", example.place, example.command);
        let files = files.clone();
        Trial::test(name, move || example.holds(&files)).with_ignored_flag(obstacle.is_some())
    });
    let mut trials: Vec<Trial> = trials.collect();
    trials.push(Trial::test(
        "a_changed_line_is_noticed",
        a_changed_line_is_noticed,
    ));
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

/// The comparison itself: what may differ does, and nothing else.
fn a_changed_line_is_noticed() -> Result<(), Failed> {
    let example = |command: &str| Example {
        place: String::new(),
        command: command.to_owned(),
        shown: Vec::new(),
    };
    let (run, exec) = (example("mxdrill run"), example("mxdrill exec a.toml"));
    let rows = [
        (&run, "1 passed in 0.68 s", "1 passed in 2.60 s", true),
        (&run, "1 passed in 0.68 s", "2 passed in 0.68 s", false),
        (&run, "accepted +0s", "accepted +30s", false),
        (&run, "RFC 5321 section 5.1", "RFC 5321 section 5.2", false),
        (&exec, "took 3s126ms", "took 3s227ms", true),
        (&exec, "timeout [192.0.2.1]", "timeout [192.0.2.2]", false),
        (
            &exec,
            "Postfix 3.7.11: 1 pass",
            "Postfix 3.10.1: 1 pass",
            true,
        ),
        (
            &exec,
            "Postfix 3.7.11: 1 pass",
            "Postfix 3.7.11: 0 pass",
            false,
        ),
        (&run, "a\n...\nc", "a\nb\nb\nc", true),
        (&run, "a\n...\nc", "a\nb\nb\nd", false),
        (&run, "a", "a\nb", false),
    ];
    for (example, shown, said, same) in rows {
        let settled = |text: &str| -> Vec<String> {
            text.lines().map(|line| example.settled(line)).collect()
        };
        if is_told(&settled(shown), &settled(said)) != same {
            return Err(format!("{shown:?} and {said:?}: expected {same}").into());
        }
    }
    Ok(())
}
