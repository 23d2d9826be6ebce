"""Topics over a real database, and a receiver that verifies what it gets as AWS says it should."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from microfaas.errors import ServiceError
from microfaas.messaging.copies import CERTIFICATES, Copies
from microfaas.messaging.subscriptions import Subscription, Subscriptions, new_arn
from microfaas.messaging.topics import Topic, Topics
from microfaas.model import Address
from microfaas.store.db import Database
from microfaas.store.dead import Buried, DeadLetters
from microfaas.store.messages import Draft, Message, MessageStore
from microfaas.store.resources import Resources
from microfaas.store.signing import Signer

URL = "http://gateway:9000"
ARN = "arn:aws:sns:us-east-1:123456789012:t"
# Of a notification, and of what asks for confirmation: the order in which AWS signs them.
SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
SIGNED_ASKING = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


# Keys take long to make, and one is as good as another.
_made_before: list[bytes] = []


class TopicWorld:
    """The topic t, made through the API, and the queue q; opened again as after a restart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.declared_topics: list[Topic] = []
        self.declared: list[Subscription] = []
        # (topic's ARN, function, qualifier) that no policy permits.
        self.refused: set[tuple[str, str, str]] = set()
        # Those of what was put into queues.
        self.traces: list[str] = []
        self.key = folder / "topics.pem"
        if _made_before:
            self.key.write_bytes(_made_before[0])
        self.db = Database(str(folder / "store.db"))
        self.db.open()

    async def open(self) -> TopicWorld:
        self.store = MessageStore(self.db)
        await self.store.open()
        self.resources = Resources(self.db)
        self.book = Subscriptions(self.store, self.resources, self.declared)
        self.topics = Topics(
            self.store,
            self.resources,
            self.book,
            Copies(Signer(str(self.key)), URL, self.to_queue),
            Address(),
            self.declared_topics,
            lambda *asked: asked not in self.refused,
        )
        await self.topics.open()
        self.topic = await self.topics.create(Topic(name="t"))
        _made_before[:] = [self.key.read_bytes()]
        return self

    async def subscribe(self, protocol: str, endpoint: str, **more: Any) -> Subscription:
        made = Subscription(
            arn=new_arn(ARN), topic="t", protocol=protocol, endpoint=endpoint, **more
        )
        return await self.topics.subscribe(made)

    async def publish(self, message: str = "m", **more: Any) -> str:
        return await self.topics.publish(self.topic, message, **more)

    def to_queue(
        self,
        name: str,
        body: bytes,
        attributes: Mapping[str, tuple[str, str]],
        group: str = "",
        trace_id: str = "",
    ) -> Draft:
        if name not in ("q", "graves"):
            raise ServiceError("QueueDoesNotExist", f"There is no queue {name}.")
        self.traces.append(trace_id)
        return Draft(f"queue:{name}", body, json.dumps(attributes).encode())

    def waiting(self, queue: str) -> list[Message]:
        return self.store.ready(queue, 0, 1000)[0]

    def bodies(self, queue: str) -> list[Any]:
        return [json.loads(message.body) for message in self.waiting(queue)]

    def buried(self) -> list[Buried]:
        return DeadLetters(self.db).page()

    def certificate(self, url: str) -> bytes | None:
        """As whoever follows SigningCertURL gets it."""
        assert url.startswith(URL + CERTIFICATES)
        return self.topics.copies.certificate(url.removeprefix(URL + CERTIFICATES))


def verify(told: Mapping[str, Any], certificate: bytes) -> None:
    """Raises InvalidSignature unless who has the certificate's key said this."""
    fields = SIGNED if told["Type"] == "Notification" else SIGNED_ASKING
    text = "".join(f"{name}\n{told[name]}\n" for name in fields if told.get(name) is not None)
    key = x509.load_pem_x509_certificate(certificate).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    by_version = {"1": hashes.SHA1(), "2": hashes.SHA256()}
    signature = base64.b64decode(told["Signature"])
    algorithm = by_version[told["SignatureVersion"]]
    key.verify(signature, text.encode(), padding.PKCS1v15(), algorithm)
