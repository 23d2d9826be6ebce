"""Order: checks an order, adds it up, and puts it into the queue `orders`, where it is safe.

Who orders waits for no more than that. It finds the queue as on AWS, by name, through boto3,
without any configuration.
"""

import functools
import json
import re
import uuid
from datetime import UTC, datetime

import boto3

MENU_CENTS = {"margherita": 850, "funghi": 990, "tiramisu": 550, "water": 250}
QUANTITY_MAX = 20
# Neither may become more than one line of a mail's head.
EMAIL = re.compile(r"[^\s@<>,;\"]{1,64}@[A-Za-z0-9.-]{1,200}")
PHONE = re.compile(r"\+[0-9 ]{6,20}")

sqs = boto3.client("sqs")


class InvalidOrder(Exception):
    """The order cannot be taken as it is; the text says why."""


def handler(event, context):
    order = read_order(event)
    sqs.send_message(QueueUrl=queue_url(), MessageBody=json.dumps(order))
    print(f"order {order['order_id']} of {order['total_cents']} cents: accepted")
    return {
        "order_id": order["order_id"],
        "total_cents": order["total_cents"],
        "status": "accepted",
    }


@functools.cache
def queue_url():
    """Asked for at the first order, not while loading: then it would be part of the snapshot."""
    return sqs.get_queue_url(QueueName="orders")["QueueUrl"]


def read_order(event):
    """An order as it goes into the queue, or InvalidOrder."""
    if not isinstance(event, dict):
        raise InvalidOrder("an order is a JSON object with customer, email, phone, card and items")
    items = read_items(event.get("items"))
    return {
        "order_id": str(uuid.uuid4()),
        "accepted_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "customer": read_customer(event.get("customer")),
        "email": read_matching(event, "email", EMAIL, "ada@example.org"),
        "phone": read_matching(event, "phone", PHONE, "+49 30 1234567"),
        "card": read_card(event.get("card")),
        "items": items,
        "total_cents": sum(MENU_CENTS[item["dish"]] * item["quantity"] for item in items),
    }


def read_customer(customer):
    if not isinstance(customer, str) or not customer.strip() or not customer.isprintable():
        raise InvalidOrder("customer: a name is missing")
    return customer.strip()


def read_matching(event, key, pattern, such_as):
    value = event.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidOrder(f"{key}: must be such as {such_as}")
    return value


def read_items(items):
    if not isinstance(items, list) or not items:
        raise InvalidOrder("items: at least one is needed")
    return [read_item(f"items[{number}]", item) for number, item in enumerate(items)]


def read_item(where, item):
    if not isinstance(item, dict):
        raise InvalidOrder(f"{where}: must be an object with dish and quantity")
    dish, quantity = item.get("dish"), item.get("quantity", 1)
    if not isinstance(dish, str) or dish not in MENU_CENTS:
        raise InvalidOrder(f"{where}.dish: {dish!r} is not on the menu: {', '.join(MENU_CENTS)}")
    if type(quantity) is not int or not 1 <= quantity <= QUANTITY_MAX:
        raise InvalidOrder(f"{where}.quantity: must be a whole number from 1 to {QUANTITY_MAX}")
    return {"dish": dish, "quantity": quantity}


def read_card(card):
    """The digits. In earnest this would be a token of the card service's, and never the number."""
    digits = re.sub("[ -]", "", card) if isinstance(card, str) else ""
    if not re.fullmatch("[0-9]{12,19}", digits) or not is_luhn(digits):
        raise InvalidOrder("card: not a card's number")
    return digits


def is_luhn(digits):
    """Whether they have the checksum that card numbers have."""
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0
