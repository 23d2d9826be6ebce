"""Order: checks the order, has Payment charge the total, and lets Notification tell the customer.

It finds the other functions as on AWS: by name, through boto3, without any configuration.
"""

import json
import uuid

import boto3

MENU_CENTS = {"margherita": 850, "funghi": 990, "tiramisu": 550, "water": 250}
QUANTITY_MAX = 20

functions = boto3.client("lambda")


class InvalidOrder(Exception):
    """The order cannot be taken as it is; the text says why."""


def handler(event, context):
    customer, items = read_order(event)
    order_id = str(uuid.uuid4())
    total_cents = sum(MENU_CENTS[dish] * quantity for dish, quantity in items)
    payment = pay(order_id, total_cents, event.get("card"))
    status = "confirmed" if payment["approved"] else "declined"
    notify(order_id, customer, status)
    print(f"order {order_id} of {total_cents} cents: {status}")
    return {
        "order_id": order_id,
        "status": status,
        "total_cents": total_cents,
        "payment": payment,
    }


def read_order(event):
    """The customer and [(dish, quantity)] of an order, or InvalidOrder."""
    if not isinstance(event, dict):
        raise InvalidOrder("an order is a JSON object with customer, card and items")
    customer = event.get("customer")
    if not isinstance(customer, str) or not customer.strip():
        raise InvalidOrder("customer: a name is missing")
    items = event.get("items")
    if not isinstance(items, list) or not items:
        raise InvalidOrder("items: at least one is needed")
    return customer.strip(), [read_item(number, item) for number, item in enumerate(items)]


def read_item(number, item):
    where = f"items[{number}]"
    if not isinstance(item, dict):
        raise InvalidOrder(f"{where}: must be an object with dish and quantity")
    dish, quantity = item.get("dish"), item.get("quantity", 1)
    if not isinstance(dish, str) or dish not in MENU_CENTS:
        raise InvalidOrder(f"{where}.dish: {dish!r} is not on the menu: {', '.join(MENU_CENTS)}")
    if type(quantity) is not int or not 1 <= quantity <= QUANTITY_MAX:
        raise InvalidOrder(f"{where}.quantity: must be a whole number from 1 to {QUANTITY_MAX}")
    return dish, quantity


def pay(order_id, amount_cents, card):
    """Call Payment and wait for its answer."""
    request = {"order_id": order_id, "amount_cents": amount_cents, "card": card}
    reply = functions.invoke(FunctionName="Payment", Payload=json.dumps(request))
    answer = json.load(reply["Payload"])
    if "FunctionError" in reply:
        raise InvalidOrder(f"payment: {answer.get('errorMessage', 'failed')}")
    return answer


def notify(order_id, customer, status):
    """Hand the news over to Notification; nobody waits for it."""
    news = {"order_id": order_id, "customer": customer, "status": status}
    functions.invoke(FunctionName="Notification", InvocationType="Event", Payload=json.dumps(news))
