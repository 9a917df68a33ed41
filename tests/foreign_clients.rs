//! Programs that people check or send mail with, against a lab on loopback: dig, nslookup, swaks, smtp-source,
//! OpenSSL, msmtp, curl, smtplib of Python, nodemailer. A program that is not installed is ignored by name.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::Arc,
};

use libtest_mimic::{Arguments, Failed, Trial};
use mxdrill::{
    event::{EventKind, SessionEnd},
    fault::Stage,
    lab::{Lab, NetworkKind},
    scenario::Scenario,
    verdict::SenderKind,
};
use tempfile::TempDir;

const SCENARIO: &str = r#"
summary = "exchangers with certificates good and bad"
zone = """
$ORIGIN example.test.
@      IN SOA ns1 hostmaster 7 7200 3600 1209600 60
@      IN MX 10 good
@      IN MX 20 expired
@      IN TXT "v=spf1 mx -all"
good   IN A 192.0.2.1
expired IN A 192.0.2.2
self   IN A 192.0.2.3
other  IN A 192.0.2.4
plain  IN A 192.0.2.5
relay  IN A 192.0.2.6
1.2.0.192.in-addr.arpa. IN PTR good
"""
messages = [{ id = "m1", to = "alice@example.test" }]
receivers = [
  { certificate = "valid" },
  { host = "expired.example.test", certificate = "expired" },
  { host = "self.example.test", certificate = "self-signed" },
  { host = "other.example.test", certificate = "wrong-name" },
  { host = "relay.example.test", ports = [587, 465], auth = { user = "app", password = "secret" } },
]
faults = [{ host = "plain.example.test", stage = "starttls", effect = "not offered" }]
"#;

/// A lab on a runtime of its own, for programs that block.
struct LabState {
    lab: Arc<Lab>,
    runtime: tokio::runtime::Runtime,
    folder: TempDir,
}

impl LabState {
    fn new() -> Self {
        Self::of(SCENARIO)
    }

    fn of(scenario: &str) -> Self {
        let scenario = Arc::new(
            Scenario::parse("clients", scenario).unwrap_or_else(|mistakes| panic!("{mistakes}")),
        );
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let lab = runtime
            .block_on(Lab::start(scenario, NetworkKind::Loopback))
            .expect("a lab");
        let folder = TempDir::new().expect("a folder");
        // Who offers no TLS has no authority.
        if let Some(authority) = lab.authority_pem() {
            fs::write(folder.path().join("ca.pem"), authority).expect("written");
        }
        Self {
            lab: Arc::new(lab),
            runtime,
            folder,
        }
    }

    /// `address:port` of a host.
    fn at(&self, host: &str) -> std::net::SocketAddr {
        let name = format!("{host}.example.test");
        let endpoints = self.lab.endpoints().into_iter();
        let mut found =
            endpoints.filter(|endpoint| endpoint.hosts.iter().any(|host| host.as_str() == name));
        found.next().expect("an endpoint").listens
    }

    fn run(&self, program: &str, arguments: &[String]) -> Output {
        self.run_with(program, arguments, Stdio::null())
    }

    fn run_with(&self, program: &str, arguments: &[String], input: Stdio) -> Output {
        // Bounded in time whatever the program does.
        Command::new("timeout")
            .arg("20")
            .arg(program)
            .args(arguments)
            .stdin(input)
            .output()
            .expect("it runs")
    }

    /// A file in the folder of the lab.
    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn dig(&self, question: &[&str]) -> String {
        let dns = self.lab.resolver();
        let mut arguments = vec![
            format!("@{}", dns.ip()),
            "-p".to_owned(),
            dns.port().to_string(),
        ];
        arguments.extend(question.iter().map(|word| (*word).to_owned()));
        String::from_utf8_lossy(&self.run("dig", &arguments).stdout).into_owned()
    }

