"""Payment: charges a card, as far as an example can: test cards tell how it is to end."""

import re

# Luhn-valid test numbers, as payment services publish them.
DECLINED = {"4000000000000002": "card declined", "4000000000009995": "insufficient funds"}
AMOUNT_CENTS_MAX = 100_000


class InvalidPayment(Exception):
    """The request cannot be a payment."""


def handler(event, context):
    card, amount_cents = read_request(event)
    reason = DECLINED.get(card)
    if reason is None and amount_cents > AMOUNT_CENTS_MAX:
        reason = "over the limit"
    print(f"{event['order_id']}: {amount_cents} cents from ...{card[-4:]}: {reason or 'approved'}")
    return {"approved": reason is None, "reason": reason, "card": f"...{card[-4:]}"}


def read_request(event):
    card = event.get("card")
    if not isinstance(card, str) or not luhn(re.sub(r"[ -]", "", card)):
        raise InvalidPayment("card: not a card's number")
    amount_cents = event.get("amount_cents")
    if type(amount_cents) is not int or amount_cents <= 0:
        raise InvalidPayment("amount_cents: must be a whole number above 0")
    if not event.get("order_id"):
        raise InvalidPayment("order_id: is missing")
    return re.sub(r"[ -]", "", card), amount_cents


def luhn(number):
    """Whether the digits have the checksum that card numbers have."""
    if not re.fullmatch(r"[0-9]{12,19}", number):
        return False
    digits = [int(digit) for digit in reversed(number)]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
