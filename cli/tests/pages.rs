//! Pages that `plan` and `lint` write: whole files, with the route drawn, in which nothing of others is alive.

use std::{fs, process::Command};

const ZONE: &str = r#"
$ORIGIN example.test.
$TTL 3600
@       SOA  ns1.dns.test. host.dns.test. 1 7200 900 1209600 3600
@       NS   ns1.dns.test.
@       NS   ns2.dns.test.
@       MX   10 mx1
@       MX   10 mx2
@       MX   20 gone
@       MX   50 backup
@       TXT  "v=spf1 mx include:<script>alert(1)</script> -all"
_dmarc  TXT  "v=DMARC1; p=none" ; mxdrill: allow dmarc-none (a <b>bold</b> reason)
mx1     A    192.0.2.1
mx1     AAAA 2001:db8::1
mx2     A    198.51.100.2
backup  CNAME relay.provider.test.
"#;

/// The page that a command writes of the zone.
fn page(command: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.zone"), ZONE).expect("written");
    let run = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .current_dir(folder.path())
        .args([command, "a.zone", "--html", "a.html"])
        .output()
        .expect("started");
    assert_ne!(run.status.code(), Some(2), "{run:?}");
    fs::read_to_string(at("a.html")).expect("written")
}

/// The elements that are open at the end, and what is closed without being open.
fn unbalanced(html: &str) -> Vec<String> {
    const ALONE: [&str; 7] = ["!doctype", "meta", "link", "br", "rect", "path", "img"];
    let mut open: Vec<String> = Vec::new();
    for tag in html.split('<').skip(1) {
        let name: String = tag
            .chars()
            .take_while(|c| c.is_alphanumeric() || matches!(c, '!' | '/'))
            .collect();
        match name.strip_prefix('/') {
            Some(closed) => match open.pop() {
                Some(last) if last == closed => {}
                other => return vec![format!("{other:?} closed by {closed}")],
            },
            None if ALONE.contains(&&*name) => {}
            None => open.push(name),
        }
    }
    open
}

#[test]
fn the_route_is_drawn_with_exchangers_in_the_order_of_trying() {
    let page = page("plan");
    assert_eq!(unbalanced(&page), Vec::<String>::new());
    let told = [
        "<h1>example.test",
        "Mail for example.test goes to its MX records.",
        "preference 10",
        "mx1.example.test",
        "50 %",
        "192.0.2.1, 2001:db8::1",
        "mx2.example.test",
        "if none of these takes it",
        "preference 20",
        "gone.example.test",
        "does not exist",
        "preference 50",
        "backup.example.test",
        "100 %",
        "an alias of relay.provider.test",
    ];
    let mut rest = &page[..];
    for told in told {
        let at = rest.find(told).unwrap_or_else(|| panic!("{told}: {rest}"));
        rest = &rest[at..];
    }
    assert!(!page.contains("<script") && !page.contains("http"));
    assert!(page.ends_with("</html>\n"));
}

#[test]
fn a_page_of_findings_has_the_worst_first_and_the_checks_at_their_exchangers() {
    let page = page("lint");
    assert_eq!(unbalanced(&page), Vec::<String>::new());
    let drawing_end = page.find("</svg>").expect("a drawing");
    let (drawing, rest) = page.split_at(drawing_end);
    let gone = drawing.find("gone.example.test").expect("drawn");
    let backup = drawing.find("backup.example.test").expect("drawn");
    let at = |id: &str| {
        drawing
            .find(id)
            .unwrap_or_else(|| panic!("{id}: {drawing}"))
    };
    assert!((gone..backup).contains(&at("target-nxdomain")), "{drawing}");
    assert!(at("target-alias") > backup, "{drawing}");
    let order = [
        "<h2>Errors</h2>",
        "a.zone:10, target-alias",
        "<h2>Worth knowing</h2>",
        "<h2>Accepted</h2>",
        "a &lt;b&gt;bold&lt;/b&gt; reason",
        "<h2>Not checked</h2>",
    ];
    let places = order.map(|text| rest.find(text).unwrap_or_else(|| panic!("{text}: {rest}")));
    assert!(places.is_sorted(), "{places:?}");
    assert!(!page.contains("<script") && !page.contains("<b>"));
}
