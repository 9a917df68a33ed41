"""A sender that hands its mail to relays: they and its credentials are told by the environment (smtplib)."""

import os
import smtplib
import ssl
import sys

to, authority = sys.argv[1:3]
user, password = os.environ["MXDRILL_RELAY_USER"], os.environ["MXDRILL_RELAY_PASSWORD"]
trusted = ssl.create_default_context(cafile=authority)
for relay in os.environ["MXDRILL_RELAYS"].split():
    host, port = relay.rsplit(":", 1)
    try:
        if port == "465":
            session = smtplib.SMTP_SSL(host, int(port), timeout=5, context=trusted)
        else:
            session = smtplib.SMTP(host, int(port), timeout=5)
            session.starttls(context=trusted)
        with session:
            session.login(user, password)
            session.sendmail("sender@sender.test", [to], "Subject: x\r\n\r\nhello\r\n")
    except (OSError, smtplib.SMTPException) as error:
        print(f"{relay}: {error}")
        continue
    print(f"sent by {relay}")
    sys.exit(0)
sys.exit(1)
