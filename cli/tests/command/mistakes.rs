//! Mistakes in a scenario file: each is told with its place, and the command then exits with 2.

use super::{DRILL, play};

/// What is right in the drill, what is wrong in its place, where that is said to be, and what is said of it.
const MISTAKES: [(&str, &str, &str, &str); 14] = [
    ("summary", "sumary", "1:1", "did you mean \"summary\""),
    (
        "192.0.2.1",
        "192.0.2.999",
        "7:10",
        "found \"192.0.2.999\", expected an IPv4 address",
    ),
    (
        "MX 20",
        "MX 65536",
        "6:11",
        "nearest allowed value is 65535",
    ),
    (
        "\"mx1.example.test\", stage",
        "\"mx3.example.test\", stage",
        "11:20",
        "did you mean \"mx1.example.test\"",
    ),
    (
        "stage = \"connect\"",
        "stage = \"conect\"",
        "11:48",
        "did you mean \"connect\"",
    ),
    (
        "effect = \"refuse\"",
        "effect = \"refused\"",
        "11:68",
        "did you mean \"refuse\"",
    ),
    (
        "until = \"20m\"",
        "until = \"20 minutes\"",
        "11:86",
        "expected a duration",
    ),
    (
        "outcome = \"delivered\"",
        "outcome = \"lost\"",
        "17:11",
        "expected an outcome",
    ),
    ("[expect.m1]", "[expect.m2]", "16:9", "did you mean \"m1\""),
    (
        "delivered = 1",
        "delivered = -1",
        "14:13",
        "expected delivered to be a whole number",
    ),
    (
        "to = \"alice@example.test\"",
        "to = \"alice\"",
        "10:31",
        "expected a mailbox",
    ),
    ("messages = [", "messages = [[", "11:1", "expected"),
    (
        "result = \"accepted\"",
        "result = \"250\"",
        "21:41",
        "expected a result",
    ),
    (
        "delivered = 1",
        "delivered = \"one\"",
        "14:13",
        "found the string \"one\"",
    ),
];

#[test]
fn each_mistake_exits_2_and_says_where() {
    for (right, wrong, place, named) in MISTAKES {
        let text = DRILL.replacen(right, wrong, 1);
        assert_ne!(text, DRILL, "{right}");
        let (code, _, err) = play(&text);
        assert_eq!(code, Some(2), "{wrong}: {err}");
        assert!(
            err.starts_with(&format!("a.toml:{place}")) && err.contains(named),
            "{wrong}: {err}"
        );
    }
}

#[test]
fn a_mistake_in_an_update_is_told_at_its_record() {
    let updates = "updates = [{ at = \"1m\", add = \"\"\"\nexample.test. MX 30 mx1.example.test.\nexample.test. MX 99999 mx1.example.test.\n\"\"\" }]\n";
    let (code, _, err) = play(&DRILL.replace("\n[expect]", &format!("{updates}\n[expect]")));
    assert!(code == Some(2) && err.starts_with("a.toml:14:18:"), "{err}");
}

#[test]
fn several_mistakes_are_told_at_once() {
    let text = DRILL
        .replace("delivered = 1", "delivred = 1")
        .replace("\"refuse\"", "\"refuze\"");
    let (_, _, err) = play(&text);
    assert_eq!(err.lines().count(), 2, "{err}");
}
