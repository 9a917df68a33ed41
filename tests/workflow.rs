//! The workflow of public CI: that it can be read, that each step does one thing, and that it says what the rest of
//! the tree says.

use std::{collections::BTreeSet, fs, path::Path};

use yaml_rust2::{Yaml, YamlLoader};

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("readable")
}

/// What the steps of a job run.
fn runs(job: &Yaml) -> Vec<&str> {
    let steps = job["steps"].as_vec().expect("steps");
    steps
        .iter()
        .filter_map(|step| step["run"].as_str())
        .collect()
}

#[test]
fn the_workflow_of_ci_says_what_each_system_does() {
    let text = read(".github/workflows/ci.yml");
    let [workflow] = &YamlLoader::load_from_str(&text).expect("YAML")[..] else {
        panic!("one document");
    };
    assert!(!workflow["on"]["push"].is_badvalue());
    let jobs = workflow["jobs"].as_hash().expect("jobs");
    let names: BTreeSet<&str> = jobs.keys().filter_map(Yaml::as_str).collect();
    assert_eq!(names, BTreeSet::from(["linux", "others", "rust-version"]));
    for (name, job) in jobs {
        assert!(job["runs-on"].as_str().is_some(), "{name:?}");
        for step in job["steps"].as_vec().expect("steps") {
            let does = ["uses", "run"].map(|key| step[key].as_str().is_some());
            assert!(does[0] != does[1], "{name:?}: {step:?}");
        }
    }
    let jobs = &workflow["jobs"];
    assert!(
        runs(&jobs["linux"])
            .iter()
            .any(|run| run.ends_with(" .ci/run"))
    );
    let systems = jobs["others"]["strategy"]["matrix"]["os"].as_vec();
    let systems: Vec<&str> = systems
        .expect("systems")
        .iter()
        .filter_map(Yaml::as_str)
        .collect();
    assert_eq!(systems, ["macos-latest", "windows-latest"]);
    for command in ["cargo build ", "cargo test ", "cargo run "] {
        let found = runs(&jobs["others"])
            .iter()
            .any(|run| run.starts_with(command));
        assert!(found, "{command}");
    }
}

#[test]
fn the_stated_version_of_rust_is_the_one_that_ci_builds_with() {
    let manifest = read("Cargo.toml");
    let stated = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let stated = stated.expect("stated").trim_matches('"');
    let text = read(".github/workflows/ci.yml");
    assert!(text.contains(&format!("cargo +{stated} build --locked --workspace")));
}
