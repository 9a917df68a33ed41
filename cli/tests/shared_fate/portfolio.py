#!/usr/bin/env python3
"""Makes a portfolio of domains, and counts what each outage takes with it: portfolio.py FOLDER SEED DOMAINS

FOLDER gets the zone files. What is counted comes from what was made, by plain reasoning; nothing of mxdrill is asked.
A sender prefers IPv4, tries the exchangers of one preference in any order, and those of the next one after them.
"""
import ipaddress, json, pathlib, random, sys

FOLDER, SEED, DOMAINS = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
FOLDER.mkdir(parents=True, exist_ok=True)
chance = random.Random(SEED)

# The registrable domain of each operator, with the zone that its exchangers' names are in.
OPERATORS = {
    "alpha.example": "alpha.example",
    "beta.co.uk": "beta.co.uk",
    "gamma.example": "in.gamma.example",
    "delta.com.au": "delta.com.au",
    "epsilon.example": "epsilon.example",
}
NETWORKS = ["192.0.2", "198.51.100", "203.0.113"]  # fewer than operators: some are shared

exchangers = {}  # name: its addresses, the one that is tried first before the others
operator_of, zone_of = {}, {}
used = set()


def address():
    while True:
        found = f"{chance.choice(NETWORKS)}.{chance.randint(1, 250)}"
        if found not in used:
            used.add(found)
            return found


for operator, zone in OPERATORS.items():
    for number in range(1, 4):
        name = f"mx{number}.{zone}"
        exchangers[name] = [address()]
        if number == 2:
            exchangers[name].append(f"2001:db8:{chance.randint(1, 3):x}::{len(used):x}")
        operator_of[name], zone_of[name] = operator, zone
# Two machines that are one, of two operators.
exchangers["mx3.beta.co.uk"] = [exchangers["mx1.alpha.example"][0]]
# In no file: neither address nor zone is known.
exchangers["relay.far.example"] = []
operator_of["relay.far.example"] = zone_of["relay.far.example"] = "far.example"

shared = sorted(name for name in exchangers if name != "relay.far.example")


def hosted():
    """The MX records that one of the operators' customers have: pairs of a preference and an exchanger."""
    one, other = chance.sample(shared, 2)
    same = chance.choice([name for name in shared if operator_of[name] == operator_of[one] and name != one])
    return chance.choice([
        [(10, one)],
        [(10, one), (20, same)],
        [(10, one), (10, same)],
        [(10, one), (20, other)],
        [(10, one), (10, same), (20, other)],
        [(10, one), (20, same), (30, other)],
        [(10, one), (20, "relay.far.example")],
    ])


offers = [hosted() for _ in range(24)]
offers += [[(10, "mx1.alpha.example"), (20, "mx3.beta.co.uk")]]  # a backup that is the same machine
domains = {}  # name: MX records; None where it takes no mail
texts = {}  # name: what else is in its zone
for number in range(DOMAINS):
    name, shape = f"d{number}.example", number if number < 16 else 99
    texts[name] = ""
    if shape < 4:  # its own exchanger, and a backup on the same address
        own = address() if shape else exchangers[chance.choice(shared)][0]
        domains[name] = [(10, f"mx1.{name}"), (20, f"mx2.{name}")]
        for _, host in domains[name]:
            exchangers[host], operator_of[host], zone_of[host] = [own], name, name
            texts[name] += f"{host}. A {own}\n"
    elif shape < 7:  # its own exchanger, and an operator's behind it
        domains[name] = [(10, f"mx1.{name}"), (20, chance.choice(shared))]
        host, own = f"mx1.{name}", address()
        exchangers[host], operator_of[host], zone_of[host] = [own], name, name
        texts[name] += f"{host}. A {own}\n"
    elif shape < 10:  # implicit MX
        domains[name] = [(0, name)]
        exchangers[name], operator_of[name], zone_of[name] = [address()], name, name
        texts[name] += f"@ A {exchangers[name][0]}\n"
    elif shape < 13 or chance.random() < 0.03:  # null MX
        domains[name] = None
    else:
        domains[name] = chance.choice(offers)

SOA = "@ SOA ns.dns.example. host.dns.example. 1 3600 600 864000 300\n@ NS ns.dns.example.\n"


def write(zone, text):
    (FOLDER / f"{zone}.zone").write_text(f"$ORIGIN {zone}.\n$TTL 3600\n{SOA}{text}")


for operator, zone in OPERATORS.items():
    hosts = [name for name in shared if operator_of[name] == operator]
    write(zone, "".join(
        f"{name}. {'AAAA' if ':' in one else 'A'} {one}\n" for name in hosts for one in exchangers[name]))
for name, records in domains.items():
    if records is None:
        text = "@ MX 0 .\n"
    else:
        text = "".join(f"@ MX {preference} {host}.\n" for preference, host in records if host != name)
    write(name, text + texts[name])

# Outages: what is down, and what cannot be looked up.
mail = {name: records for name, records in domains.items() if records is not None}
in_use = {host for records in mail.values() for _, host in records}


def network(one):
    return str(ipaddress.ip_network((one, 48 if ":" in one else 24), strict=False))


outages = {}  # kind and name: (addresses, hosts without one, zone)
for host in in_use:
    for key in (f"exchanger {host}", f"operator {operator_of[host]}"):
        addresses, hosts, _ = outages.setdefault(key, (set(), set(), None))
        addresses.update(exchangers[host])
        if not exchangers[host]:
            hosts.add(host)
    for one in exchangers[host]:
        for key in (f"address {one}", f"network {network(one)}"):
            outages.setdefault(key, (set(), set(), None))[0].add(one)
    outages.setdefault(f"zone {zone_of[host]}", (set(), set(), zone_of[host]))


def fate(name, records, outage):
    down, hosts, zone = outage
    if zone == name:  # its MX records are in that zone
        return "waits"

    def alive(host):
        """Whether each address is there that a sender tries, in its order; none where the name leads nowhere."""
        if zone_of[host] == zone:
            return [False]
        return [one not in down for one in exchangers[host]] or [host not in hosts]

    best = min(preference for preference, _ in records)
    if not any(any(alive(host)) for _, host in records):
        return "waits"
    first = [alive(host)[0] for preference, host in records if preference == best]
    return "unnoticed" if all(first) else "another"


counted = {}
for key, outage in outages.items():
    fates = {"another": [], "waits": [], "unnoticed": []}
    for name, records in mail.items():
        fates[fate(name, records, outage)].append(name)
    counted[key] = {
        "another": sorted(fates["another"]),
        "waits": sorted(fates["waits"]),
        # All of these wait for the end of the outage.
        "lost_if_longer": sorted(fates["waits"]),
        "unnoticed": len(fates["unnoticed"]),
    }
print(json.dumps({
    "outages": counted,
    "take_no_mail": sorted(set(domains) - set(mail)),
    "counted": len(mail),
}))
