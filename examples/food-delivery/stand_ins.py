"""Stand-ins for a mail server and an SMS gateway: they print what they get, and keep nothing.

    python stand_ins.py

They listen where microfaas.toml has Notification send to. Each line is JSON. The gateway refuses a
share of what it gets (`$SMS_REFUSED`, by default a fifth) as one does that is overloaded.
"""

import contextlib
import json
import os
import random
import signal
import sys
import threading
import tomllib
from email import policy
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from aiosmtpd.controller import Controller

REFUSED_SHARE = float(os.environ.get("SMS_REFUSED", "0.2"))
CONFIGURATION = Path(__file__).with_name("microfaas.toml")


def tell(**line):
    # In one write, for they run in several threads.
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()


class Mailbox:
    """What aiosmtpd calls with each mail."""

    async def handle_DATA(self, server, session, envelope):
        mail = BytesParser(policy=policy.default).parsebytes(envelope.content)
        tell(
            kind="mail",
            id=mail["Message-ID"],
            to=envelope.rcpt_tos,
            subject=mail["Subject"],
            date=mail["Date"],
            text=mail.get_content().strip(),
        )
        return "250 accepted"


class Gateway(BaseHTTPRequestHandler):
    """Takes `{"to": NUMBER, "text": TEXT}` under an `Idempotency-Key`."""

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        refused = random.random() < REFUSED_SHARE
        if not refused:
            tell(kind="sms", id=self.headers["Idempotency-Key"], **message)
        self.send_response(503 if refused else 202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Nothing beside the messages."""


@contextlib.contextmanager
def running():
    """Both, as long as the block lasts."""
    places = tomllib.loads(CONFIGURATION.read_text())["functions"]["Notification"]["environment"]
    with serving_mail(places["SMTP_ADDRESS"]), serving_sms(places["SMS_URL"]):
        yield


@contextlib.contextmanager
def serving_mail(address):
    host, port = address.rsplit(":", 1)
    server = Controller(Mailbox(), hostname=host, port=int(port))
    with refusal_named(address):
        server.start()
    try:
        yield
    finally:
        server.stop()


@contextlib.contextmanager
def serving_sms(url):
    place = urlsplit(url)
    with refusal_named(place.netloc):
        server = ThreadingHTTPServer((place.hostname, place.port), Gateway)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()


@contextlib.contextmanager
def refusal_named(address):
    try:
        yield
    except OSError as error:
        sys.exit(f"cannot listen at {address}, where Notification sends to: {error.strerror}")


if __name__ == "__main__":
    ends = {signal.SIGINT, signal.SIGTERM}
    # Before there are threads, which would be ended by them.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with running():
        tell(kind="ready")
        signal.sigwait(ends)
