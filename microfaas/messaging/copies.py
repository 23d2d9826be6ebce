"""Copies of a publication: the form that each protocol has, signed for those that are elsewhere."""

from __future__ import annotations

import time
import uuid
from typing import Literal, Protocol

import msgspec

from microfaas.messaging.subscriptions import Subscription
from microfaas.payloads import sns
from microfaas.payloads.s3 import time_of
from microfaas.payloads.sns import Attributes, Publication
from microfaas.store import events
from microfaas.store.messages import Draft
from microfaas.store.signing import Signer

CERTIFICATES = "/_microfaas/v1/sns/"


class QueueDraft(Protocol):
    """A message of a queue, by the queue's name, the body and more. Raises MicrofaasError."""

    def __call__(
        self, name: str, body: bytes, attributes: Attributes, group: str = "", trace_id: str = ""
    ) -> Draft: ...


class Parcel(msgspec.Struct, frozen=True, array_like=True):
    """Kept beside what is on its way to an endpoint: whether it asks for confirmation, and the
    headers of a request or the subject of a mail."""

    kind: Literal["Notification", "SubscriptionConfirmation"]
    headers: dict[str, str] = {}
    subject: str = ""
    message_id: str = ""


class Copies:
    """Makes them, and signs them."""

    def __init__(self, signer: Signer, url: str, queue_draft: QueueDraft) -> None:
        """`url` is where endpoints find this gateway."""
        self._signer = signer
        self._url = url
        self.queue_draft = queue_draft

    async def prepare(self) -> None:
        """Have the key ready before the first message is signed. Raises MachineError."""
        await self._signer.prepare()

    def certificate(self, name: str) -> bytes | None:
        """What signatures are verified with; None when that is not its name."""
        known = self._signer.ready and name == self._signer.certificate_name
        return self._signer.certificate if known else None

    def unsubscribe_url(self, subscription: Subscription) -> str:
        """Where a subscriber goes who wants no more of them."""
        return f"{self._url}/?Action=Unsubscribe&SubscriptionArn={subscription.arn}"

    def signed(self, publication: Publication) -> Publication:
        """To be called once it is `prepare`d."""
        text = sns.to_sign(sns.signed_fields(publication))
        return msgspec.structs.replace(
            publication,
            signature=self._signer.sign(text, publication.signature_version),
            signing_cert_url=self._cert_url,
        )

    def made(self, subscription: Subscription, publication: Publication, title: str) -> Draft:
        """A subscriber's; `title` is what the topic is called in mails. Raises MicrofaasError."""
        unsubscribe_url = self.unsubscribe_url(subscription)
        if subscription.protocol == "lambda":
            event = sns.function_event(publication, subscription.arn, unsubscribe_url)
            name, qualifier = subscription.function
            source, trace_id = f"topic:{subscription.topic}", publication.trace_id
            return events.draft(name, event, qualifier=qualifier, trace_id=trace_id, source=source)
        raw = subscription.raw
        body = (
            publication.message.encode() if raw else sns.notification(publication, unsubscribe_url)
        )
        if subscription.protocol == "sqs":
            told, trace_id = publication.attributes if raw else {}, publication.trace_id
            return self.queue_draft(subscription.endpoint, body, told, trace_id=trace_id)
        if subscription.protocol == "email":
            text = f"{publication.message}\n\n--\nTo receive no more of these: {unsubscribe_url}\n"
            body = text.encode()
        headers = sns.headers(
            "Notification", publication.message_id, publication.topic_arn, subscription.arn
        )
        if raw:
            headers["x-amz-sns-rawdelivery"] = "true"
        if publication.trace_id:
            headers["X-Amzn-Trace-Id"] = publication.trace_id
        subject = publication.subject or f"{title}: notification"
        parcel = Parcel("Notification", headers, subject, publication.message_id)
        return Draft(subscription.queue, body, msgspec.msgpack.encode(parcel))

    def confirmation(self, subscription: Subscription, arn: str, version: str) -> Draft:
        """Asks an endpoint elsewhere whether it wants to be subscribed to the topic of an ARN;
        signed by that version of the signature."""
        message_id = str(uuid.uuid4())
        link = f"{self._url}/?Action=ConfirmSubscription&TopicArn={arn}&Token={subscription.token}"
        fields = {
            "Type": "SubscriptionConfirmation",
            "MessageId": message_id,
            "Token": subscription.token,
            "TopicArn": arn,
            "Message": f"You have chosen to subscribe to the topic {arn}.\n"
            "To confirm the subscription, visit the SubscribeURL included in this message.",
            "SubscribeURL": link,
            "Timestamp": time_of(int(time.time() * 1000)),
        }
        body = sns.confirmation(
            fields, self._signer.sign(sns.to_sign(fields), version), version, self._cert_url
        )
        if subscription.protocol == "email":
            body = (
                f"You have chosen to subscribe to the topic {arn}.\n\n"
                f"To confirm this, visit: {link}\n\nIf you did not, do nothing.\n"
            ).encode()
        kind = "SubscriptionConfirmation"
        headers = sns.headers(kind, message_id, arn, subscription.arn)
        parcel = Parcel(kind, headers, "Subscription confirmation", message_id)  # type: ignore[arg-type]
        return Draft(subscription.queue, body, msgspec.msgpack.encode(parcel))

    @property
    def _cert_url(self) -> str:
        return f"{self._url}{CERTIFICATES}{self._signer.certificate_name}"
