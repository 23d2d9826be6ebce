// Reads JSON piece by piece: the caller knows what it wants next, and asks for it.
package microfaas.json;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

final class JsonReader {
    private static final int DEPTH_MAX = 1000;

    private final byte[] data;
    private int at;
    private int depth;

    JsonReader(byte[] data) {
        this.data = data;
    }

    // The first character of the next value; 0 at the end.
    char peek() {
        while (at < data.length && data[at] <= ' ' && data[at] >= 0) {
            at++;
        }
        return at < data.length ? (char) (data[at] & 0xff) : 0;
    }

    JsonException fault(String wanted) {
        char found = peek();
        String seen = found == 0 ? "the end" : "'" + found + "'";
        return new JsonException(wanted + " expected, but there is " + seen + " at byte " + at);
    }

    void end() {
        if (peek() != 0) {
            throw fault("the end");
        }
    }

    // Enters an object or an array; whether there is anything in it.
    boolean enter(char open, char close) {
        if (peek() != open) {
            throw fault(open == '{' ? "an object" : "an array");
        }
        at++;
        if (++depth > DEPTH_MAX) {
            throw new JsonException("more than " + DEPTH_MAX + " levels of arrays and objects");
        }
        return peek() != close || leave();
    }

    // Behind a value within an object or an array: whether another one follows.
    boolean more(char close) {
        char next = peek();
        if (next == close) {
            return leave();
        } else if (next != ',') {
            throw fault("',' or '" + close + "'");
        }
        at++;
        return true;
    }

    private boolean leave() {
        at++;
        depth--;
        return false;
    }

    String name() {
        String name = string();
        if (peek() != ':') {
            throw fault("':'");
        }
        at++;
        return name;
    }

    // Whether this word is next, which then has been read.
    boolean literal(String word) {
        peek();
        int end = at + word.length();
        if (end > data.length) {
            return false;
        }
        for (int i = 0; i < word.length(); i++) {
            if (data[at + i] != word.charAt(i)) {
                return false;
            }
        }
        at = end;
        return true;
    }

    String string() {
        if (peek() != '"') {
            throw fault("a string");
        }
        int start = ++at;
        int seen = 0;
        for (; at < data.length && data[at] != '"'; at++) {
            if (data[at] == '\\') {
                return escaped(start);
            }
            seen |= data[at];
        }
        if (at >= data.length) {
            throw fault("'\"'");
        }
        // Without a high bit this is ASCII, and the faster charset does.
        return new String(data, start, at++ - start, seen < 0 ? StandardCharsets.UTF_8 : StandardCharsets.ISO_8859_1);
    }

    private String escaped(int start) {
        StringBuilder text = new StringBuilder();
        while (at < data.length && data[at] != '"') {
            if (data[at] == '\\') {
                text.append(new String(data, start, at - start, StandardCharsets.UTF_8)).append(escape());
                start = at;
            } else {
                at++;
            }
        }
        if (at >= data.length) {
            throw fault("'\"'");
        }
        return text.append(new String(data, start, at++ - start, StandardCharsets.UTF_8)).toString();
    }

    private char escape() {
        at++;
        char letter = at < data.length ? (char) data[at++] : 0;
        return switch (letter) {
            case '"', '\\', '/' -> letter;
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'u' -> unit();
            default -> throw new JsonException("an escape that JSON does not have at byte " + (at - 1));
        };
    }

    private char unit() {
        int unit = 0;
        for (int i = 0; i < 4; i++) {
            int digit = at < data.length ? Character.digit(data[at++], 16) : -1;
            if (digit < 0) {
                throw new JsonException("four hexadecimal digits expected before byte " + at);
            }
            unit = unit << 4 | digit;
        }
        return (char) unit;
    }

    boolean isNumber() {
        char next = peek();
        return next == '-' || next >= '0' && next <= '9';
    }

    // A number as it is written.
    String number() {
        if (!isNumber()) {
            throw fault("a number");
        }
        int start = at;
        while (at < data.length && isOfNumber(data[at])) {
            at++;
        }
        return new String(data, start, at - start, StandardCharsets.ISO_8859_1);
    }

    private static boolean isOfNumber(byte letter) {
        return letter >= '0' && letter <= '9' || "+-.eE".indexOf(letter) >= 0;
    }

    // The next value as plain Java: maps, lists, strings, the smallest fitting numbers.
    Object value() {
        return switch (peek()) {
            case '{' -> object();
            case '[' -> array();
            case '"' -> string();
            default -> scalar();
        };
    }

    private Map<String, Object> object() {
        Map<String, Object> map = new LinkedHashMap<>();
        for (boolean any = enter('{', '}'); any; any = more('}')) {
            String name = name();
            map.put(name, value());
        }
        return map;
    }

    private List<Object> array() {
        List<Object> list = new ArrayList<>();
        for (boolean any = enter('[', ']'); any; any = more(']')) {
            list.add(value());
        }
        return list;
    }

    Object scalar() {
        if (isNumber()) {
            return plain(number());
        } else if (literal("true")) {
            return true;
        } else if (literal("false")) {
            return false;
        } else if (literal("null")) {
            return null;
        } else if (literal("NaN")) {
            return Double.NaN;
        }
        throw fault("a value");
    }

    private static Number plain(String text) {
        try {
            if (text.indexOf('.') >= 0 || text.indexOf('e') >= 0 || text.indexOf('E') >= 0) {
                return Double.valueOf(text);
            } else if (text.length() > 18) {
                return smallest(new BigInteger(text));
            }
            long number = Long.parseLong(text);
            return number == (int) number ? (Number) (int) number : (Number) number;
        } catch (NumberFormatException e) {
            throw new JsonException("a number expected, but there is " + text);
        }
    }

    private static Number smallest(BigInteger number) {
        return number.bitLength() < Long.SIZE ? (Number) number.longValue() : (Number) number;
    }

    void skip() {
        switch (peek()) {
            case '{' -> {
                for (boolean any = enter('{', '}'); any; any = more('}')) {
                    name();
                    skip();
                }
            }
            case '[' -> {
                for (boolean any = enter('[', ']'); any; any = more(']')) {
                    skip();
                }
            }
            case '"' -> string();
            default -> scalar();
        }
    }
}
