//! What lint finds in zone files of all shapes, and what it does not.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use mxdrill::{
    lab::{Lab, NetworkKind},
    lint::{CHECKS, Check, Severity, lint, unseen},
    name::Domain,
    records::{DomainRecords, Source},
    scenario::Scenario,
};

fn zones() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zones")
}

async fn surveys(source: &Source) -> Vec<DomainRecords> {
    let mut surveys = Vec::new();
    for domain in source.mail_domains() {
        surveys.push(DomainRecords::of(source, &domain).await);
    }
    surveys
}

/// The ids of what is found in a file.
async fn found(path: &Path) -> BTreeSet<&'static str> {
    let mut source = Source::default();
    source
        .add_file(path, None)
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let findings = lint(&source, &surveys(&source).await);
    for finding in &findings {
        let place = finding.place.as_ref().expect("a place");
        let lines = fs::read_to_string(path).expect("read").lines().count();
        assert!(
            (1..=lines).contains(&place.line),
            "{place}: {}",
            finding.message
        );
    }
    findings.iter().map(|finding| finding.check.id).collect()
}

/// Checks of what no zone file says.
const NOT_IN_FILES: [&str; 21] = [
    "certificate-expiry",
    "certificate-name",
    "certificate-untrusted",
    "dmarc-report-unreachable",
    "dnssec-chain",
    "exchanger-down",
    "greeting-name",
    "lookup-failed",
    "mta-sts-fetch",
    "mta-sts-form",
    "mta-sts-max-age",
    "mta-sts-misses",
    "mta-sts-not-enforced",
    "mta-sts-stale-host",
    "name-servers-differ",
    "no-domain",
    "smtputf8-differs",
    "spf-helo",
    "starttls-absent",
    "tls-version",
    "tlsa-mismatch",
];

#[tokio::test]
async fn every_check_is_tripped_by_its_zone_and_by_no_clean_one() {
    assert_eq!(found(&zones().join("clean.zone")).await, BTreeSet::new());
    for check in CHECKS
        .iter()
        .filter(|check| !NOT_IN_FILES.contains(&check.id))
    {
        let path = zones().join("lint").join(format!("{}.zone", check.id));
        let found = found(&path).await;
        assert!(found.contains(check.id), "{}: {found:?}", check.id);
        assert!(found.len() <= 3, "{}: {found:?}", check.id);
    }
}

/// Every finding of the zone files here, word for word: `UPDATE=1` writes the file that has them.
#[tokio::test]
async fn what_is_found_is_told_where_it_is_and_in_these_words() {
    let mut files = Vec::new();
    for folder in ["", "lint", "near"] {
        for entry in fs::read_dir(zones().join(folder)).expect("a folder") {
            let name = entry.expect("a file").file_name();
            files.push(Path::new(folder).join(name));
        }
    }
    files.retain(|file| file.extension().is_some() && !file.ends_with(FINDINGS));
    files.sort();
    let mut told = String::new();
    for file in files {
        let text = fs::read_to_string(zones().join(&file)).expect("read");
        let name = file.display().to_string().replace('\\', "/");
        let mut source = Source::default();
        source
            .add_text(&name, &text, None)
            .unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let surveys = surveys(&source).await;
        for finding in lint(&source, &surveys) {
            let place = finding
                .place
                .as_ref()
                .map_or(String::new(), ToString::to_string);
            let (id, domain) = (finding.check.id, &finding.domain);
            let accepted = finding.accepted.iter();
            let accepted: String = accepted.map(|why| format!(" (accepted: {why})")).collect();
            let message = &finding.message;
            writeln!(told, "{place}: {id}: {domain}: {message}{accepted}").expect("written");
        }
        for passed in unseen(&surveys) {
            writeln!(told, "{name}: not checked: {}", passed.what).expect("written");
        }
    }
    let path = zones().join(FINDINGS);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &told).expect("written");
    }
    let expected = fs::read_to_string(&path).expect("read").replace('\r', "");
    assert_eq!(told, expected, "UPDATE=1 writes it, if this is meant");
}

/// Where the findings are written down.
const FINDINGS: &str = "findings.txt";

