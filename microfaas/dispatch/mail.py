"""Sends mails through the operator's SMTP server."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage

from microfaas.config.topics import Smtp
from microfaas.dispatch.delivery import Verdict

SMTP_S_MAX = 30.0
CONNECTIONS_MAX = 8
# The server's word that it will never have this mail: RFC 5321's 5yz replies.
_NEVER = range(500, 600)


class MailSender:
    """A connection per mail: they are few, and servers hang up on idle ones."""

    def __init__(self, smtp: Smtp | None) -> None:
        self._smtp = smtp
        # A server that hangs holds up mails alone.
        self._threads = ThreadPoolExecutor(CONNECTIONS_MAX, "mail")

    def close(self) -> None:
        """To be called when nothing is at work, or need not be waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def send(self, to: str, subject: str, text: str, message_id: str) -> Verdict:
        """Hand one mail over, and say how that went."""
        if self._smtp is None:
            return Verdict("later", f"cannot send a mail to {to}: [smtp] names no host")
        mail = EmailMessage()
        mail["From"], mail["To"] = self._smtp.sender, to
        mail["Subject"] = " ".join(subject.split())
        # Repeated by another attempt, by which receivers know it is the same.
        mail["Message-ID"] = f"<{message_id}@{self._smtp.sender.rpartition('@')[2]}>"
        mail["Date"] = email.utils.localtime()
        mail.set_content(text)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _send, self._smtp, mail, to)


def _send(smtp: Smtp, mail: EmailMessage, to: str) -> Verdict:
    try:
        server = _connect(smtp)
        try:
            server.send_message(mail, smtp.sender, [to])
        finally:
            # However the goodbye goes, the mail was taken or was not.
            with contextlib.suppress(OSError, smtplib.SMTPException):
                server.quit()
        return Verdict("done")
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        refused = all(code in _NEVER for code in codes)
        return Verdict("never" if refused else "later", f"{smtp.host} refused {to}: {error}")
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        why = f"{smtp.host} answered {error.smtp_code}: {text}"
        # Of the mail itself that is the last word; of a login or a sender it may be put right.
        final = isinstance(error, smtplib.SMTPDataError) and error.smtp_code in _NEVER
        return Verdict("never" if final else "later", f"cannot send a mail to {to}: {why}")
    except (OSError, ValueError, smtplib.SMTPException) as error:
        return Verdict("later", f"cannot send a mail to {to} through {smtp.host}: {error}")


def _connect(smtp: Smtp) -> smtplib.SMTP:
    context = ssl.create_default_context()
    server: smtplib.SMTP
    if smtp.tls == "tls":
        server = smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=SMTP_S_MAX, context=context)
    else:
        server = smtplib.SMTP(smtp.host, smtp.port, timeout=SMTP_S_MAX)
    try:
        if smtp.tls == "starttls":
            server.starttls(context=context)
        if smtp.user is not None:
            server.login(smtp.user, _password(smtp))
    except BaseException:
        server.close()
        raise
    return server


def _password(smtp: Smtp) -> str:
    if smtp.password_file is None:
        return ""
    with open(smtp.password_file, encoding="utf-8") as file:
        return file.read().rstrip("\n")
