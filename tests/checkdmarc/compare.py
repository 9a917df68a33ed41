"""Holds `mxdrill lint` against checkdmarc, on zones that the lab's name server serves in a private network.

    python3 tests/checkdmarc/compare.py [MXDRILL]

It needs Linux and checkdmarc from PyPI, and says so where one is missing (exit status 0). Each zone of
`tests/zones/lint` that is named here gets a domain of its own. What checkdmarc says of a domain, as errors and warnings, is
printed beside the checks that lint finds tripped. The exit status is 1 if checkdmarc finds something for which lint has
found none of the checks that are about it, or if lint finds an error of a kind that the zone was not made for.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

try:
    import checkdmarc
except ImportError:
    print("skipped: checkdmarc is not installed (pip install checkdmarc)")
    sys.exit(0)
if sys.platform != "linux":
    print("skipped: private networks need Linux")
    sys.exit(0)

HERE = os.path.dirname(os.path.abspath(__file__))
ZONES = os.path.join(HERE, "..", "zones", "lint")

# The zones, by the check that each was made for.
NAMES = """spf-missing spf-several spf-invalid spf-lookups spf-void spf-include-missing spf-loop spf-ptr spf-no-all
spf-neutral-all spf-after-all spf-plus-all spf-type spf-mx-limit spf-dead-term dmarc-missing dmarc-several dmarc-invalid
dmarc-none dmarc-tag-ignored dmarc-no-reports dmarc-report-uri dmarc-report-consent dmarc-obsolete-tag dmarc-order
dmarc-misplaced dmarc-subdomains mta-sts-invalid mta-sts-no-policy tlsrpt-invalid bimi-invalid target-no-address
target-nxdomain target-alias ptr-missing ptr-mismatch one-name-server no-mx null-mx-mixed null-mx-sends""".split()

# What checkdmarc says, by where it stands, and the checks of lint that are about it.
ABOUT = [
    ("mx", r"null MX", ["null-mx-mixed", "null-mx-sends"]),
    ("mx", r"reverse DNS", ["ptr-missing", "ptr-mismatch"]),
    ("mx", r"CNAME", ["target-alias"]),
    ("mx", r"does not exist|A or AAAA|A/AAAA", ["target-nxdomain", "target-no-address"]),
    ("mx", r"MX", ["no-mx"]),
    ("spf", r"does not exist\.$", ["spf-missing", "spf-include-missing"]),
    ("spf", r"multiple", ["spf-several"]),
    ("spf", r"mechanism or modifier|syntax|not a valid", ["spf-invalid"]),
    ("spf", r"maximum DNS lookups", ["spf-lookups"]),
    ("spf", r"void", ["spf-void"]),
    ("spf", r"permerror|include", ["spf-include-missing"]),
    ("spf", r"loop", ["spf-loop"]),
    ("spf", r"ptr mechanism", ["spf-ptr"]),
    ("spf", r"more than 10 MX", ["spf-mx-limit"]),
    ("spf", r"after the all", ["spf-after-all"]),
    ("spf", r"Error when processing", ["spf-dead-term", "spf-void", "spf-include-missing", "target-nxdomain",
                                       "target-no-address", "no-mx"]),
    ("spf", r"The MX host", ["target-no-address", "target-nxdomain"]),
    ("spf", r"type SPF|SPF type", ["spf-type"]),
    ("dmarc", r"does not exist\.$", ["dmarc-missing"]),
    ("dmarc", r"[Mm]ultiple", ["dmarc-several"]),
    ("dmarc", r"Tag p must|not a valid DMARC record|syntax|p tag", ["dmarc-invalid", "dmarc-none"]),
    ("dmarc", r"report URI", ["dmarc-report-uri"]),
    ("dmarc", r"rua tag|aggregate", ["dmarc-no-reports"]),
    ("dmarc", r"accepts DMARC reports", ["dmarc-report-consent"]),
    ("dmarc", r"has no MX records", ["no-mx", "dmarc-report-unreachable"]),
    ("dmarc", r"does not have any MX|not exist", ["dmarc-report-unreachable", "dmarc-report-consent"]),
    ("dmarc", r"removed in RFC 9989|obsolete", ["dmarc-obsolete-tag"]),
    ("dmarc", r"immediately|second", ["dmarc-order"]),
    ("dmarc", r"root|wrong|[Uu]nrelated", ["dmarc-misplaced"]),
    ("dmarc", r"subdomain|sp tag|np tag", ["dmarc-subdomains"]),
    ("dmarc", r"must have one of|value", ["dmarc-tag-ignored"]),
    ("ns", r"", ["one-name-server"]),
    ("mta_sts", r"", ["mta-sts-invalid", "mta-sts-no-policy", "mta-sts-fetch", "mta-sts-form"]),
    ("smtp_tls_reporting", r"", ["tlsrpt-invalid"]),
    ("bimi", r"", ["bimi-invalid", "bimi-unenforced"]),
]

# What checkdmarc says that is no mistake, with the reason.
ALLOWED = [
    ("mta_sts", r"DNS record does not exist", "no RFC asks for it"),
    ("smtp_tls_reporting", r"record does not exist", "no RFC asks for it"),
    ("bimi", r"record does not exist", "no RFC asks for it"),
    ("mx", r"explicitly does not accept mail", "a null MX is meant"),
    ("soa", r"", "the zones are not about it"),
]


def zone_of(name, domain):
    """The text of a zone file, for a domain of its own."""
    with open(os.path.join(ZONES, name + ".zone"), encoding="utf-8") as file:
        text = file.read()
    text = text.replace("example.test", domain)
    # Addresses of its own, so that each has the one name that the zone gives it.
    number = domain[1:3].lstrip("0") or "0"
    for prefix, reverse, own in [("192.0.2.", "2.0.192.", "11"), ("198.51.100.", "100.51.198.", "12")]:
        text = text.replace(reverse + "in-addr", "0.%s.%s.in-addr" % (number, own))
        text = text.replace(prefix, "%s.%s.0." % (own, number))
    return re.sub(r"(?m)^.*(AAAA|ip6\.arpa).*$", "", text)


def outside(mxdrill):
    """Writes the scenario, and runs this program in the private network."""
    domains = {"z%02d.test" % number: name for number, name in enumerate(NAMES)}
    zone = "\n".join(zone_of(name, domain) for domain, name in domains.items())
    # A name that many zones use, with what name servers and hosts elsewhere need.
    zone += "\n$ORIGIN dns.test.\n$TTL 3600\nns1 A 8.8.8.8\nns2 A 1.1.1.1\n"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "zones.toml")
        quoted = zone.replace("\\", "\\\\").replace('"', '\\"')
        with open(path, "w", encoding="utf-8") as file:
            file.write('summary = "zones to be looked at"\nzone = """\n%s"""\n' % quoted)
            file.write("messages = [{ id = 'm', to = 'a@z00.test' }]\n")
        with open(os.path.join(folder, "domains.json"), "w", encoding="utf-8") as file:
            json.dump(domains, file)
        result = os.path.join(folder, "result")
        command = [mxdrill, "exec", path, "--", sys.executable, os.path.abspath(__file__), "--inside", folder, mxdrill]
        ran = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if not os.path.exists(result):
            print(ran.stderr)
            return 2
        with open(result, encoding="utf-8") as file:
            return int(file.read())


def told(result):
    """The errors and warnings in an answer of checkdmarc, with where they stand."""
    found = []

    def walk(value, at):
        if isinstance(value, dict):
            error = value.get("error")
            if error:
                found.append((at, "error", str(error)))
            for warning in value.get("warnings") or []:
                found.append((at, "warning", str(warning)))
            for key, inner in value.items():
                walk(inner, at or key)
        elif isinstance(value, list):
            for inner in value:
                walk(inner, at)

    walk(result, "")
    return list(dict.fromkeys(found))


def inside(folder, mxdrill):
    """Asks both about each domain."""
    with open(os.path.join(folder, "domains.json"), encoding="utf-8") as file:
        domains = json.load(file)
    bad = said = 0
    for domain, name in domains.items():
        ran = subprocess.run(
            [mxdrill, "lint", domain, "--format", "json", "--fail-on", "never"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
        )
        lines = [json.loads(line) for line in ran.stdout.splitlines()]
        ids = sorted({line["id"] for line in lines if "id" in line})
        errors = sorted({line["id"] for line in lines if line.get("severity") == "error"})
        result = checkdmarc.check_domains([domain], nameservers=["127.0.0.1"], timeout=2.0, retries=0)
        print("%s (%s)\n  lint: %s" % (domain, name, ", ".join(ids)))
        if ran.returncode != 0:
            print("  lint failed: %s" % ran.stderr)
            bad += 1
        for at, severity, message in told(result):
            message = " ".join(message.split())
            about = [ids_of for where, pattern, ids_of in ABOUT if where == at and re.search(pattern, message)]
            met = sorted({one for some in about for one in some} & set(ids))
            allowed = [why for where, pattern, why in ALLOWED if where == at and re.search(pattern, message)]
            verdict = "found as " + ", ".join(met) if met else "passed over: " + allowed[0] if allowed else "MISSED"
            bad += verdict == "MISSED"
            said += 1
            print("  checkdmarc, %s, %s: %s\n    %s" % (at, severity, message[:160], verdict))
        # Each zone has one thing wrong with it.
        for error in errors:
            if error != name and error.split("-")[0] != name.split("-")[0]:
                print("  lint alone has an error: %s" % error)
                bad += 1
    print("%d zones: checkdmarc says %d things, lint misses %d of them" % (len(domains), said, bad))
    with open(os.path.join(folder, "result"), "w", encoding="utf-8") as file:
        file.write("1" if bad else "0")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(*sys.argv[2:4])
    else:
        sys.exit(outside(os.path.abspath(sys.argv[1]) if sys.argv[1:] else "mxdrill"))