/// Zones that look much like those which trip a check, and are right.
#[tokio::test]
async fn no_check_is_tripped_by_a_near_miss() {
    let near = fs::read_dir(zones().join("near")).expect("a folder");
    let mut tried = 0;
    for entry in near {
        let path = entry.expect("a file").path();
        let id = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        assert!(Check::find(&id).is_some(), "{id}");
        let found = found(&path).await;
        assert!(!found.contains(id.as_str()), "{id}: {found:?}");
        let errors = found.iter().filter_map(|id| Check::find(id));
        let mut errors = errors.filter(|check| check.severity == Severity::Error);
        // A near miss of one check may be what another is for.
        assert!(
            errors.all(|check| check.id == "target-alias"),
            "{id}: {found:?}"
        );
        tried += 1;
    }
    assert!(tried > 12, "{tried}");
}

/// Records as people reported them, with what must be found in them and what must not.
#[tokio::test]
async fn what_was_missed_is_found_and_what_was_wrongly_found_is_not() {
    let head =
        "$ORIGIN example.test.\n$TTL 3600\n@ SOA ns1.dns.test. h 1 2 3 4 5\n@ NS ns1.dns.test.\n";
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            "@ MX 10 mx1\nmx1 A 192.0.2.1\n_dmarc TXT \"v=DMARC1; p=reject; sp=most\"\n",
            &["dmarc-invalid"],
            &["dmarc-none"],
        ),
        (
            "@ MX 10 mx1\nmx1 A 192.0.2.1\n_dmarc TXT \"v=DMARC1; adkim=s\"\n",
            &["dmarc-none"],
            &["dmarc-invalid", "dmarc-tag-ignored"],
        ),
        (
            "a.b MX 10 mx1\nmx1 A 192.0.2.1\n_dmarc TXT \"v=DMARC1; p=none; sp=reject\"\n",
            &["spf-missing"],
            &["dmarc-none", "dmarc-missing"],
        ),
        (
            "@ MX 10 mx1\nmx1 A 192.0.2.1\n_25._tcp.mx1 TLSA 3 2 1 00\n",
            &["tlsa-usage", "tlsa-length", "tlsa-unsigned"],
            &["tlsa-misplaced", "tlsa-partial"],
        ),
        (
            "@ MX 10 mx1\nmx1 A 192.0.2.1\n_25._tcp.mx1 TLSA 2 1 3 00\n",
            &["tlsa-usage"],
            &["tlsa-length"],
        ),
        (
            "@ MX 10 @\n@ A 192.0.2.1\n_25._tcp TLSA 3 0 0 00\n",
            &["tlsa-unsigned"],
            &["tlsa-misplaced", "tlsa-usage", "tlsa-length"],
        ),
        (
            "@ MX 10 mx1\n@ MX 20 mx2\nmx1 AAAA 2001:db8::1\nmx2 A 192.0.2.2\n",
            &["ipv6-only"],
            &["ipv6-absent"],
        ),
        (
            "@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 192.0.2.2\nmx2 AAAA 2001:db8::2\n",
            &[],
            &["ipv6-only", "ipv6-absent"],
        ),
        (
            "@ MX 10 mx1\nmx1 A 192.0.2.1\n* TXT \"hello\"\n",
            &["spf-missing"],
            &["tlsrpt-missing", "mta-sts-invalid"],
        ),
        ("@ AAAA ::1\n", &["no-mx", "target-localhost"], &[]),
        ("@ A 10.0.0.1\n", &["no-mx", "target-private"], &[]),
        ("@ A 100.64.0.1\n", &["no-mx", "target-private"], &[]),
        ("@ A 100.128.0.1\n", &["no-mx"], &["target-private"]),
        (
            "@ MX 10 mx.sub\nsub DNAME other.test.\n",
            &["target-alias"],
            &["target-nxdomain", "target-no-address"],
        ),
        (
            "@ MX 10 mx1\nmx1 A 192.0.2.1\n$ORIGIN 2.0.192.in-addr.arpa.\n1 CNAME 1.0/25\n\
            $ORIGIN 0/25.2.0.192.in-addr.arpa.\n1 PTR mx1.example.test.\n",
            &[],
            &["ptr-missing", "ptr-mismatch"],
        ),
        (
            "@ MX 10 mx1\nmx1 A 192.0.2.1\n@ TXT v=spf1\\ mx\\ -all\n_dmarc TXT v=DMARC1\\;\\ p=reject\n",
            &[],
            &["spf-missing", "dmarc-missing", "dmarc-invalid"],
        ),
        (
            "@ MX 10 mx1\nmx1 A 192.0.2.1\n@ TXT \"v=spf1\\032+all\"\n",
            &["spf-plus-all"],
            &["spf-missing"],
        ),
        (
            "@ MX 10 my_mx\nmy_mx A 192.0.2.1\n",
            &["target-syntax"],
            &["target-nxdomain"],
        ),
        (
            "@ MX 10 *.mx\n*.mx A 192.0.2.1\n",
            &["target-syntax"],
            &["target-nxdomain"],
        ),
        (
            "@ MX 10 mx1\nmx1 A 192.0.2.1\n@ TXT \"v=spf1 redirect=_s\"\n@ TXT \"v=spf1 -all\"\n",
            &["spf-several"],
            &["spf-invalid"],
        ),
        (
            "@ MX 10 mx1 ; mxdrill: alow ttl-low (a slip)\nmx1 A 192.0.2.1\n",
            &["allowance-stale"],
            &[],
        ),
        (
            "@ MX 10 mx1\nmx1 A 192.0.2.1\n; mxdrill: allow ttl-low (behind all)\n",
            &["allowance-stale"],
            &[],
        ),
        (
            "@ MX 10 clinic\n@ MX 20 primary-care\nclinic A 192.0.2.1\nprimary-care A 192.0.2.2\n",
            &[],
            &["backup-preferred", "allowance-stale"],
        ),
        (
            "@ MX 10 mx\n@ MX 20 primary-mx\nmx A 192.0.2.1\nprimary-mx A 192.0.2.2\n",
            &["backup-preferred"],
            &[],
        ),
        (
            "@ MX 10 mx1\nmx1 A 192.0.2.1\ns._domainkey TXT \"k=ed25519; h=sha1; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n",
            &["dkim-key"],
            &[],
        ),
        (
            "@ MX 10 mx1\nmx1 A 192.0.2.1\ns._domainkey TXT \"k=ed25519; h=sha1:sha256; s=email; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n",
            &[],
            &["dkim-key"],
        ),
        (
            "@ MX 10 mx1\nmx1 A 192.0.2.1\ns._domainkey TXT \"k=ed25519; t=s; t=s; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"\n",
            &["dkim-key"],
            &[],
        ),
    ];
    for (records, expected, unexpected) in cases {
        let mut source = Source::default();
        source
            .add_text("a.zone", &format!("{head}{records}"), None)
            .unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let findings = lint(&source, &surveys(&source).await);
        let found: BTreeSet<&str> = findings.iter().map(|finding| finding.check.id).collect();
        for id in *expected {
            assert!(found.contains(id), "{records}: {found:?}");
        }
        for id in *unexpected {
            assert!(!found.contains(id), "{records}: {found:?}");
        }
    }
}

