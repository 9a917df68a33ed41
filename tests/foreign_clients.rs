//! Programs that people check mail with, against a lab on loopback: dig, nslookup, swaks, smtp-source,
//! OpenSSL. A program that is not installed is ignored by name.

use std::{
    path::PathBuf,
    process::{Command, Output},
    sync::Arc,
};

use libtest_mimic::{Arguments, Failed, Trial};
use mxdrill::{
    fault::Stage,
    lab::{Lab, NetworkKind},
    scenario::Scenario,
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
1.2.0.192.in-addr.arpa. IN PTR good
"""
messages = [{ id = "m1", to = "alice@example.test" }]
receivers = [
  { certificate = "valid" },
  { host = "expired.example.test", certificate = "expired" },
  { host = "self.example.test", certificate = "self-signed" },
  { host = "other.example.test", certificate = "wrong-name" },
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
        let scenario = Arc::new(
            Scenario::parse("clients", SCENARIO).unwrap_or_else(|mistakes| panic!("{mistakes}")),
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
        std::fs::write(
            folder.path().join("ca.pem"),
            lab.authority_pem().expect("an authority"),
        )
        .expect("written");
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
        // Bounded in time whatever the program does.
        Command::new("timeout")
            .arg("20")
            .arg(program)
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .output()
            .expect("it runs")
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
    let tests: [(&str, &str, Test); 7] = [
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
    ];
    let usable = program("timeout").is_file();
    let trials = tests.into_iter().map(|(needed, name, test)| {
        let missing = !usable || !program(needed).is_file();
        if missing {
            eprintln!("{name} is skipped: it needs {needed} and timeout, and one is not installed");
        }
        Trial::test(name, test).with_ignored_flag(missing)
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
