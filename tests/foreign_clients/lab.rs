//! A lab on loopback for programs that block, and how such a program is run against it.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::Arc,
};

use mxdrill::{
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
pub(crate) struct LabForPrograms {
    pub(crate) lab: Arc<Lab>,
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) folder: TempDir,
}

impl LabForPrograms {
    pub(crate) fn new() -> Self {
        Self::of(SCENARIO)
    }

    pub(crate) fn of(scenario: &str) -> Self {
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
    pub(crate) fn at(&self, host: &str) -> std::net::SocketAddr {
        let name = format!("{host}.example.test");
        let endpoints = self.lab.endpoints().into_iter();
        let mut found =
            endpoints.filter(|endpoint| endpoint.hosts.iter().any(|host| host.as_str() == name));
        found.next().expect("an endpoint").listens
    }

    pub(crate) fn run(&self, program: &str, arguments: &[String]) -> Output {
        self.run_with(program, arguments, Stdio::null())
    }

    pub(crate) fn run_with(&self, program: &str, arguments: &[String], input: Stdio) -> Output {
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
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(crate) fn dig(&self, question: &[&str]) -> String {
        let dns = self.lab.resolver();
        let mut arguments = vec![
            format!("@{}", dns.ip()),
            "-p".to_owned(),
            dns.port().to_string(),
        ];
        arguments.extend(question.iter().map(|word| (*word).to_owned()));
        String::from_utf8_lossy(&self.run("dig", &arguments).stdout).into_owned()
    }

    pub(crate) fn swaks(&self, host: &str, more: &[&str]) -> Option<i32> {
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
    pub(crate) fn openssl(&self, host: &str) -> String {
        let (said, _) = self.openssl_with(host, &[]);
        said
    }

    /// As [`LabForPrograms::openssl`], with further arguments; also all that it says of what went wrong.
    pub(crate) fn openssl_with(&self, host: &str, more: &[&str]) -> (String, String) {
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

/// Where a program is, also among those that only root has on its path.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")]);
    let mut files = folders
        .map(|folder| folder.join(name))
        .filter(|file| file.is_file());
    files.next().unwrap_or_default()
}
