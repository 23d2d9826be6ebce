// Check: refuses orders that cannot be delivered, and looks up what the country is called.
'use strict';

const QUANTITY_MAX = 1000;
const COUNTRIES = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' });

class InvalidOrder extends Error {}

exports.handler = async ({ customer, country, lines }) => {
  const faults = [...ofAddress(customer, country), ...lines.flatMap(ofLine)];
  if (faults.length > 0) throw new InvalidOrder(faults.join('; '));
  return { country_name: COUNTRIES.of(country) };
};

function* ofAddress(customer, country) {
  if (!customer) yield 'there is no customer';
  if (!/^[A-Z]{2}$/.test(country ?? '') || !COUNTRIES.of(country)) {
    yield `there is no country "${country ?? ''}"`;
  }
}

function ofLine({ item, quantity }) {
  if (quantity >= 1 && quantity <= QUANTITY_MAX) return [];
  return [`${item}: the quantity must be from 1 to ${QUANTITY_MAX}, not ${quantity}`];
}
