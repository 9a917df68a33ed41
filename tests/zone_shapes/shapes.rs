//! The shapes: each a zone file, with where mail goes by it or what is said of its mistake.

/// What stands before each shape, unless it has an SOA record of its own.
pub(crate) const HEAD: &str = "$ORIGIN example.test.\n$TTL 3600\n@ SOA ns1 hostmaster 1 7200 3600 1209600 300\n@ NS ns1\nns1 A 192.0.2.53\n";

/// A shape: its name, its text, and the exchangers of example.test with their addresses, or a part of what
/// is said of the mistake.
pub(crate) type Shape = (
    &'static str,
    &'static str,
    Result<&'static str, &'static str>,
);

pub(crate) const PLAIN: Result<&str, &str> = Ok("10 mx1.example.test 192.0.2.1");

#[rustfmt::skip]
pub(crate) const SHAPES: &[Shape] = &[
    ("one exchanger", "@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("class and TTL in either order", "@ IN 60 MX 10 mx1\nmx1 60 IN A 192.0.2.1\n", PLAIN),
    ("lower case", "@ in mx 10 mx1\nmx1 in a 192.0.2.1\n", PLAIN),
    ("the owner of the line before", "@ MX 10 mx1\n  TXT \"x\"\nmx1 A 192.0.2.1\n  A 192.0.2.2\n", Ok("10 mx1.example.test 192.0.2.1 192.0.2.2")),
    ("parentheses over lines", "@ MX ( 10 ; the first\n  mx1 )\nmx1 A ( 192.0.2.1 )\n", PLAIN),
    ("CR LF", "@ MX 10 mx1\r\nmx1 A 192.0.2.1\r\n", PLAIN),
    ("no newline at the end", "mx1 A 192.0.2.1\n@ MX 10 mx1", PLAIN),
    ("a class of Hesiod", "@ HS MX 10 mx1\nmx1 A 192.0.2.1\n", Err("6:3: found class HS, expected IN, the only class mail uses")),
    ("a generic class", "@ CLASS1 MX 10 mx1\nmx1 CLASS1 A 192.0.2.1\n", PLAIN),
    ("units of time", "@ 1h30m MX 10 mx1\nmx1 1W A 192.0.2.1\n", PLAIN),
    ("TYPE15 and TYPE1 in words", "@ TYPE15 10 mx1\nmx1 TYPE1 192.0.2.1\n", PLAIN),
    ("TYPE1 in octets", "@ MX 10 mx1\nmx1 TYPE1 \\# 4 C0000201\n", PLAIN),
    ("A in octets", "@ MX 10 mx1\nmx1 A \\# 4 c000 0201\n", PLAIN),
    ("TYPE15 in octets", "@ TYPE15 \\# 20 000a 036d7831 076578616d706c65 0474657374 00\nmx1 A 192.0.2.1\n", PLAIN),
    ("TYPE28 in octets", "@ MX 10 mx1\nmx1 TYPE28 \\# 16 20010db8000000000000000000000001\n", Ok("10 mx1.example.test 2001:db8::1")),
    ("an IPv4 address in IPv6 form", "@ MX 10 mx1\nmx1 AAAA 2001:db8::192.0.2.1\n", Ok("10 mx1.example.test 2001:db8::c000:201")),
    ("a null MX", "@ MX 0 .\n", Ok("")),
    ("another origin in between", "@ MX 10 mx1.sub\n$ORIGIN sub\nmx1 A 192.0.2.1\n$ORIGIN example.test.\n@ MX 20 mx2\nmx2 A 192.0.2.2\n", Ok("10 mx1.sub.example.test 192.0.2.1; 20 mx2.example.test 192.0.2.2")),
    ("a wildcard exchanger", "@ MX 10 a.mx\n*.mx A 192.0.2.1\n", Ok("10 a.mx.example.test 192.0.2.1")),
    ("ZONEMD", "@ ZONEMD 1 1 1 000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("types of other uses", "@ CAA 0 issue \"ca.test\"\n@ LOC 52 22 23 N 4 53 32 E -2m\n@ RP a b\n@ HINFO x y\n@ MX 10 mx1\nmx1 A 192.0.2.1\nmx1 SSHFP 1 1 0123456789012345678901234567890123456789\n", PLAIN),
    ("WINS of Windows", "@ WINS L2 C900 ( 192.0.2.1 )\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("LUA of PowerDNS", "@ LUA A \"pickrandom({'192.0.2.9'})\"\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("redirects of a hoster", "www URL https://example.net/\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("a type of one hoster alone", "www MY-FORWARD2 https://example.net/\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("no type of anybody", "www MY_FORWARD https://example.net/\n", Err("6:5: found \"MY_FORWARD\", expected a record type")),
    ("a type of a number", "@ TYPE65280 \\# 2 abcd\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("time stamps of Windows", "@ MX 10 mail\nmail [AGE:3636591] 1200 A 192.0.2.20\n  [AGE:3633973] 1200 A 192.0.2.21\n", Ok("10 mail.example.test 192.0.2.20 192.0.2.21")),
    ("Route 53's aliases", "@ 60 AWS ALIAS A d1.cdn.test. Z2 false\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("a target called aws", "www CNAME aws\n@ MX 10 aws\naws A 192.0.2.1\n", Ok("10 aws.example.test 192.0.2.1")),
    ("a target called parked", "@ MX 10 parked\nparked A 192.0.2.1\n", Ok("10 parked.example.test 192.0.2.1")),
    ("a parked domain", "@ A Parked\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("a published site", "@ 600 IN A GoCentral Published Site\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("another site", "@ A Website Builder Site\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("owners that are no hosts", "a+b#c=d!e&f TXT x\n0/25 NS ns1\nmy\\ printer TXT x\n_dmarc TXT \"v=DMARC1; p=none\"\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("an exchanger with an underscore", "@ MX 10 my_mx\nmy_mx A 192.0.2.1\n", Ok("10 my_mx.example.test 192.0.2.1")),
    ("an escaped dot in a name", "@ MX 10 a\\.b\na\\.b A 192.0.2.1\n", Ok("10 a\\.b.example.test 192.0.2.1")),
    ("decimal escapes in a name", "@ MX 10 \\109x1\nmx1 A 192.0.2.1\n", PLAIN),
    ("an exchanger with a sign that is not seen", "@ MX 10 mx1\u{200b}\nmx1 A 192.0.2.1\n", Ok("10 mx1\\226\\128\\139.example.test")),
    ("names of records that are types", "mx MX 10 a\na A 192.0.2.1\n@ MX 10 in\nin A 192.0.2.1\ntxt TXT txt\n", Ok("10 in.example.test 192.0.2.1")),
    ("$GENERATE", "@ MX 10 mx1\n@ MX 20 mx2\n$GENERATE 1-3 mx$ A 192.0.2.$\n", Ok("10 mx1.example.test 192.0.2.1; 20 mx2.example.test 192.0.2.2")),
    ("$GENERATE with offsets, widths and bases", "@ MX 10 mx08-0a-1.2\n$GENERATE 8-10/2 mx${0,2}-${2,2,x}-${-7}.2 A 192.0.2.${-7}\n", Ok("10 mx08-0a-1.2.example.test 192.0.2.1")),
    ("$GENERATE of MX records", "$GENERATE 1-2 @ MX \"$0 mx$\"\n$GENERATE 1-2 mx$ 60 IN A 192.0.2.$\n", Ok("10 mx1.example.test 192.0.2.1; 20 mx2.example.test 192.0.2.2")),
    ("$GENERATE of nibbles", "$GENERATE 17-18 ${0,3,n}.r PTR mx$$$\n$GENERATE 1-1 \\$$ A 192.0.2.9\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("a DNAME above the exchanger", "@ MX 10 mx.sub\nsub DNAME other\nmx.other A 192.0.2.1\n", Ok("10 mx.sub.example.test 192.0.2.1")),
    ("an alias", "@ MX 10 mx1\nmx1 CNAME host\nhost A 192.0.2.1\n", PLAIN),
    ("strings of all kinds", "@ TXT \"a b\" c \"\" \"d\\\"e\" f\\;g h\\ i \\# @ \"\\195\\169\\000\\255\" \u{e9}\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("TXT in octets", "@ TXT \\# 4 03 61ff 62\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("strings without a space between them", "@ TXT \"a\"\"b\"\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("a semicolon in quotes", "@ TXT \"v=DKIM1; p=(\" ; a comment \"\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("a string of 255 octets", "@ TXT \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789abcde\"\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("a file without $TTL", "$ORIGIN example.test.\n@ SOA ns1 hostmaster 1 2 3 4 77\n@ NS ns1\nns1 A 192.0.2.53\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("the last TTL", "$ORIGIN example.test.\n@ 99 SOA ns1 hostmaster 1 2 3 4 77\n@ NS ns1\nns1 55 A 192.0.2.53\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("an SOA with odd names", "$ORIGIN example.test.\n$TTL 300\n@ SOA my_ns host_master@example.test. 1 2 3 4 5\n@ NS my_ns\nmy_ns A 192.0.2.53\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("an SOA without its final dot", "$TTL 300\nexample.test SOA ns1.example.test. h.example.test. 1 2 3 4 5\nexample.test. NS ns1.example.test.\nns1.example.test. A 192.0.2.53\nexample.test. MX 10 mx1.example.test.\nmx1.example.test. A 192.0.2.1\n", PLAIN),
    ("the same SOA twice, as AXFR has it", "$TTL 300\nexample.test. SOA a. b. 1 2 3 4 5\nexample.test. NS a.\nexample.test. MX 10 mx1.example.test.\nmx1.example.test. A 192.0.2.1\nexample.test. SOA a. b. 1 2 3 4 5\n", PLAIN),
    ("a list of MX records", "$TTL 300\nexample.test. MX 10 mx1.example.test.\nexample.test. MX 20 mx2.example.test.\n", Ok("10 mx1.example.test; 20 mx2.example.test")),
    // What is wrong is told at its place.
    ("two versions of a zone", "@ MX 10 mx1\nmx1 A 192.0.2.1\n@ SOA ns1 hostmaster 2 7200 3600 1209600 300\n", Err("8:1: found a second SOA record of example.test")),
    ("no origin", "$TTL 300\n@ SOA ns1 h 1 2 3 4 5\n", Err("2:1: found the relative name \"@\" and no origin")),
    ("a string of 256 octets", "@ TXT \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789abcdef\"\n", Err("6:7: found a string of 256 octets, expected 255 at most")),
    ("an escape that is no octet", "@ TXT \"\\256\"\n", Err("6:7: found")),
    ("octets that are too few", "mx1 A \\# 4 c00002\n", Err("found 3 octets, expected 4")),
    ("octets that are no address", "mx1 A \\# 3 c00002\n", Err("expected the data of a A record")),
    ("a slip in a type", "@ MXX 10 mx1\n", Err("did you mean \"MX\"?")),
    ("a label of 64 octets", "@ MX 10 0123456789012345678901234567890123456789012345678901234567890123\n", Err("a label has 64 octets, at most 63 are allowed")),
    ("a range that goes down", "$GENERATE 3-1 mx$ A 192.0.2.$\n", Err("6:11: found the range \"3-1\"")),
    ("more than $GENERATE makes", "$GENERATE 1-100000 mx$ A 192.0.2.1\n", Err("found $GENERATE of 100000 records")),
    ("more than $GENERATE makes, in two", "$GENERATE 1-40000 a$ A 192.0.2.1\n$GENERATE 1-40000 b$ A 192.0.2.1\n", Err("7:1: found $GENERATE of 40000 records")),
    ("a sign before a number", "@ MX +10 mx1\n", Err("found \"+10\", expected a preference")),
    ("a file that is not there", "$INCLUDE other.zone\n", Err("found $INCLUDE of \"other.zone\"")),
];

/// The text of a shape: below the usual head, unless it brings its own.
pub(crate) fn text_of(shape: &str) -> String {
    match shape.starts_with("$TTL") || shape.starts_with("$ORIGIN") {
        true => shape.to_owned(),
        false => format!("{HEAD}{shape}"),
    }
}