/// A list of hosts without an SOA record: where nobody has an MX record, mail goes to the address.
#[tokio::test]
async fn a_list_of_hosts_without_mx_records_takes_mail_by_its_address() {
    let mut source = Source::default();
    let text = "example.test. 3600 A 192.0.2.1\nwww.example.test. 3600 A 192.0.2.2\n";
    source
        .add_text("a.zone", text, None)
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let findings = lint(&source, &surveys(&source).await);
    let told = findings.iter().any(|finding| {
        finding.check.id == "no-mx" && finding.message.contains("its own address, 192.0.2.1")
    });
    assert!(told, "{findings:#?}");
}

#[tokio::test]
async fn zone_files_of_all_shapes_are_read() {
    let expected: [(&str, &[&str]); 7] = [
        ("cloudflare.txt", &["implicit-mx"]),
        (
            "route53.zone",
            &["dmarc-inherited", "dmarc-obsolete-tag", "implicit-mx"],
        ),
        (
            "godaddy.txt",
            &["dmarc-none", "equal-preferences", "implicit-mx"],
        ),
        (
            "google-cloud.zone",
            &["dmarc-inherited", "dmarc-none", "implicit-mx"],
        ),
        (
            "university.zone",
            &[
                "dmarc-inherited",
                "dmarc-none",
                "dmarc-subdomains",
                "implicit-mx",
                "mx-wildcard",
                "parked",
                "shared-network",
                "spf-missing",
                "ttl-differs",
            ],
        ),
        (
            "single-host.zone",
            &["dmarc-missing", "implicit-mx", "single-exchanger"],
        ),
        (
            "mess.zone",
            &[
                "address-outlives-mx",
                "backup-preferred",
                "cname-beside",
                "dmarc-invalid",
                "dmarc-order",
                "dmarc-report-uri",
                "duplicate-exchanger",
                "implicit-mx",
                "mta-sts-invalid",
                "negative-ttl",
                "null-mx-mixed",
                "preference-extreme",
                "shared-address",
                "shared-fate",
                "spf-several",
                "target-address",
                "target-alias",
                "target-localhost",
                "target-no-address",
                "target-nxdomain",
                "target-private",
                "tlsa-partial",
                "tlsa-rollover",
                "tlsa-unsigned",
                "tlsrpt-missing",
                "ttl-differs",
                "ttl-high",
                "ttl-low",
            ],
        ),
    ];
    for (file, ids) in expected {
        let ids: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(found(&zones().join(file)).await, ids, "{file}");
    }
}

