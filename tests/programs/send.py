"""A sender as people write them: looks up the MX records with dig, tries them in order with smtplib."""

import smtplib
import subprocess
import sys

to = sys.argv[1]
domain = to.split("@")[1]
answer = subprocess.run(["dig", "+short", domain, "MX"], capture_output=True, text=True, check=True).stdout
records = sorted((int(line.split()[0]), line.split()[1].rstrip(".")) for line in answer.splitlines())
for _, host in records:
    try:
        with smtplib.SMTP(host, 25, timeout=5) as session:
            session.sendmail("sender@sender.test", [to], "Subject: x\r\n\r\nhello\r\n")
    except OSError as error:
        print(f"{host}: {error}")
        continue
    print(f"sent by {host}")
    sys.exit(0)
sys.exit(1)
