// Frames on blocking descriptors: a 4-byte big-endian length, then one msgpack map.
'use strict';

// Taken now: functions replace these, for example to see how they behave when a disk is full.
const { readSync, writeSync } = require('fs');
const { LENGTH_BYTES, decode, encode } = require('./msgpack');

const BUFFER_BYTES = 64 * 1024;

/** Write all of `data`; it waits while the reader is slow. */
function writeAll(fd, data) {
  let sent = writeSync(fd, data, 0, data.length);
  while (sent < data.length) sent += writeSync(fd, data, sent, data.length - sent);
}

/** Both directions of a conversation; `pull` and `push` are how bytes come and go. */
class Frames {
  constructor(pull, push) {
    this._pull = pull;
    this._push = push;
    this._buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
    // What was read and not yet decoded.
    this._start = 0;
    this._end = 0;
  }

  /** The next message, which is valid until the next call, or null when nobody sends any more. */
  read() {
    if (!this._fill(LENGTH_BYTES)) return null;
    const size = LENGTH_BYTES + this._buffer.readUInt32BE(this._start);
    if (size > this._buffer.length) return this._readLarge(size);
    if (!this._fill(size)) return null;
    const message = decode(this._buffer, this._start + LENGTH_BYTES);
    this._start += size;
    return message;
  }

  write(message) {
    this._push(encode(message));
  }

  /** Read until there are `size` bytes, mostly with one system call; false at the end. */
  _fill(size) {
    if (this._start === this._end) this._start = this._end = 0;
    if (this._start + size > this._buffer.length) {
      this._buffer.copyWithin(0, this._start, this._end);
      this._end -= this._start;
      this._start = 0;
    }
    while (this._end - this._start < size) {
      const got = this._pull(this._buffer, this._end, this._buffer.length - this._end);
      if (got === 0) return false;
      this._end += got;
    }
    return true;
  }

  /** A frame that does not fit into the buffer gets one of its own. */
  _readLarge(size) {
    const frame = Buffer.allocUnsafeSlow(size);
    let got = this._buffer.copy(frame, 0, this._start, this._end);
    this._start = this._end = 0;
    while (got < size) {
      const more = this._pull(frame, got, size - got);
      if (more === 0) return null;
      got += more;
    }
    return decode(frame, LENGTH_BYTES);
  }
}

/** The frames on two descriptors. */
function onDescriptors(requests, replies) {
  return new Frames(
    (buffer, offset, length) => readSync(requests, buffer, offset, length, null),
    (data) => writeAll(replies, data),
  );
}

/** The frames of a conversation with oneself: the same request again and again, replies dropped. */
function repeating(request, times) {
  const frame = Buffer.from(encode(request));
  return new Frames(
    (buffer, offset) => (times-- > 0 ? frame.copy(buffer, offset) : 0),
    () => {},
  );
}

module.exports = { onDescriptors, repeating };
