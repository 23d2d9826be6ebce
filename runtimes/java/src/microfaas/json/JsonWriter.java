// Writes JSON as UTF-8 into a buffer that grows.
package microfaas.json;

import java.io.OutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

final class JsonWriter {
    private static final byte[] HEX = "0123456789ABCDEF".getBytes(StandardCharsets.US_ASCII);
    private static final int DEPTH_MAX = 1000;

    private byte[] data = new byte[512];
    private int size;
    private int depth;
    private boolean first = true;

    void writeTo(OutputStream output) throws IOException {
        output.write(data, 0, size);
    }

    @Override
    public String toString() {
        return new String(data, 0, size, StandardCharsets.UTF_8);
    }

    void open(char bracket) {
        raw(bracket);
        first = true;
        if (++depth > DEPTH_MAX) {
            throw new JsonException("more than " + DEPTH_MAX + " levels: an object that contains itself?");
        }
    }

    void close(char bracket) {
        raw(bracket);
        first = false;
        depth--;
    }

    // Before each item of an array and each name of an object.
    void separate() {
        if (!first) {
            raw(',');
        }
        first = false;
    }

    void name(String name) {
        separate();
        string(name);
        raw(':');
    }

    // Something that is JSON already and ASCII: numbers, true, null.
    void literal(String text) {
        reserve(text.length());
        for (int i = 0; i < text.length(); i++) {
            data[size++] = (byte) text.charAt(i);
        }
    }

    void string(CharSequence text) {
        raw('"');
        int length = text.length();
        for (int i = 0; i < length; i++) {
            reserve(6);
            char letter = text.charAt(i);
            if (letter >= ' ' && letter < 0x80 && letter != '"' && letter != '\\') {
                data[size++] = (byte) letter;
            } else if (letter < 0x80) {
                escape(letter);
            } else if (Character.isHighSurrogate(letter) && i + 1 < length
                    && Character.isLowSurrogate(text.charAt(i + 1))) {
                pair(Character.toCodePoint(letter, text.charAt(++i)));
            } else {
                wide(letter);
            }
        }
        raw('"');
    }

    private void escape(char letter) {
        data[size++] = '\\';
        switch (letter) {
            case '"', '\\' -> data[size++] = (byte) letter;
            case '\b' -> data[size++] = 'b';
            case '\f' -> data[size++] = 'f';
            case '\n' -> data[size++] = 'n';
            case '\r' -> data[size++] = 'r';
            case '\t' -> data[size++] = 't';
            default -> unit(letter);
        }
    }

    private void unit(char letter) {
        data[size++] = 'u';
        for (int shift = 12; shift >= 0; shift -= 4) {
            data[size++] = HEX[letter >> shift & 0xf];
        }
    }

    private void wide(char letter) {
        if (Character.isSurrogate(letter)) {
            // Half a pair has no UTF-8.
            data[size++] = '\\';
            unit(letter);
        } else if (letter < 0x800) {
            data[size++] = (byte) (0xc0 | letter >> 6);
            data[size++] = (byte) (0x80 | letter & 0x3f);
        } else {
            data[size++] = (byte) (0xe0 | letter >> 12);
            data[size++] = (byte) (0x80 | letter >> 6 & 0x3f);
            data[size++] = (byte) (0x80 | letter & 0x3f);
        }
    }

    private void pair(int point) {
        data[size++] = (byte) (0xf0 | point >> 18);
        data[size++] = (byte) (0x80 | point >> 12 & 0x3f);
        data[size++] = (byte) (0x80 | point >> 6 & 0x3f);
        data[size++] = (byte) (0x80 | point & 0x3f);
    }

    private void raw(char letter) {
        reserve(1);
        data[size++] = (byte) letter;
    }

    private void reserve(int more) {
        if (size + more > data.length) {
            data = Arrays.copyOf(data, Math.max(2 * data.length, size + more));
        }
    }
}
