// Values that are one string, number or boolean in JSON. A string does for a number, and a number
// for a string; an array of one such value does, too.
package microfaas.json;

import java.lang.reflect.Array;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.net.URI;
import java.nio.ByteBuffer;
import java.util.Base64;
import java.util.Currency;
import java.util.Locale;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;

final class Scalar extends Decoder {
    private static final Set<Class<?>> INTEGERS = Set.of(
            int.class, Integer.class, long.class, Long.class, short.class, Short.class, byte.class, Byte.class,
            BigInteger.class, AtomicInteger.class, AtomicLong.class);
    // To all others an empty string is nothing, and the space round a value.
    private static final Set<Class<?>> AS_IT_IS = Set.of(
            String.class, CharSequence.class, byte[].class, char[].class, ByteBuffer.class);

    private final Class<?> type;
    private final Object absent;
    private final Function<String, Object> parse;

    private Scalar(Class<?> type, Object absent, Function<String, Object> parse) {
        this.type = type;
        this.absent = absent;
        this.parse = parse;
    }

    // The decoder for a class, or null when it is not read from one scalar.
    static Scalar of(Class<?> type) {
        Function<String, Object> parse = parser(type);
        return parse == null ? null : new Scalar(type, type.isPrimitive() ? zero(type) : null, parse);
    }

    // Each of these is made when it is first needed, which takes its time.
    private static Function<String, Object> parser(Class<?> type) {
        return switch (type.getName()) {
            case "java.lang.String", "java.lang.CharSequence" -> text -> text;
            case "int", "java.lang.Integer" -> text -> whole(text).intValueExact();
            case "long", "java.lang.Long" -> text -> whole(text).longValueExact();
            case "short", "java.lang.Short" -> text -> whole(text).shortValueExact();
            case "byte", "java.lang.Byte" -> Scalar::octet;
            case "double", "java.lang.Double" -> Double::valueOf;
            case "float", "java.lang.Float" -> Float::valueOf;
            case "boolean", "java.lang.Boolean" -> Scalar::truth;
            case "char", "java.lang.Character" -> Scalar::letter;
            case "java.lang.Number" -> text -> (Number) Json.parse(text.getBytes());
            case "java.math.BigDecimal" -> BigDecimal::new;
            case "java.math.BigInteger" -> Scalar::whole;
            case "java.util.concurrent.atomic.AtomicInteger" -> text -> new AtomicInteger(whole(text).intValueExact());
            case "java.util.concurrent.atomic.AtomicLong" -> text -> new AtomicLong(whole(text).longValueExact());
            case "java.util.concurrent.atomic.AtomicBoolean" -> text -> new AtomicBoolean(truth(text));
            case "java.util.UUID" -> UUID::fromString;
            case "java.net.URI" -> URI::create;
            case "java.util.Currency" -> Currency::getInstance;
            case "java.util.Locale" -> Scalar::locale;
            case "java.nio.ByteBuffer" -> text -> ByteBuffer.wrap(bytes(text));
            case "[B" -> Scalar::bytes;
            case "[C" -> String::toCharArray;
            default -> type.isEnum() ? text -> constant(type, text) : Times.parser(type);
        };
    }

    private static Object zero(Class<?> primitive) {
        return Array.get(Array.newInstance(primitive, 1), 0);
    }

    // A date within an event of AWS's: seconds, with a fraction.
    static Scalar ofSeconds(Class<?> type) {
        return new Scalar(type, null, Times::fromSeconds);
    }

    @Override
    Object absent() {
        return absent;
    }

    @Override
    Object read(JsonReader in) {
        return switch (in.peek()) {
            case '"' -> parse(in.string());
            case '[' -> type.isArray() ? Container.array(type, in) : unwrapped(in);
            case '{' -> throw in.fault(type.getSimpleName());
            default -> type.isArray() ? Container.array(type, in) : literal(in);
        };
    }

    private Object literal(JsonReader in) {
        if (in.isNumber()) {
            return number(in.number());
        } else if (type.isEnum() || type == ByteBuffer.class) {
            throw in.fault("a string");
        }
        return parse(String.valueOf(in.scalar()));
    }

    // What is not an integer loses its fraction where one is wanted; a character is its code.
    private Object number(String text) {
        boolean whole = text.matches("-?\\d+");
        if (type == char.class || type == Character.class) {
            return parse(Character.toString(whole ? whole(text).intValueExact() : -1));
        } else if (type == boolean.class || type == Boolean.class) {
            return whole(text).signum() != 0;
        } else if (type.isEnum() && !whole) {
            throw new JsonException(text + " cannot be read as " + type.getName());
        } else if (whole || !INTEGERS.contains(type)) {
            return parse(text);
        }
        return parse(new BigDecimal(text).toBigInteger().toString());
    }

    private Object unwrapped(JsonReader in) {
        if (!in.enter('[', ']')) {
            if (type.isPrimitive() && type != char.class) {
                throw new JsonException("an empty array cannot be read as " + type.getName());
            }
            return absent;
        }
        Object value = next(in);
        if (in.more(']')) {
            throw new JsonException("an array of several values cannot be read as " + type.getName());
        }
        return value;
    }

    Object parse(String text) {
        boolean asItIs = AS_IT_IS.contains(type);
        if (text.isEmpty() && !asItIs) {
            return absent;
        }
        try {
            boolean letter = type == char.class || type == Character.class;
            return parse.apply(asItIs || letter ? text : text.strip());
        } catch (RuntimeException e) {
            throw new JsonException("cannot read \"" + text + "\" as " + type.getName(), e);
        }
    }

    private static BigInteger whole(String text) {
        return new BigInteger(text);
    }

    private static byte[] bytes(String base64) {
        if (base64.length() % 4 != 0) {
            throw new IllegalArgumentException("base64 without its padding");
        }
        return Base64.getDecoder().decode(base64);
    }

    private static byte octet(String text) {
        int value = whole(text).intValueExact();
        if (value < Byte.MIN_VALUE || value > 255) {
            throw new NumberFormatException("not a byte");
        }
        return (byte) value;
    }

    private static boolean truth(String text) {
        return switch (text) {
            case "true", "True", "TRUE" -> true;
            case "false", "False", "FALSE" -> false;
            default -> throw new IllegalArgumentException("neither true nor false");
        };
    }

    private static char letter(String text) {
        if (text.length() != 1) {
            throw new IllegalArgumentException("not one character");
        }
        return text.charAt(0);
    }

    private static Locale locale(String text) {
        String[] parts = text.split("[-_]", 3);
        return new Locale(parts[0], parts.length > 1 ? parts[1] : "", parts.length > 2 ? parts[2] : "");
    }

    // By name or by number; one that is not there is null.
    private static Object constant(Class<?> type, String text) {
        Object[] constants = type.getEnumConstants();
        for (Object constant : constants) {
            if (((Enum<?>) constant).name().equals(text)) {
                return constant;
            }
        }
        boolean numbered = text.chars().allMatch(Character::isDigit);
        return numbered && whole(text).intValueExact() < constants.length
                ? constants[whole(text).intValueExact()]
                : null;
    }
}