    fn swaks(&self, host: &str, more: &[&str]) -> Option<i32> {
        let at = self.at(host);
        let mut arguments = vec!["--to".to_owned(), "alice@example.test".to_owned()];
        arguments.extend([
            "--server".to_owned(),
            at.ip().to_string(),
            "--port".to_owned(),
            at.port().to_string(),
        ]);
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        self.run("swaks", &arguments).status.code()
    }

    /// What OpenSSL says of a host's certificate.
    fn openssl(&self, host: &str) -> String {
        let (said, _) = self.openssl_with(host, &[]);
        said
    }

    /// As [`LabState::openssl`], with further arguments; also all that it says of what went wrong.
    fn openssl_with(&self, host: &str, more: &[&str]) -> (String, String) {
        let authority = self.folder.path().join("ca.pem").display().to_string();
        let name = format!("{host}.example.test");
        let at = self.at(host).to_string();
        let arguments = [
            "s_client",
            "-starttls",
            "smtp",
            "-connect",
            &at,
            "-servername",
            &name,
            "-verify_hostname",
            &name,
            "-CAfile",
            &authority,
        ];
        let arguments = arguments.iter().chain(more).map(|word| (*word).to_owned());
        let output = self.run("openssl", &arguments.collect::<Vec<String>>());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with("Verification"));
        let said = line.unwrap_or("no verification").trim().to_owned();
        (said, errors)
    }
}

fn dig_gets_every_type() -> Result<(), Failed> {
    let site = LabState::new();
    assert_eq!(
        site.dig(&["+short", "example.test", "MX"]),
        "10 good.example.test.\n20 expired.example.test.\n"
    );
    assert_eq!(
        site.dig(&["+short", "+tcp", "example.test", "TXT"]),
        "\"v=spf1 mx -all\"\n"
    );
    let answered = site.dig(&["+short", "good.example.test", "A"]);
    let answered = answered.trim().parse().expect("an address");
    assert_eq!(site.lab.socket_for(answered), site.at("good"));
    assert_eq!(
        site.dig(&["+short", "-x", "192.0.2.1"]),
        "good.example.test.\n"
    );
    assert!(
        site.dig(&["gone.example.test", "A"])
            .contains("status: NXDOMAIN")
    );
    let _failing = site.lab.fail_query("example.test MX", "servfail")?;
    assert!(
        site.dig(&["example.test", "MX"])
            .contains("status: SERVFAIL")
    );
    Ok(())
}

fn nslookup_gets_the_exchangers() -> Result<(), Failed> {
    let site = LabState::new();
    let dns = site.lab.resolver();
    let arguments = [
        "-type=mx".to_owned(),
        format!("-port={}", dns.port()),
        "example.test".to_owned(),
        dns.ip().to_string(),
    ];
    let text = String::from_utf8_lossy(&site.run("nslookup", &arguments).stdout).into_owned();
    assert!(
        text.contains("mail exchanger = 10 good.example.test."),
        "{text}"
    );
    Ok(())
}

fn swaks_delivers_and_fails_as_told() -> Result<(), Failed> {
    let site = LabState::new();
    assert_eq!(site.swaks("good", &[]), Some(0));
    let taken = site
        .runtime
        .block_on(site.lab.wait_for_message("alice@example.test"))?;
    assert_eq!(taken.hosts[0].as_str(), "good.example.test");
    // swaks: 24 is a refused recipient, 2 a failed connection.
    let lab = &site.lab;
    let rejecting = lab.fail("good.example.test", Stage::Rcpt, "550 5.1.1 no such user")?;
    assert_eq!(site.swaks("good", &[]), Some(24));
    drop(rejecting);
    let _down = lab.fail("good.example.test", Stage::Connect, "refuse")?;
    let refused = (0..50).any(|_| site.swaks("good", &["--timeout", "5s"]) == Some(2));
    assert!(refused);
    Ok(())
}

