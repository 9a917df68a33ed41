#!/usr/bin/env python3
"""Runs the small senders of senders.toml, each in a private network of its own, and says whose verdict is not
the right one, or names other rules than it should. usage: run.py MXDRILL [--record]; the latter writes
recorded.jsonl anew."""
import json, pathlib, subprocess, sys, tempfile, tomllib

here = pathlib.Path(__file__).resolve().parent
mxdrill = str(pathlib.Path(sys.argv[1]).resolve())
senders = tomllib.loads((here / "senders.toml").read_text())["sender"]
wrong, logs = [], []
for sender in senders:
    with tempfile.TemporaryDirectory() as folder:
        scenario = sender["name"] + ".toml"
        pathlib.Path(folder, scenario).write_text(sender["scenario"])
        start = f"import sys; sys.path.insert(0, {str(here)!r}); sys.dont_write_bytecode = True\n"
        start += "from lib import *\n"
        pathlib.Path(folder, "sender.py").write_text(start + sender["python"])
        command = [mxdrill, "exec", scenario, "--log", "log.jsonl", "--", "python3", "sender.py"]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90)
        logs.append(pathlib.Path(folder, "log.jsonl").read_text())
    judged = {0: "passes", 1: "fails"}.get(ran.returncode, "could not be judged")
    if sender["right"] not in ("open", judged):
        wrong.append(sender["name"])
        print(f"{sender['name']}: {judged}, right is {sender['right']}\n{ran.stdout}{ran.stderr}")
    elif "rule" in sender:
        findings = json.loads(logs[-1].splitlines()[-1])["findings"]
        named = [finding["rule"] for finding in findings]
        if named != [sender["rule"]] * (judged == "fails") or "Traceback" in ran.stderr:
            wrong.append(sender["name"])
            print(f"{sender['name']}: breaks {named}, of {sender['rule']}: {judged}\n{ran.stdout}{ran.stderr}")
if "--record" in sys.argv:
    (here / "recorded.jsonl").write_text("".join(logs))
print(f"{len(wrong)} of {len(senders)} small senders judged wrongly")
sys.exit(bool(wrong))
