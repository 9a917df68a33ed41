//! Files that commands write: what is there is not lost, what comes from others does no harm.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

const ZONE: &str = "\
$ORIGIN example.test.
$TTL 300
@   IN MX 10 mx1
@   IN MX 20 mx2
mx1 IN A 192.0.2.1
mx2 IN A 192.0.2.2
";

fn mxdrill(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the command runs")
}

fn folder_with(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

/// The exit status, and what was said of mistakes, with paths as most systems write them.
fn told(output: &Output) -> (Option<i32>, String) {
    let said = String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said.replace('\\', "/"))
}

#[test]
fn rehearse_writes_anew_what_it_wrote_and_nothing_that_somebody_changed() {
    let folder = folder_with(&[("a.zone", ZONE), ("b.zone", &ZONE.replace("mx2", "mx3"))]);
    let rehearse = |zone| mxdrill(&["rehearse", zone, "--write", "d"], folder.path());
    let read = |name: &str| fs::read_to_string(folder.path().join("d").join(name));
    for zone in ["a.zone", "b.zone"] {
        let (status, said) = told(&rehearse(zone));
        assert_eq!(status, Some(0), "{zone}: {said}");
    }
    let run = mxdrill(&["run", "d"], folder.path());
    assert!(run.status.success(), "{run:?}");
    // A change of the user's, be it of an octet, keeps all as it is.
    let before = read("nothing-fails.toml").expect("there");
    let changed = read("all-down.toml").expect("there") + "\n";
    fs::write(folder.path().join("d/all-down.toml"), &changed).expect("written");
    let (status, said) = told(&rehearse("a.zone"));
    assert!(
        status == Some(2) && said.contains("d/all-down.toml: found a file that was changed"),
        "{said}"
    );
    assert_eq!(read("all-down.toml").expect("there"), changed);
    assert_eq!(read("nothing-fails.toml").expect("there"), before);
    fs::remove_file(folder.path().join("d/all-down.toml")).expect("gone");
    assert_eq!(rehearse("a.zone").status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn rehearse_follows_no_link_out_of_its_folder() {
    use std::os::unix::fs::symlink;
    let other = ZONE.replace("example.test", "other.test");
    let folder = folder_with(&[("a.zone", ZONE), ("other.zone", &other)]);
    let here = folder.path();
    fs::create_dir(here.join("d")).expect("made");
    fs::create_dir(here.join("elsewhere")).expect("made");
    symlink("../victim", here.join("d/all-down.toml")).expect("a link");
    // To nothing, and to a file that mxdrill wrote itself.
    let rehearse =
        |files: &[&str], write| mxdrill(&[&["rehearse", "--write", write], files].concat(), here);
    let (status, said) = told(&rehearse(&["a.zone"], "d"));
    assert!(
        status == Some(2) && said.contains("d/all-down.toml: found a link"),
        "{said}"
    );
    assert!(!here.join("victim").exists());
    assert_eq!(told(&rehearse(&["a.zone"], "made")).0, Some(0));
    fs::copy(here.join("made/all-down.toml"), here.join("victim")).expect("copied");
    assert_eq!(told(&rehearse(&["a.zone"], "d")).0, Some(2));
    // A folder of the user's may be a link, one that is made in it may not.
    symlink("elsewhere", here.join("mine")).expect("a link");
    assert_eq!(told(&rehearse(&["a.zone"], "mine")).0, Some(0));
    symlink("../made", here.join("d/other.test")).expect("a link");
    let (status, said) = told(&rehearse(&["a.zone", "other.zone"], "d"));
    assert!(
        status == Some(2) && said.contains("d/other.test: found a link"),
        "{said}"
    );
}

#[test]
fn lines_and_pages_grow_while_a_drill_is_under_way() {
    let drill = |count| {
        format!(
            "summary = \"{count} messages\"\nzone = '''\n{ZONE}'''\n\
            messages = [{{ id = \"m\", to = \"alice@example.test\", count = {count} }}]\n"
        )
    };
    let folder = folder_with(&[("a.toml", &drill(1)), ("b.toml", &drill(50_000))]);
    let mut run = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .args(["run", "a.toml", "b.toml", "--format", "json"])
        .args(["--html", "page.html"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let lines = BufReader::new(run.stdout.take().expect("a pipe")).lines();
    let mut lines = lines.map(|line| line.expect("text"));
    assert!(lines.any(|line| line.contains("verdict") && line.contains("a.toml")));
    // The second drill cannot end: it has much more to say than is read.
    assert!(lines.next().is_some_and(|line| line.contains("b.toml")));
    let page = fs::read_to_string(folder.path().join("page.html")).expect("there");
    run.kill().expect("killed");
    run.wait().expect("its own child");
    assert!(
        page.contains("a.toml: 1 messages") && page.ends_with("</details>\n"),
        "{page}"
    );
    assert!(!lines.any(|line| line.contains("verdict")));
}
