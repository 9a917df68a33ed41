//! Programs that people check or send mail with, against a lab on loopback: dig, nslookup, swaks, smtp-source,
//! OpenSSL, msmtp, curl, smtplib of Python, nodemailer. A program that is not installed is ignored by name.

mod lab;
mod senders;

use libtest_mimic::{Arguments, Failed, Trial};
use mxdrill::fault::Stage;

use self::{
    lab::{LabForPrograms, program},
    senders::{CLIENTS, delivers_whatever_is_offered, lmtp_is_refused_and_named},
};

fn dig_gets_every_type() -> Result<(), Failed> {
    let site = LabForPrograms::new();
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
    let site = LabForPrograms::new();
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
    let site = LabForPrograms::new();
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
    let site = LabForPrograms::new();
    for host in ["good", "expired", "self", "other"] {
        assert_eq!(site.swaks(host, &["--tls"]), Some(0), "{host}");
    }
    assert!(site.lab.messages().iter().all(|message| message.tls));
    // 29: TLS was asked for and not to be had.
    assert_eq!(site.swaks("plain", &["--tls"]), Some(29));
    Ok(())
}

fn swaks_says_who_it_is_at_the_ports_of_a_relay() -> Result<(), Failed> {
    let site = LabForPrograms::new();
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
    let site = LabForPrograms::new();
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
    let site = LabForPrograms::new();
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
    let site = LabForPrograms::new();
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

fn main() {
    let arguments = Arguments::from_args();
    type ClientTest = fn() -> Result<(), Failed>;
    let tests: [(&str, &str, ClientTest); 9] = [
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
