// Finds out how an object is written by its class, and remembers it. Properties and entries of maps
// that are null are left out.
package microfaas.json;

import java.lang.invoke.MethodHandle;
import java.lang.reflect.Array;
import java.nio.ByteBuffer;
import java.util.Base64;
import java.util.Date;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import microfaas.json.Properties.Property;

final class Encoders {
    private static final Map<Class<?>, Encoder> KNOWN = new ConcurrentHashMap<>();
    private static final Encoder TEXT = (out, value) -> out.string(value.toString());
    private static final Encoder LITERAL = (out, value) -> out.literal(value.toString());
    private static final Encoder EMPTY = (out, value) -> {
        out.open('{');
        out.close('}');
    };

    private Encoders() {}

    static void write(JsonWriter out, Object value) {
        if (value == null) {
            out.literal("null");
            return;
        }
        Encoder encoder = KNOWN.get(value.getClass());
        if (encoder == null) {
            encoder = made(value.getClass());
            KNOWN.put(value.getClass(), encoder);
        }
        encoder.write(out, value);
    }

    private static Encoder made(Class<?> type) {
        Encoder plain = plain(type);
        if (plain != null) {
            return plain;
        } else if (type.isArray()) {
            return (out, value) -> array(out, value);
        } else if (Map.class.isAssignableFrom(type)) {
            return (out, value) -> map(out, (Map<?, ?>) value);
        } else if (Iterable.class.isAssignableFrom(type) && !java.nio.file.Path.class.isAssignableFrom(type)) {
            return (out, value) -> items(out, ((Iterable<?>) value).iterator());
        } else if (Iterator.class.isAssignableFrom(type)) {
            return (out, value) -> items(out, (Iterator<?>) value);
        } else if (type == Optional.class) {
            return (out, value) -> write(out, ((Optional<?>) value).orElse(null));
        } else if (Map.Entry.class.isAssignableFrom(type)) {
            return (out, value) -> entry(out, (Map.Entry<?, ?>) value);
        }
        Encoder time = Times.encoder(type);
        return time != null ? time : other(type);
    }

    // Strings, numbers and what is written as one string.
    private static Encoder plain(Class<?> type) {
        if (CharSequence.class.isAssignableFrom(type) || type == Character.class) {
            return TEXT;
        } else if (type == Double.class || type == Float.class) {
            return Encoders::fraction;
        } else if (type == Boolean.class || type == AtomicBoolean.class || Number.class.isAssignableFrom(type)) {
            return LITERAL;
        } else if (Enum.class.isAssignableFrom(type)) {
            return (out, value) -> out.string(((Enum<?>) value).name());
        } else if (type == byte[].class) {
            return (out, value) -> out.string(Base64.getEncoder().encodeToString((byte[]) value));
        } else if (type == char[].class) {
            return (out, value) -> out.string(new String((char[]) value));
        } else if (ByteBuffer.class.isAssignableFrom(type)) {
            return (out, value) -> out.string(base64(((ByteBuffer) value).duplicate()));
        } else if (type == Class.class) {
            return (out, value) -> out.string(((Class<?>) value).getName());
        }
        return null;
    }

    // The JDK's own objects and Joda's times have a text; everything else has properties.
    private static Encoder other(Class<?> type) {
        if (type.getName().startsWith("java.") || type.getName().startsWith("sun.")
                || type.getName().startsWith("org.joda.time.")) {
            return type == Object.class ? EMPTY : TEXT;
        }
        List<Property> properties = type.isRecord() ? ofRecord(type) : Properties.got(type);
        return (out, value) -> object(out, value, properties);
    }

    private static List<Property> ofRecord(Class<?> type) {
        return java.util.Arrays.stream(type.getRecordComponents())
                .map(one -> new Property(one.getName(), one.getType(), type, Properties.getter(one.getAccessor())))
                .toList();
    }

    private static void object(JsonWriter out, Object object, List<Property> properties) {
        out.open('{');
        for (Property property : properties) {
            Object value = got(object, property);
            if (value == null) {
                continue;
            }
            out.name(property.name());
            if (value instanceof Date date && EventNames.isEvent(property.owner())) {
                Times.writeSeconds(out, date);
            } else {
                write(out, value);
            }
        }
        out.close('}');
    }

    private static Object got(Object object, Property property) {
        try {
            MethodHandle getter = property.access();
            return (Object) getter.invokeExact(object);
        } catch (Throwable e) {
            throw new JsonException("cannot get " + property.name() + " of " + property.owner().getName(), e);
        }
    }

    private static void map(JsonWriter out, Map<?, ?> map) {
        out.open('{');
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            if (entry.getValue() != null) {
                out.name(key(entry.getKey()));
                write(out, entry.getValue());
            }
        }
        out.close('}');
    }

    private static String key(Object key) {
        if (key == null) {
            throw new JsonException("a map has the key null, which JSON cannot have");
        }
        return key instanceof Enum<?> constant ? constant.name() : key.toString();
    }

    private static void entry(JsonWriter out, Map.Entry<?, ?> entry) {
        out.open('{');
        out.name(key(entry.getKey()));
        write(out, entry.getValue());
        out.close('}');
    }

    private static void items(JsonWriter out, Iterator<?> items) {
        out.open('[');
        while (items.hasNext()) {
            out.separate();
            write(out, items.next());
        }
        out.close(']');
    }

    private static void array(JsonWriter out, Object array) {
        out.open('[');
        for (int i = 0; i < Array.getLength(array); i++) {
            out.separate();
            write(out, Array.get(array, i));
        }
        out.close(']');
    }

    // JSON has no number for these.
    private static void fraction(JsonWriter out, Object value) {
        double number = ((Number) value).doubleValue();
        if (Double.isNaN(number) || Double.isInfinite(number)) {
            out.string(value.toString());
        } else {
            out.literal(value.toString());
        }
    }

    private static String base64(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return Base64.getEncoder().encodeToString(bytes);
    }
}