fn swaks_uses_tls_whatever_the_certificate() -> Result<(), Failed> {
    let site = LabState::new();
    for host in ["good", "expired", "self", "other"] {
        assert_eq!(site.swaks(host, &["--tls"]), Some(0), "{host}");
    }
    assert!(site.lab.messages().iter().all(|message| message.tls));
    // 29: TLS was asked for and not to be had.
    assert_eq!(site.swaks("plain", &["--tls"]), Some(29));
    Ok(())
}

fn swaks_says_who_it_is_at_the_ports_of_a_relay() -> Result<(), Failed> {
    let site = LabState::new();
    let swaks = |port: u16, more: &[&str]| {
        let at = site
            .lab
            .socket_for_port([192, 0, 2, 6].into(), port)
            .expect("a port");
        let (host, port) = (at.ip().to_string(), at.port().to_string());
        let mut arguments = vec![
            "--to",
            "alice@example.test",
            "--server",
            &host,
            "--port",
            &port,
        ];
        arguments.extend(more);
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        site.run("swaks", &arguments).status.code()
    };
    let login = ["--auth-user", "app", "--auth-password", "secret"];
    for (port, tls) in [(587, "--tls"), (465, "--tls-on-connect")] {
        for auth in ["PLAIN", "LOGIN"] {
            assert_eq!(
                swaks(port, &[&["--auth", auth, tls], &login[..]].concat()),
                Some(0)
            );
        }
        // swaks: 28 is a failed AUTH, 23 a refused MAIL.
        let wrong = [
            "--auth",
            "PLAIN",
            tls,
            "--auth-user",
            "app",
            "--auth-password",
            "x",
        ];
        assert_eq!(swaks(port, &wrong), Some(28));
        assert_eq!(swaks(port, &[tls]), Some(23));
    }
    // Outside TLS it is not offered.
    assert_eq!(
        swaks(587, &[&["--auth", "PLAIN"], &login[..]].concat()),
        Some(28)
    );
    assert_eq!(site.lab.messages().len(), 4);
    Ok(())
}

fn openssl_sees_what_is_wrong_with_each_certificate() -> Result<(), Failed> {
    let site = LabState::new();
    for (host, verdict) in [
        ("good", "Verification: OK"),
        ("expired", "Verification error: certificate has expired"),
        ("self", "Verification error: self-signed certificate"),
        ("other", "Verification error: hostname mismatch"),
    ] {
        let found = site
            .openssl(host)
            .to_lowercase()
            .replace("self signed", "self-signed");
        assert_eq!(found, verdict.to_lowercase(), "{host}");
    }
    Ok(())
}

fn a_client_is_answered_with_a_key_that_it_knows() -> Result<(), Failed> {
    let site = LabState::new();
    for version in ["-tls1_2", "-tls1_3"] {
        for schemes in ["ed25519:ECDSA+SHA256", "ed25519", "ECDSA+SHA256:RSA+SHA256"] {
            let (said, errors) = site.openssl_with("good", &[version, "-sigalgs", schemes]);
            assert_eq!(said, "Verification: OK", "{version} {schemes}: {errors}");
        }
        // Who knows neither is told so.
        let (_, errors) =
            site.openssl_with("good", &[version, "-sigalgs", "RSA+SHA256:RSA-PSS+SHA256"]);
        assert!(
            errors.contains("alert handshake failure"),
            "{version}: {errors}"
        );
    }
    Ok(())
}

fn smtp_source_sends_in_parallel() -> Result<(), Failed> {
    let site = LabState::new();
    let at = site.at("good");
    let text = format!(
        "-m 100 -s 10 -l 3000 -t alice@example.test -f bob@client.test inet:{}:{}",
        at.ip(),
        at.port()
    );
    let arguments: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let output = site.run(&program("smtp-source").display().to_string(), &arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(site.lab.messages().len(), 100);
    Ok(())
}

/// The one message of the lab of [`OFFERS`], its lines ended with CRLF.
const MAIL: &str = "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\nFrom: sender@sender.test\r\n\
    To: alice@example.test\r\nSubject: drill message m1\r\nMessage-ID: <m1@mxdrill.test>\r\n\r\n\
    .hidden\r\n..two\r\n.\r\nthe end\r\n";

/// A receiver that offers all that there is, and one that offers nothing.
const OFFERS: [(&str, &str); 2] = [
    (
        "everything",
        r#"certificate = "valid", extensions = ["PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "CHUNKING",
  "BINARYMIME", "DSN", "LIMITS RCPTMAX=100", "MT-PRIORITY", "DELIVERBY", "ENHANCEDSTATUSCODES"]"#,
    ),
    ("nothing", "extensions = []"),
];

