// Ledger: books each receipt that is dropped into the bucket, as one file in $BOOKS.
'use strict';

const fs = require('node:fs/promises');
const path = require('node:path');

const { RECEIPTS, BOOKS } = process.env;

exports.handler = async (event) => {
  for (const record of event.Records) {
    // Keys come as S3 writes them: percent-encoded, and spaces as plus signs.
    await book(decodeURIComponent(record.s3.object.key.replaceAll('+', ' ')));
  }
};

/** Whoever books a receipt again writes the same file again. */
async function book(key) {
  const receipt = JSON.parse(await fs.readFile(path.join(RECEIPTS, key), 'utf8'));
  const { order_id, accepted_at, total_cents } = receipt;
  const entry = { order_id, accepted_at, total_cents, receipt: key };
  await writeWhole(path.join(BOOKS, `${order_id}.json`), `${JSON.stringify(entry)}\n`);
  console.log(`booked ${total_cents} cents of order ${order_id}`);
}

/** Written beside it and renamed, so that nobody reads half of it. */
async function writeWhole(file, text) {
  const beside = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}`);
  await fs.writeFile(beside, text, { flush: true });
  await fs.rename(beside, file);
}