#[tokio::test]
async fn policies_are_held_against_the_exchangers_in_a_scenario() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sts.toml");
    let scenario = |mode: &str, hosts: &[&str], age: u32| {
        let hosts: String = hosts.iter().map(|host| format!("mx: {host}\n")).collect();
        format!(
            "summary = 's'\nzone = '''\n$ORIGIN example.test.\n@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 198.51.100.1\n\
            _mta-sts TXT \"v=STSv1; id=1\"\nmta-sts A 192.0.2.80\n'''\nmessages = [{{ id = 'm', to = 'a@example.test' }}]\n\
            policies = [{{ domain = 'example.test', text = '''\nversion: STSv1\nmode: {mode}\n{hosts}max_age: {age}\n''' }}]\n"
        )
    };
    let (one, both, all) = (
        ["mx1.example.test"],
        ["mx1.example.test", "MX2.example.test"],
        ["*.example.test"],
    );
    let more = ["*.example.test", "old.example.test", "*.else.test"];
    let cases: [(&str, &[&str], u32, &[&str]); 8] = [
        ("enforce\nmode: testing", &both, 86_400, &["mta-sts-form"]),
        ("enforce", &both, 86_400, &[]),
        ("enforce", &all, 31_557_600, &[]),
        ("enforce", &one, 86_400, &["mta-sts-misses"]),
        ("enforce", &more, 86_400, &["mta-sts-stale-host"]),
        ("enforce", &both, 86_399, &["mta-sts-max-age"]),
        ("testing", &both, 86_400, &["mta-sts-not-enforced"]),
        ("enforce", &both, 31_557_601, &["mta-sts-no-policy"]),
    ];
    for (mode, hosts, age, expected) in cases {
        fs::write(&path, scenario(mode, hosts, age)).expect("written");
        let mut source = Source::default();
        source
            .add_file(&path, None)
            .unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let findings = lint(&source, &surveys(&source).await);
        let ids = findings.iter().map(|finding| finding.check.id);
        let ids: Vec<&str> = ids.filter(|id| id.starts_with("mta-sts")).collect();
        assert_eq!(ids, expected, "{findings:#?}");
    }
}

/// A domain as a resolver shows it, which here is the lab's.
#[tokio::test]
async fn a_resolver_is_asked_for_what_no_file_has() {
    let text = fs::read_to_string(zones().join("clean.zone")).expect("read");
    let scenario = |faults: &str| {
        let text = format!(
            "summary = 's'\nzone = \"\"\"\n{}\"\"\"\nmessages = [{{ id = 'm', to = 'a@example.test' }}]\n{faults}",
            text.replace('\\', "\\\\").replace('"', "\\\"")
        );
        Arc::new(Scenario::parse("s", &text).unwrap_or_else(|mistakes| panic!("{mistakes}")))
    };
    let domain: Domain = "example.test".parse().expect("a name");
    // The lab's exchangers are at loopback addresses, and are seen there.
    for (query, told) in [
        ("nobody.example.test A", None),
        (
            "mx2.example.test A",
            Some("the addresses of mx2.example.test"),
        ),
        ("example.test TXT", Some("the TXT records of example.test")),
        (
            "_dmarc.example.test TXT",
            Some("the DMARC record of example.test"),
        ),
        (
            "_mta-sts.example.test TXT",
            Some("the MTA-STS record of example.test"),
        ),
    ] {
        let faults = format!("faults = [{{ query = '{query}', effect = 'servfail' }}]\n");
        let lab = Lab::start(scenario(&faults), NetworkKind::Loopback)
            .await
            .expect("a lab");
        let source = Source::resolver(Some(lab.resolver())).expect("a resolver");
        let domain_records = DomainRecords::of(&source, &domain).await;
        assert_eq!(domain_records.targets.len(), 2);
        let findings = lint(&source, &[domain_records]);
        let failed: Vec<&str> = findings
            .iter()
            .filter(|finding| finding.check.id == "lookup-failed")
            .map(|finding| &*finding.message)
            .collect();
        let expected: Vec<String> = told
            .map(|told| format!("{told} could not be looked up"))
            .into_iter()
            .collect();
        assert_eq!(failed, expected, "{query}");
        lab.stop().await;
    }
}