/// A client that sends one message to one server, and what it is known to do wrong.
struct Client {
    name: &'static str,
    program: &'static str,
    /// Where the program alone does not do: what else must succeed.
    needs: &'static [&'static str],
    /// Its words; `{ip}`, `{port}` and `{folder}` are filled in.
    words: &'static [&'static str],
    /// Its words for TLS, and for none.
    tls: [&'static [&'static str]; 2],
    last: &'static [&'static str],
    /// The rules that it breaks.
    breaks: &'static [&'static str],
}

const SMTPLIB: &str = r#"
import smtplib, ssl, sys
ip, port, mail, authority = sys.argv[1:5]
client = smtplib.SMTP(ip, int(port), local_hostname="client.test", timeout=10)
client.ehlo()
if authority != "none":
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False # it has the address alone
    client.starttls(context=context)
client.sendmail("sender@sender.test", ["alice@example.test"], open(mail, "rb").read())
client.quit()
"#;

const NODEMAILER: &str = r#"
const [host, port, mail, authority] = process.argv.slice(1);
const fs = require("fs"), wants = authority !== "none";
const tls = wants ? { servername: "mx1.example.test", ca: fs.readFileSync(authority) } : {};
const options = { host, port, name: "client.test", secure: false, requireTLS: wants, ignoreTLS: !wants, tls };
const envelope = { from: "sender@sender.test", to: ["alice@example.test"] };
require("nodemailer").createTransport(options).sendMail({ envelope, raw: fs.readFileSync(mail) })
    .catch((error) => { console.error(error); process.exitCode = 1; });
"#;

const SWAKS: [&str; 12] = [
    "--server",
    "{ip}",
    "--port",
    "{port}",
    "--ehlo",
    "client.test",
    "--from",
    "sender@sender.test",
    "--to",
    "alice@example.test",
    "--data",
    // It ends the last line itself.
    "@{folder}/unended.eml",
];

const CLIENTS: [Client; 6] = [
    Client {
        name: "swaks",
        program: "swaks",
        needs: &[],
        words: &SWAKS,
        tls: [&["--tls"], &[]],
        last: &[],
        breaks: &[],
    },
    Client {
        name: "swaks_that_pipelines",
        program: "swaks",
        needs: &[],
        words: &SWAKS,
        tls: [&["--tls"], &[]],
        last: &["--pipeline"],
        breaks: &[],
    },
    Client {
        name: "msmtp",
        program: "msmtp",
        needs: &[],
        words: &[
            "--host={ip}",
            "--port={port}",
            "--domain=client.test",
            "--from=sender@sender.test",
        ],
        tls: [
            &[
                "--tls=on",
                "--tls-starttls=on",
                "--tls-trust-file={folder}/ca.pem",
                "--tls-host-override=mx1.example.test",
            ],
            &["--tls=off"],
        ],
        last: &["alice@example.test"],
        breaks: &[],
    },
    Client {
        name: "curl",
        program: "curl",
        needs: &[],
        words: &[
            "-sS",
            "--noproxy",
            "*",
            "--resolve",
            "mx1.example.test:{port}:{ip}",
            "smtp://mx1.example.test:{port}/client.test",
            "--mail-from",
            "sender@sender.test",
            "--mail-rcpt",
            "alice@example.test",
            "--upload-file",
            "{folder}/mail.eml",
        ],
        tls: [&["--ssl-reqd", "--cacert", "{folder}/ca.pem"], &[]],
        last: &[],
        breaks: &[],
    },
    Client {
        name: "smtplib",
        program: "python3",
        needs: &[],
        words: &["-c", SMTPLIB, "{ip}", "{port}", "{folder}/mail.eml"],
        tls: [&["{folder}/ca.pem"], &["none"]],
        last: &[],
        breaks: &[],
    },
    Client {
        name: "nodemailer",
        program: "node",
        needs: &["-e", "require('nodemailer')"],
        words: &["-e", NODEMAILER, "{ip}", "{port}", "{folder}/mail.eml"],
        tls: [&["{folder}/ca.pem"], &["none"]],
        last: &[],
        // It closes the connection once the message is taken.
        breaks: &["quits"],
    },
];

