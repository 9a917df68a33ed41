//! The workflow of public CI, and the action for the workflows of others: that they can be read, that each step does one
//! thing, and that they say what the rest of the tree says.

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

/// The one YAML document of a text.
fn document(text: &str) -> Yaml {
    let mut documents = YamlLoader::load_from_str(text).expect("YAML");
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

/// The names of the inputs of the action.
fn inputs(action: &Yaml) -> BTreeSet<String> {
    let inputs = action["inputs"].as_hash().expect("inputs");
    let named = inputs.iter().map(|(name, input)| {
        assert!(input["description"].as_str().is_some(), "{name:?}");
        assert!(input["default"].as_str().is_some(), "{name:?}");
        name.as_str().expect("a name").to_owned()
    });
    named.collect()
}

#[test]
fn every_input_of_the_action_reaches_its_script() {
    let action = document(&read("action.yml"));
    let script = read(".ci/action");
    assert_eq!(action["runs"]["using"].as_str(), Some("composite"));
    let steps = action["runs"]["steps"].as_vec().expect("steps");
    let mut handed_over = BTreeSet::new();
    for step in steps {
        // A composite action has to name the shell.
        assert_eq!(step["shell"].as_str(), Some("bash"));
        let run = step["run"].as_str().expect("a command");
        assert!(run.contains("\"$GITHUB_ACTION_PATH/.ci/action\" "), "{run}");
        for (name, value) in step["env"].as_hash().into_iter().flatten() {
            let (name, value) = (name.as_str().expect("a name"), value.as_str());
            let input = name.strip_prefix("MXDRILL_").expect("a variable of ours");
            let input = input.to_lowercase();
            assert_eq!(value, Some(&*format!("${{{{ inputs.{input} }}}}")));
            assert!(
                script.contains(&format!("${name}")) || script.contains(&format!("${{{name}:-}}"))
            );
            handed_over.insert(input);
        }
    }
    assert_eq!(handed_over, inputs(&action));
}

#[test]
fn workflows_of_the_page_about_ci_use_the_action_as_it_is() {
    let known = inputs(&document(&read("action.yml")));
    let page = read("docs/ci.md");
    let blocks: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(blocks.len() >= 3);
    let mut used = 0;
    for block in blocks {
        let workflow = document(block);
        for (_, job) in workflow["jobs"].as_hash().expect("jobs") {
            assert!(job["runs-on"].as_str().is_some(), "{block}");
            for step in job["steps"].as_vec().expect("steps") {
                let is_ours = step["uses"]
                    .as_str()
                    .is_some_and(|uses| uses.contains("/mxdrill@"));
                for (name, _) in step["with"].as_hash().into_iter().flatten() {
                    let name = name.as_str().expect("a name");
                    assert!(!is_ours || known.contains(name), "{name}");
                    used += usize::from(is_ours);
                }
            }
        }
    }
    assert!(used >= 10, "{used}");
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
