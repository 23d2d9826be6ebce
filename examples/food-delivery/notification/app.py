"""Notification: tells the customer how an order went. Here it only logs what it would send."""

TEXTS = {
    "confirmed": "Thank you, {customer}! Your order {order_id} is being prepared.",
    "declined": "Sorry, {customer}, your payment for order {order_id} was declined.",
}


class InvalidNotification(Exception):
    """There is nothing to say about this."""


def handler(event, context):
    missing = [key for key in ("customer", "order_id", "status") if not event.get(key)]
    if missing:
        raise InvalidNotification(f"missing: {', '.join(missing)}")
    if event["status"] not in TEXTS:
        raise InvalidNotification(f"status: must be one of: {', '.join(TEXTS)}")
    text = TEXTS[event["status"]].format(customer=event["customer"], order_id=event["order_id"])
    print(f"to {event['customer']}: {text}")
    return {"sent": text}