impl Client {
    /// Why it cannot be tried here.
    fn obstacle(&self) -> Option<String> {
        let file = program(self.program);
        if !file.is_file() {
            return Some(format!("{} is not installed", self.program));
        }
        let tried = (!self.needs.is_empty())
            .then(|| Command::new(file).args(self.needs).output())
            .is_none_or(|tried| tried.is_ok_and(|output| output.status.success()));
        (!tried).then(|| format!("{} is not installed", self.name))
    }

    /// Has it send the message to the one receiver of a lab.
    fn send(&self, site: &LabState, is_tls: bool) -> Output {
        fs::write(site.file("mail.eml"), MAIL).expect("written");
        let unended = MAIL.trim_end().replace("\r\n", "\n");
        fs::write(site.file("unended.eml"), unended).expect("written");
        let (at, folder) = (site.at("mx1"), site.folder.path().display().to_string());
        let (ip, port) = (at.ip().to_string(), at.port().to_string());
        let tls = self.tls[usize::from(!is_tls)];
        let words = self.words.iter().chain(tls).chain(self.last);
        let filled = words.map(|word| {
            let word = word.replace("{ip}", &ip).replace("{port}", &port);
            word.replace("{folder}", &folder)
        });
        let input = File::open(site.file("mail.eml")).expect("a file");
        site.run_with(self.program, &filled.collect::<Vec<_>>(), input.into())
    }
}

fn lab_that_offers(what: &str) -> LabState {
    LabState::of(&format!(
        r#"
summary = "one exchanger"
zone = """
$ORIGIN example.test.
@    IN MX 10 mx1
mx1  IN A  192.0.2.1
"""
messages  = [{{ id = "m1", to = "alice@example.test", body = ".hidden\n..two\n.\nthe end\n" }}]
receivers = [{{ {what} }}]
"#
    ))
}

/// The rules that the lab found broken once the session was over.
fn broken_rules(site: &LabState) -> Result<Vec<&'static str>, Failed> {
    let over = |event: &mxdrill::event::Event| matches!(event.kind, EventKind::End { .. });
    site.runtime.block_on(site.lab.wait_for(over))?;
    let findings = site.lab.verdict(SenderKind::Command).findings;
    let rules = findings.iter().map(|finding| finding.rule);
    Ok(rules.map(|rule| rule.unwrap_or("an expectation")).collect())
}

/// Whether anything was sent before the reply to a command could be there.
fn has_pipelined(site: &LabState) -> bool {
    let events = site.lab.events();
    events.iter().any(|event| match &event.kind {
        EventKind::Reply { more, .. } => more.ahead,
        EventKind::Command { ahead, .. } => *ahead,
        _ => false,
    })
}

