// The part of msgpack that the protocol needs.
'use strict';

const SCRATCH_BYTES = 64 * 1024;
// A scratch buffer that one large reply has made larger than this is let go again.
const SCRATCH_BYTES_KEPT = 1024 * 1024;
const LENGTH_BYTES = 4;
// Of a str 32 or bin 32: strings are written with the longest header, so that their length may be
// filled in afterwards.
const HEADER_BYTES = 5;
const WORD = 2 ** 32;

// What is being decoded, and how far.
let bytes;
let at = 0;

// What is being encoded into, and how far.
let scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
let end = 0;

/** The value that begins at an offset. */
function decode(buffer, offset) {
  bytes = buffer;
  at = offset;
  const found = value();
  bytes = undefined;
  return found;
}

function value() {
  const tag = bytes[at++];
  if (tag < 0x80) return tag;
  if (tag < 0x90) return map(tag & 0x0f);
  if (tag < 0xa0) return array(tag & 0x0f);
  if (tag < 0xc0) return text(tag & 0x1f);
  if (tag >= 0xe0) return tag - 0x100;
  return tagged(tag);
}

function tagged(tag) {
  switch (tag) {
    case 0xc0: return null;
    case 0xc2: return false;
    case 0xc3: return true;
    case 0xc4: return binary(unsigned(1));
    case 0xc5: return binary(unsigned(2));
    case 0xc6: return binary(unsigned(4));
    case 0xcc: return unsigned(1);
    case 0xcd: return unsigned(2);
    case 0xce: return unsigned(4);
    case 0xcf: return unsigned(4) * WORD + unsigned(4);
    case 0xd0: return signed(1);
    case 0xd1: return signed(2);
    case 0xd2: return signed(4);
    case 0xd3: return signed(4) * WORD + unsigned(4);
    case 0xd9: return text(unsigned(1));
    case 0xda: return text(unsigned(2));
    case 0xdb: return text(unsigned(4));
    case 0xdc: return array(unsigned(2));
    case 0xdd: return array(unsigned(4));
    case 0xde: return map(unsigned(2));
    case 0xdf: return map(unsigned(4));
    default: throw new Error(`cannot decode a frame: unknown type 0x${tag.toString(16)}`);
  }
}

function unsigned(size) {
  at += size;
  return bytes.readUIntBE(at - size, size);
}

function signed(size) {
  at += size;
  return bytes.readIntBE(at - size, size);
}

function binary(size) {
  at += size;
  return bytes.subarray(at - size, at);
}

function text(size) {
  at += size;
  return bytes.toString('utf8', at - size, at);
}

function array(size) {
  const found = [];
  for (let index = 0; index < size; index++) found.push(value());
  return found;
}

function map(size) {
  const found = {};
  for (let index = 0; index < size; index++) {
    const key = value();
    found[key] = value();
  }
  return found;
}

/** A message as a frame. Its bytes are valid until the next call. A text as `payload` is binary. */
function encode(message) {
  if (scratch.length > SCRATCH_BYTES_KEPT) scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  const keys = Object.keys(message);
  end = LENGTH_BYTES;
  scratch[end++] = 0x80 | keys.length;
  for (const key of keys) {
    putText(0xdb, key);
    put(key, message[key]);
  }
  scratch.writeUInt32BE(end - LENGTH_BYTES, 0);
  return scratch.subarray(0, end);
}

function put(key, item) {
  if (typeof item === 'string') putText(key === 'payload' ? 0xc6 : 0xdb, item);
  else if (typeof item === 'boolean') putByte(item ? 0xc3 : 0xc2);
  else if (typeof item === 'number') putNumber(item);
  else putBinary(item);
}

function putByte(byte) {
  reserve(1);
  scratch[end++] = byte;
}

function putNumber(number) {
  reserve(HEADER_BYTES);
  putHeader(0xce, number);
}

function putBinary(data) {
  reserve(HEADER_BYTES + data.length);
  putHeader(0xc6, data.length);
  scratch.set(data, end);
  end += data.length;
}

function putText(tag, string) {
  // No UTF-16 unit takes more than three bytes; only a string that may not fit is measured.
  const most = HEADER_BYTES + string.length * 3;
  if (end + most > scratch.length) reserve(HEADER_BYTES + Buffer.byteLength(string));
  const length = scratch.write(string, end + HEADER_BYTES);
  putHeader(tag, length);
  end += length;
}

function putHeader(tag, length) {
  scratch[end] = tag;
  scratch.writeUInt32BE(length, end + 1);
  end += HEADER_BYTES;
}

function reserve(size) {
  if (end + size <= scratch.length) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(end + size, scratch.length * 2));
  scratch.copy(larger, 0, 0, end);
  scratch = larger;
}

module.exports = { LENGTH_BYTES, decode, encode };
