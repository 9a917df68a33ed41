//! `mxdrill up --control`: the API over real sockets, and who is kept out of it.

mod client;

use std::{
    collections::BTreeSet,
    net::TcpStream,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use client::{Up, follow, told};

const ZONE: &str = "$ORIGIN example.test.
@    IN MX 10 mx1
@    IN MX 20 mx2
mx1  IN A  192.0.2.1
mx2  IN A  192.0.2.2
";
/// A scenario with this zone, and further lines.
fn scenario(more: &str) -> String {
    format!(
        "summary = \"s\"\nzone = \"\"\"\n{ZONE}\"\"\"\nmessages = [{{ id = \"m1\", to = \"alice@example.test\" }}]\n{more}"
    )
}

const ALICE: &str = "alice@example.test";

#[test]
fn a_host_that_fails_over_the_api_fails_and_its_backup_has_the_message() {
    let up = Up::new();
    assert_eq!(up.get("/readyz").json(), json!({ "status": "ready" }));
    let lab = up.put_up(ZONE, "text/dns").json();
    assert_eq!(lab["domain"], "example.test");
    assert_eq!(
        lab["hosts"][0]["exchanges"],
        json!([{ "domain": "example.test", "preference": 10 }])
    );

    let answer = up.fail("mx1.example.test", "connect", "refuse");
    assert_eq!(answer.status, 201);
    let fault = answer.json();
    assert!(
        answer
            .head
            .contains(&format!("location: /v1/faults/{}", fault["id"]))
    );
    assert_eq!(up.mail("mx1.example.test", ALICE), None);
    assert!(up.mail("mx2.example.test", ALICE).is_some());

    let message = up
        .get("/v1/messages/wait?recipient=alice@example.test")
        .json();
    assert_eq!(message["host"], "mx2.example.test");
    assert_eq!(message["subject"], "Hello");
    assert_eq!(
        message["headers"][1],
        json!({ "name": "To", "value": "you" })
    );
    assert_eq!(message["text"].as_str().map(str::trim_end), Some("Hello"));
    let eml = up.get(message["eml"].as_str().expect("a path"));
    assert_eq!(eml.body, b"Subject: Hello\r\nTo: you\r\n\r\nHello\r\n");
    assert!(eml.head.contains("content-type: message/rfc822") && eml.head.contains("attachment"));

    let attempts = up.get("/v1/attempts").json();
    assert_eq!(attempts["attempts"][0]["result"], "accepted");
    assert_eq!(up.get("/v1/verdict").json()["passed"], true);
    // The fault stays until it is lifted.
    assert_eq!(up.mail("mx1.example.test", ALICE), None);
    let path = format!("/v1/faults/{}", fault["id"]);
    assert_eq!(up.send("DELETE", &path, &[], b"").status, 204);
    assert!(up.mail("mx1.example.test", ALICE).is_some());
    up.send("DELETE", &path, &[], b"").problem(404);
    assert!(up.end());
}

#[test]
fn faults_are_rows_of_scenario_files() {
    let up = Up::new();
    let rows =
        "faults = [{ host = \"mx2.example.test\", stage = \"mail\", effect = \"451 4.3.0 busy\" }]";
    assert_eq!(up.put_up(&scenario(rows), "application/toml").status, 200);
    let row = json!({ "stage": "rcpt", "effect": ["550-5.1.1 no", "550 5.1.1 such"], "recipient": "*@example.test", "first": 1, "until": "1h" });
    assert_eq!(up.ask("POST", "/v1/faults", &row).status, 201);
    let query = json!({ "query": "example.test MX", "effect": "servfail", "over": "udp" });
    assert_eq!(up.ask("POST", "/v1/faults", &query).status, 201);
    assert_eq!(
        up.mail("mx1.example.test", ALICE).as_deref(),
        Some("550 5.1.1 such")
    );
    let faults = up.get("/v1/faults").json()["faults"].clone();
    let told: Vec<_> = faults
        .as_array()
        .expect("faults")
        .iter()
        .map(|one| (one["by_hand"].clone(), one["struck"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            (json!(true), json!(0)),
            (json!(true), json!(1)),
            (json!(false), json!(0))
        ]
    );
    assert_eq!(faults[0]["query"], "example.test MX");
    assert_eq!(faults[1]["stage"], "rcpt");

    let lift = |query: &str| {
        up.send("DELETE", &format!("/v1/faults{query}"), &[], b"")
            .json()["lifted"]
            .clone()
    };
    assert_eq!(lift("?queries=true"), 1);
    assert_eq!(lift("?host=mx2.example.test"), 1);
    assert_eq!(lift(""), 1);
    assert!(up.end());
}

#[test]
fn a_fault_with_a_mistake_is_refused_with_what_is_wrong_in_it() {
    let up = Up::new();
    assert_eq!(up.put_up(&scenario(""), "application/toml").status, 200);
    for (row, told) in [
        (
            json!({ "host": "mx1.example.test", "stage": "conect", "effect": "refuse" }),
            "did you mean \"connect\"",
        ),
        (
            json!({ "host": "mx9.example.test", "stage": "connect", "effect": "refuse" }),
            "expected one that a record names",
        ),
        (
            json!({ "stage": "connect", "effect": "451 busy" }),
            "an effect at stage connect",
        ),
        (
            json!({ "query": "example.test MX", "stage": "mail", "effect": "servfail" }),
            "found stage beside query",
        ),
        (
            json!({ "stage": "mail", "effekt": "hang" }),
            "unknown field `effekt`",
        ),
        (
            json!({ "stage": "mail", "effect": "hang\nfirst = 1" }),
            "found",
        ),
    ] {
        let answer = up.ask("POST", "/v1/faults", &row);
        let why = answer.problem(422);
        assert!(why.contains(told), "{why}");
        // No text was sent in which it could have a place.
        assert_eq!(answer.json()["mistakes"], json!(null));
    }
    up.send(
        "POST",
        "/v1/faults",
        &["Content-Type: application/json"],
        b"{",
    )
    .problem(400);
    up.send("POST", "/v1/faults", &["Content-Type: text/plain"], b"{}")
        .problem(415);
}

#[test]
fn records_change_and_hosts_do_not() {
    let up = Up::new();
    up.put_up(ZONE, "text/dns");
    let change =
        json!({ "delete": ["example.test MX"], "add": ["example.test. MX 5 mx2.example.test."] });
    let told = up.ask("PATCH", "/v1/records", &change).json();
    let zone = told["zone"].as_str().expect("text");
    assert!(
        zone.contains("MX 5 mx2.example.test.") && !zone.contains("MX 10 mx1"),
        "{zone}"
    );
    // Its own domain for senders stays.
    assert!(zone.contains("sender.test."), "{zone}");
    let replace = |zone: &str| {
        up.send(
            "PUT",
            "/v1/records",
            &["Content-Type: text/dns"],
            zone.as_bytes(),
        )
    };
    let told =
        replace("other.test. MX 10 mx1.example.test.\nmx1.example.test. A 192.0.2.1\n").json();
    let zone = told["zone"].as_str().expect("text");
    assert!(
        zone.contains("other.test.") && zone.contains("sender.test.") && !zone.contains("mx2"),
        "{zone}"
    );
    for (change, told) in [
        (
            json!({ "add": ["a.test. A 192.0.2.77"] }),
            "found address 192.0.2.77",
        ),
        (
            json!({ "delete": ["nowhere.test"] }),
            "expected a record that is there",
        ),
        (json!({ "add": ["$INCLUDE /etc/passwd"] }), "$INCLUDE"),
        (json!({}), "nothing to delete"),
    ] {
        let why = up.ask("PATCH", "/v1/records", &change).problem(422);
        assert!(why.contains(told), "{why}");
    }
}

#[test]
fn another_lab_stands_where_the_one_before_stood() {
    let up = Up::new();
    // Where each host has a port of its own, the name server's is all that is kept.
    let has_addresses = std::net::TcpListener::bind("127.25.0.1:0").is_ok();
    let place = |lab: &Value| {
        let port = has_addresses.then(|| lab["smtp_port"].clone());
        (lab["resolver"].clone(), port)
    };
    let first = up.put_up(ZONE, "text/dns").json();
    up.fail("mx1.example.test", "connect", "refuse");
    up.mail("mx2.example.test", ALICE);
    let second = up.put_up(&scenario(""), "application/toml").json();
    assert_eq!(place(&first), place(&second));
    assert_eq!(up.get("/v1/faults").json()["faults"], json!([]));
    assert_eq!(up.get("/v1/messages").json()["messages"], json!([]));
    assert_eq!(up.get("/v1/attempts").json()["attempts"], json!([]));
    // What is wrong in a scenario is told with its place, and the lab is as it was.
    let answer = up.put_up("summary = \"s\"\nzone = \"\"\n", "application/toml");
    assert!(answer.problem(422).contains("messages"));
    assert_eq!(up.get("/v1/lab").json(), second);
}

#[test]
fn no_file_and_no_server_of_this_host_is_reached_by_a_scenario_that_is_sent() {
    let up = Up::new();
    let zone_file = "summary = \"s\"\nzone_file = \"/etc/passwd\"\nmessages = [{ id = \"m\", to = \"a@b.test\" }]\n";
    for (text, media, told) in [
        (zone_file, "application/toml", "no file can be read"),
        ("$INCLUDE /etc/passwd\n", "text/dns", "$INCLUDE"),
        (
            &scenario("receivers = [{ upstream = \"127.0.0.1:25\" }]"),
            "application/toml",
            "--allow-upstream",
        ),
    ] {
        let why = up.put_up(text, media).problem(422);
        assert!(why.contains(told), "{why}");
        assert!(!why.contains("root:"), "{why}");
    }
    let included = scenario("").replace("@    IN MX 10 mx1", "$INCLUDE /etc/passwd");
    assert!(
        up.put_up(&included, "application/toml")
            .problem(422)
            .contains("no file can be read")
    );
    up.put_up("", "text/plain").problem(415);
}

#[test]
fn pages_of_other_sites_are_kept_out() {
    let up = Up::new();
    for lines in [
        &["Host: elsewhere.test"][..],
        &["Origin: http://elsewhere.test"],
        &["Origin: null"],
        &["Sec-Fetch-Site: cross-site"],
    ] {
        up.send("DELETE", "/v1/events", lines, b"").problem(403);
        up.send("GET", "/v1/messages", lines, b"").problem(403);
    }
    let own = format!("Origin: http://{}", up.control);
    assert_eq!(
        up.send(
            "GET",
            "/v1/messages",
            &[&own, "Sec-Fetch-Site: same-origin"],
            b""
        )
        .status,
        200
    );
    for path in ["/", "/console.js", "/v1/lab", "/nowhere"] {
        let answer = up.get(path);
        assert!(
            answer
                .head
                .contains("content-security-policy: default-src 'none'"),
            "{}",
            answer.head
        );
        assert!(answer.head.contains("nosniff") && !answer.head.contains("access-control-allow"));
    }
    // The page loads nothing from elsewhere, and has no script or style of its own that the policy would forbid.
    let page = String::from_utf8(up.get("/").body).expect("text");
    assert!(!page.contains("http") && !page.contains("style=") && !page.contains("onclick="));
}

#[test]
fn what_is_too_much_is_refused() {
    let up = Up::new();
    let large = "; a comment\n".repeat(100_000);
    up.put_up(&large, "text/dns").problem(413);
    up.get("/v1/messages/wait?timeout=61").problem(400);
    up.get("/v1/events?limit=0").problem(400);
    up.get("/v1/messages/18446744073709551616").problem(400);
    up.get("/v1/messages?recipent=a").problem(400);
    up.get("/nowhere").problem(404);
    assert!(
        up.send("POST", "/v1/lab", &[], b"")
            .problem(405)
            .contains("expected a method")
    );
    // Followers that read nothing take no more than their places.
    let followers: Vec<TcpStream> = (0..32).map(|_| follow(&up, 0).0).collect();
    assert!(
        up.get("/v1/events/stream")
            .problem(503)
            .contains("followers")
    );
    assert_eq!(up.get("/v1/lab").status, 200);
    drop(followers);
}

#[test]
fn the_stream_goes_on_where_a_follower_stopped_and_says_what_it_missed() {
    let up = Up::new();
    up.put_up(ZONE, "text/dns");
    let (_open, mut lines) = follow(&up, 0);
    up.fail("mx1.example.test", "mail", "hang");
    let first = loop {
        let id: u64 = told(&mut lines, "id: ").parse().expect("a number");
        // `data` comes before `id` or after it, as the library has it: the event is asked for by its number.
        let event = up
            .get(&format!("/v1/events?after={}&limit=1", id - 1))
            .json()["events"][0]
            .clone();
        if event["event"] == "changed" {
            break id;
        }
    };
    up.mail("mx2.example.test", ALICE);
    let (_open, mut lines) = follow(&up, first);
    assert_eq!(told(&mut lines, "id: ").parse(), Ok(first + 1));

    let last = up.get("/v1/events").json()["last"]
        .as_u64()
        .expect("a number");
    assert_eq!(up.send("DELETE", "/v1/events", &[], b"").status, 204);
    let (_open, mut lines) = follow(&up, first);
    assert_eq!(told(&mut lines, "event: "), "dropped");
    assert_eq!(up.get("/v1/attempts").json()["attempts"], json!([]));
    // One of another process, which was at this address before, begins anew.
    up.fail("mx2.example.test", "mail", "hang");
    let (_open, mut lines) = follow(&up, 1_000_000);
    assert_eq!(told(&mut lines, "event: "), "dropped");
    assert_eq!(told(&mut lines, "id: ").parse(), Ok(last + 1));
}

#[test]
fn a_message_that_is_waited_for_comes_while_somebody_waits() {
    let up = Up::new();
    up.put_up(ZONE, "text/dns");
    let waiting = std::thread::scope(|scope| {
        let waiting =
            scope.spawn(|| up.get("/v1/messages/wait?recipient=alice@example.test&timeout=60"));
        up.mail("mx1.example.test", "bob@example.test");
        up.mail("mx1.example.test", ALICE);
        waiting.join().expect("an answer")
    });
    assert_eq!(waiting.json()["to"], json!([ALICE]));
    let number = waiting.json()["id"].clone();
    let why = up
        .get(&format!(
            "/v1/messages/wait?recipient={ALICE}&after={number}&timeout=0"
        ))
        .problem(404);
    assert!(
        why.contains("no message for alice@example.test within 0 s"),
        "{why}"
    );
    assert_eq!(up.send("DELETE", "/v1/messages", &[], b"").status, 204);
    up.get(&format!("/v1/messages/{number}")).problem(404);
}

#[test]
fn a_sender_that_gives_up_is_found_out_with_the_rule_that_it_breaks() {
    let up = Up::new();
    up.put_up(&scenario(""), "application/toml");
    up.fail("mx1.example.test", "rcpt", "450 4.2.1 later");
    up.mail("mx1.example.test", ALICE);
    let verdict = up.get("/v1/verdict?sender=command").json();
    assert_eq!(verdict["passed"], false);
    let findings = verdict["findings"].as_array().expect("findings");
    let finding = findings
        .iter()
        .find(|one| one["rule"] == "next-candidate")
        .expect("the rule");
    assert!(
        finding["cites"][0]
            .as_str()
            .expect("a text")
            .starts_with("RFC 5321")
    );
    up.get("/v1/verdict?sender=nobody").problem(400);
}

/// The paths of the router, as its source has them.
fn routes() -> BTreeSet<String> {
    let source = include_str!("../../src/control_api/routes.rs");
    let routes = source.split(".route(").skip(1);
    routes
        .map(|route| route.split('"').nth(1).expect("a path").to_owned())
        .collect()
}

#[test]
fn the_description_has_every_route() {
    let up = Up::new();
    let described = up.get("/openapi.json").json();
    let paths = described["paths"].as_object().expect("paths");
    let mut paths: BTreeSet<String> = paths.keys().cloned().collect();
    paths.insert("/openapi.json".to_owned());
    assert_eq!(paths, routes());
}

fn ran(arguments: &[&str], folder: &Path) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    command.expect("it runs")
}

#[test]
fn other_hosts_reach_it_only_where_that_is_allowed() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = ran(&["up", "--control", "0.0.0.0:0"], folder.path());
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("--allow-control-from-outside"), "{said}");
    // Whoever asks by another name has to be known by it.
    let up = Up::with(&["--control-name", "mail-lab"]);
    assert_eq!(
        up.send("GET", "/v1/lab", &["Host: mail-lab:8025"], b"")
            .status,
        200
    );
    up.send("GET", "/v1/lab", &["Host: other-lab:8025"], b"")
        .problem(403);
    // Without the API there has to be a scenario.
    assert_eq!(ran(&["up"], folder.path()).status.code(), Some(2));
}

#[test]
fn the_file_that_says_it_is_ready_has_what_is_printed_and_goes_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ready.json");
    // What an earlier run left says nothing of this one.
    std::fs::write(&file, "old").expect("written");
    let drill = folder.path().join("drill.toml");
    std::fs::write(&drill, scenario("")).expect("written");
    let up = Up::with(&[
        drill.to_str().expect("text"),
        "--ready-file",
        file.to_str().expect("text"),
    ]);
    // It is written after the first line is printed.
    while std::fs::read_to_string(&file).is_ok_and(|text| text == "old") || !file.exists() {
        std::thread::yield_now();
    }
    let text = std::fs::read_to_string(&file).expect("a file");
    let told: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(told, up.told);
    assert_eq!(told["receivers"][0]["hosts"][0], "mx1.example.test");
    assert!(up.end());
    assert!(!file.exists());
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 1, "the scenario alone");
}
