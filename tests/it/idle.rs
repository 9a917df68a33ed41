//! Rows of a scenario that can do nothing are noted, with the nearest name; those that may do something are not.

use mxdrill::scenario::Scenario;

#[test]
fn rows_that_can_do_nothing_are_noted() {
    let zone = "$ORIGIN example.test.\n@ 300 IN MX 10 mx1\n@ 300 IN MX 50 backup.provider.test.\nmx1 300 IN A 192.0.2.1\n";
    let noted = |faults: &str| {
        let text = format!(
            "summary = 's'\nzone = \"\"\"\n{zone}\"\"\"\nmessages = [{{ id = 'm', to = 'alice@example.test' }}]\nfaults = [{faults}]\n"
        );
        Scenario::parse("s.toml", &text).expect("valid").idle_rows()
    };
    let lost =
        "the exchanger backup.provider.test has no address in the drill: no host answers for it";
    assert_eq!(noted(""), [lost]);
    let slips = noted(
        "{ host = 'mx1.example.test', stage = 'rcpt', effect = '550 no', recipient = 'alise@example.test' }, { query = 'exmaple.test MX', effect = 'servfail' }",
    );
    assert_eq!(slips.len(), 3, "{slips:?}");
    assert!(
        slips[1].ends_with(
            "nothing is sent to alise@example.test; did you mean \"alice@example.test\"?"
        ),
        "{slips:?}"
    );
    assert!(
        slips[2].ends_with("leads to exmaple.test; did you mean \"example.test\"?"),
        "{slips:?}"
    );
    // What may well apply is not noted, whether it does or not.
    let fine = noted(
        "{ host = 'mx1.example.test', stage = 'rcpt', effect = '550 no', recipient = 'ALICE@example.test' }, { query = '_25._tcp.mx1.example.test TLSA', effect = 'servfail' }",
    );
    assert_eq!(fine, [lost]);
}

#[test]
fn an_exchanger_that_leads_to_no_address_is_noted_and_wildcards_are_no_slips() {
    let noted = |zone: &str, faults: &str| {
        let text = format!(
            "summary = 's'\nzone = \"\"\"\n$ORIGIN example.test.\n@ MX 10 mx1\n{zone}\"\"\"\nmessages = [{{ id = 'm', to = 'alice@example.test' }}]\n{faults}"
        );
        Scenario::parse("s.toml", &text).map(|scenario| scenario.idle_rows())
    };
    let alias = "the exchanger mx1.example.test is an alias of gone.example.test, which has no address in the drill: no host answers for it";
    let plain =
        "the exchanger mx1.example.test has no address in the drill: no host answers for it";
    for (zone, told) in [
        ("mx1 CNAME gone\n", Some(alias)),
        ("mx1 CNAME gone\ngone TXT \"x\"\n", Some(alias)),
        ("mx1 CNAME other\nother CNAME gone\n", Some(alias)),
        ("mx1 TXT \"x\"\n", Some(plain)),
        ("mx1 CNAME gone\ngone AAAA 2001:db8::1\n", None),
        ("mx1 CNAME gone\n*.example.test. A 192.0.2.1\n", None),
    ] {
        let found = noted(zone, "").expect("valid");
        assert_eq!(found, Vec::from_iter(told), "{zone}");
    }
    let later = "updates = [{ at = '1m', add = 'gone.example.test. A 192.0.2.1' }]\n";
    assert_eq!(noted("mx1 CNAME gone\n", later).expect("valid"), [""; 0]);

    let wild = "mx1 A 192.0.2.1\n*.example.test. A 192.0.2.2\n";
    let query = noted(
        wild,
        "faults = [{ query = 'z.example.test A', effect = 'servfail' }]\n",
    );
    let query = query.expect("valid");
    assert!(
        query[0].ends_with("; did you mean \"example.test\"?"),
        "{query:?}"
    );
    let host = noted(
        wild,
        "faults = [{ host = 'z.example.test', stage = 'connect', effect = 'refuse' }]\n",
    );
    let host = host.expect_err("no such host").to_string();
    assert!(
        host.ends_with("; did you mean \"mx1.example.test\"?"),
        "{host}"
    );
}