fn delivers_whatever_is_offered(client: &Client) -> Result<(), Failed> {
    for (what, offer) in OFFERS {
        let site = lab_that_offers(offer);
        let is_tls = what == "everything";
        let output = client.send(&site, is_tls);
        assert!(output.status.success(), "{what}: {output:?}");
        let taken = site
            .runtime
            .block_on(site.lab.wait_for_message("alice@example.test"))?;
        assert_eq!(taken.tls, is_tls, "{what}");
        let content = taken.content.read()?;
        let text = String::from_utf8_lossy(&content);
        let is_whole = text.ends_with("\r\n\r\n.hidden\r\n..two\r\n.\r\nthe end\r\n");
        assert!(is_whole, "{what}: {text}");
        assert_eq!(broken_rules(&site)?, client.breaks, "{what}");
        // Who pipelines does so where it is offered, and is not blamed where it is not.
        let pipelines = has_pipelined(&site);
        assert!(is_tls || !pipelines, "{what}");
        if client.name == "swaks_that_pipelines" {
            assert_eq!(pipelines, is_tls, "{what}");
        }
    }
    Ok(())
}

fn lmtp_is_refused_and_named() -> Result<(), Failed> {
    for (what, offer) in OFFERS {
        let site = lab_that_offers(offer);
        let client = Client {
            last: &["--protocol", "LMTP"],
            ..CLIENTS[0]
        };
        // swaks: 22 is a hello that was refused.
        let output = client.send(&site, false);
        assert_eq!(output.status.code(), Some(22), "{what}: {output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.contains("502 5.5.1 LHLO is not offered"),
            "{what}: {said}"
        );
        assert_eq!(broken_rules(&site)?, ["ehlo-first"], "{what}");
        let events = site.lab.events();
        let end = events.last().map(|event| event.kind.clone());
        let quit = matches!(end, Some(EventKind::End { how, .. }) if how == SessionEnd::Quit);
        assert!(quit, "{what}: {end:?}");
    }
    Ok(())
}

/// Where a program is, also among those that only root has on its path.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")]);
    let mut files = folders
        .map(|folder| folder.join(name))
        .filter(|file| file.is_file());
    files.next().unwrap_or_default()
}

fn main() {
    let arguments = Arguments::from_args();
    type Test = fn() -> Result<(), Failed>;
    let tests: [(&str, &str, Test); 9] = [
        ("dig", "dig_gets_every_type", dig_gets_every_type),
        (
            "nslookup",
            "nslookup_gets_the_exchangers",
            nslookup_gets_the_exchangers,
        ),
        (
            "swaks",
            "swaks_delivers_and_fails_as_told",
            swaks_delivers_and_fails_as_told,
        ),
        (
            "swaks",
            "swaks_uses_tls_whatever_the_certificate",
            swaks_uses_tls_whatever_the_certificate,
        ),
        (
            "swaks",
            "swaks_says_who_it_is_at_the_ports_of_a_relay",
            swaks_says_who_it_is_at_the_ports_of_a_relay,
        ),
        (
            "openssl",
            "openssl_sees_what_is_wrong_with_each_certificate",
            openssl_sees_what_is_wrong_with_each_certificate,
        ),
        (
            "openssl",
            "a_client_is_answered_with_a_key_that_it_knows",
            a_client_is_answered_with_a_key_that_it_knows,
        ),
        (
            "smtp-source",
            "smtp_source_sends_in_parallel",
            smtp_source_sends_in_parallel,
        ),
        (
            "swaks",
            "lmtp_is_refused_and_named",
            lmtp_is_refused_and_named,
        ),
    ];
    let usable = program("timeout").is_file();
    let trials = tests.into_iter().map(|(needed, name, test)| {
        let missing = !usable || !program(needed).is_file();
        if missing {
            eprintln!("{name} is skipped: it needs {needed} and timeout, and one is not installed");
        }
        Trial::test(name, test).with_ignored_flag(missing)
    });
    let clients = CLIENTS.iter().map(|client| {
        let name = format!("{}_delivers_whatever_is_offered", client.name);
        let obstacle = match usable {
            true => client.obstacle(),
            false => Some("timeout is not installed".to_owned()),
        };
        if let Some(obstacle) = &obstacle {
            eprintln!("{name} is skipped: {obstacle}");
        }
        Trial::test(name, || delivers_whatever_is_offered(client))
            .with_ignored_flag(obstacle.is_some())
    });
    libtest_mimic::run(&arguments, trials.chain(clients).collect()).exit();
}
