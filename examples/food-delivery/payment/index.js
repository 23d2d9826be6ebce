// Payment: charges a card, as far as an example can: test cards tell how it is to end.
'use strict';

// Luhn-valid test numbers, as payment services publish them.
const DECLINED = {
  '4000000000000002': 'card declined',
  '4000000000009995': 'insufficient funds',
};
const AMOUNT_CENTS_MAX = 100_000;

class InvalidPayment extends Error {
  name = 'InvalidPayment';
}

exports.handler = async (event) => {
  const { orderId, amountCents, card } = readRequest(event);
  const reason = DECLINED[card] ?? (amountCents > AMOUNT_CENTS_MAX ? 'over the limit' : null);
  const shown = `...${card.slice(-4)}`;
  console.log(`${orderId}: ${amountCents} cents from ${shown}: ${reason ?? 'approved'}`);
  return { approved: reason === null, reason, card: shown };
};

function readRequest({ order_id: orderId, amount_cents: amountCents, card }) {
  const digits = typeof card === 'string' ? card.replace(/[ -]/g, '') : '';
  if (!isLuhn(digits)) throw new InvalidPayment("card: not a card's number");
  if (!Number.isSafeInteger(amountCents) || amountCents <= 0) {
    throw new InvalidPayment('amount_cents: must be a whole number above 0');
  }
  if (!orderId) throw new InvalidPayment('order_id: is missing');
  return { orderId, amountCents, card: digits };
}

/** Whether the digits have the checksum that card numbers have. */
function isLuhn(number) {
  if (!/^[0-9]{12,19}$/.test(number)) return false;
  const values = [...number].reverse().map((digit, place) => {
    const value = Number(digit) * (place % 2 === 0 ? 1 : 2);
    return value > 9 ? value - 9 : value;
  });
  return values.reduce((sum, value) => sum + value, 0) % 10 === 0;
}
