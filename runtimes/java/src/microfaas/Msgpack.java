// The msgpack that messages are made of: maps with string keys, and in them nil, booleans, integers,
// strings, bytes, arrays and maps.
package microfaas;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

final class Msgpack {
    private Msgpack() {}

    static final class Reader {
        private final byte[] data;
        private int at;

        Reader(byte[] data, int from) {
            this.data = data;
            this.at = from;
        }

        Map<String, Object> message() throws IOException {
            if (value() instanceof Map<?, ?> map) {
                @SuppressWarnings("unchecked") // Only strings are read as keys.
                Map<String, Object> message = (Map<String, Object>) map;
                return message;
            }
            throw new IOException("a message that is not a map");
        }

        private Object value() throws IOException {
            int tag = data[at++] & 0xff;
            if (tag < 0x80 || tag >= 0xe0) {
                return (long) (byte) tag;
            } else if (tag < 0x90) {
                return map(tag & 0x0f);
            } else if (tag < 0xa0) {
                return array(tag & 0x0f);
            } else if (tag < 0xc0) {
                return text(tag & 0x1f);
            }
            return switch (tag) {
                case 0xc0 -> null;
                case 0xc2 -> false;
                case 0xc3 -> true;
                case 0xc4, 0xc5, 0xc6 -> bytes((int) unsigned(1 << tag - 0xc4));
                case 0xcc, 0xcd, 0xce, 0xcf -> unsigned(1 << tag - 0xcc);
                case 0xd0 -> (long) (byte) unsigned(1);
                case 0xd1 -> (long) (short) unsigned(2);
                case 0xd2 -> (long) (int) unsigned(4);
                case 0xd3 -> unsigned(8);
                case 0xd9, 0xda, 0xdb -> text((int) unsigned(1 << tag - 0xd9));
                case 0xdc, 0xdd -> array((int) unsigned(2 << tag - 0xdc));
                case 0xde, 0xdf -> map((int) unsigned(2 << tag - 0xde));
                default -> throw new IOException("msgpack of a type that no message has: " + tag);
            };
        }

        private long unsigned(int size) {
            long value = 0;
            for (int i = 0; i < size; i++) {
                value = value << 8 | data[at++] & 0xff;
            }
            return value;
        }

        private byte[] bytes(int size) {
            byte[] copy = Arrays.copyOfRange(data, at, at + size);
            at += size;
            return copy;
        }

        private String text(int size) {
            String text = new String(data, at, size, StandardCharsets.UTF_8);
            at += size;
            return text;
        }

        private List<Object> array(int size) throws IOException {
            List<Object> items = new ArrayList<>();
            for (int i = 0; i < size; i++) {
                items.add(value());
            }
            return items;
        }

        private Map<String, Object> map(int size) throws IOException {
            Map<String, Object> map = new HashMap<>();
            for (int i = 0; i < size; i++) {
                map.put((String) value(), value());
            }
            return map;
        }
    }

    // Makes one map; its size is known before its fields.
    static final class Writer {
        private byte[] data = new byte[256];
        private int size;

        byte[] data() {
            return data;
        }

        int size() {
            return size;
        }

        // Leaves room for what goes in front of the map.
        void start(int room, int fields) {
            if (data.length > KEPT_MAX) {
                data = new byte[256];
            }
            size = room;
            put(0x80 | fields, 0, 0);
        }

        Writer field(String name, String value) {
            string(name);
            string(value);
            return this;
        }

        Writer field(String name, boolean value) {
            string(name);
            put(value ? 0xc3 : 0xc2, 0, 0);
            return this;
        }

        Writer field(String name, long value) {
            string(name);
            put(0xd3, value, 8);
            return this;
        }

        Writer field(String name, byte[] value, int length) {
            string(name);
            put(0xc6, length, 4);
            append(value, length);
            return this;
        }

        private void string(String text) {
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            if (bytes.length < 32) {
                put(0xa0 | bytes.length, 0, 0);
            } else {
                put(0xdb, bytes.length, 4);
            }
            append(bytes, bytes.length);
        }

        private void put(int tag, long value, int width) {
            reserve(1 + width);
            data[size++] = (byte) tag;
            for (int shift = 8 * width - 8; shift >= 0; shift -= 8) {
                data[size++] = (byte) (value >> shift);
            }
        }

        private void append(byte[] bytes, int length) {
            reserve(length);
            System.arraycopy(bytes, 0, data, size, length);
            size += length;
        }

        private void reserve(int more) {
            if (size + more > data.length) {
                data = Arrays.copyOf(data, Math.max(2 * data.length, size + more));
            }
        }
    }

    // A larger buffer, which one large reply needed, is not kept.
    private static final int KEPT_MAX = 1 << 20;
}
