"""A sender that is patient: six attempts, a day apart; then one at a host that never answers."""

import smtplib
import time

for day in range(6):
    if day:
        time.sleep(86400)
    try:
        with smtplib.SMTP("mx1.example.test", 25, timeout=100) as session:
            session.sendmail("sender@sender.test", ["alice@example.test"], "Message-ID: <m1@mxdrill.test>\r\n\r\nhi\r\n")
    except (OSError, smtplib.SMTPException) as error:
        print(round(time.monotonic() % 86400), error)
