//! Programs that send one message to one server, whatever extensions it offers: all or none. The message is whole at
//! the other end, and the rules that a program breaks are just those that it is known to break.

use std::{
    fs::{self, File},
    process::{Command, Output},
};

use libtest_mimic::Failed;
use mxdrill::{
    event::{EventKind, SessionEnd},
    verdict::SenderKind,
};

use crate::lab::{LabForPrograms, program};

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
pub(crate) struct MailProgram {
    pub(crate) name: &'static str,
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

pub(crate) const CLIENTS: [MailProgram; 6] = [
    MailProgram {
        name: "swaks",
        program: "swaks",
        needs: &[],
        words: &SWAKS,
        tls: [&["--tls"], &[]],
        last: &[],
        breaks: &[],
    },
    MailProgram {
        name: "swaks_that_pipelines",
        program: "swaks",
        needs: &[],
        words: &SWAKS,
        tls: [&["--tls"], &[]],
        last: &["--pipeline"],
        breaks: &[],
    },
    MailProgram {
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
    MailProgram {
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
    MailProgram {
        name: "smtplib",
        program: "python3",
        needs: &[],
        words: &["-c", SMTPLIB, "{ip}", "{port}", "{folder}/mail.eml"],
        tls: [&["{folder}/ca.pem"], &["none"]],
        last: &[],
        breaks: &[],
    },
    MailProgram {
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

impl MailProgram {
    /// Why it cannot be tried here.
    pub(crate) fn obstacle(&self) -> Option<String> {
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
    fn send(&self, site: &LabForPrograms, is_tls: bool) -> Output {
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

fn lab_that_offers(what: &str) -> LabForPrograms {
    LabForPrograms::of(&format!(
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
fn broken_rules(site: &LabForPrograms) -> Result<Vec<&'static str>, Failed> {
    let over = |event: &mxdrill::event::Event| matches!(event.kind, EventKind::End { .. });
    site.runtime.block_on(site.lab.wait_for(over))?;
    let findings = site.lab.verdict(SenderKind::Command).findings;
    let rules = findings.iter().map(|finding| finding.rule);
    Ok(rules.map(|rule| rule.unwrap_or("an expectation")).collect())
}

/// Whether anything was sent before the reply to a command could be there.
fn has_pipelined(site: &LabForPrograms) -> bool {
    let events = site.lab.events();
    events.iter().any(|event| match &event.kind {
        EventKind::Reply { more, .. } => more.ahead,
        EventKind::Command { ahead, .. } => *ahead,
        _ => false,
    })
}

pub(crate) fn delivers_whatever_is_offered(client: &MailProgram) -> Result<(), Failed> {
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

pub(crate) fn lmtp_is_refused_and_named() -> Result<(), Failed> {
    for (what, offer) in OFFERS {
        let site = lab_that_offers(offer);
        let client = MailProgram {
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
