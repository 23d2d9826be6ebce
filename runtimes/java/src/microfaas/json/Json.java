// JSON and Java objects, by the rules of Lambda's own runtime: see README.md.
package microfaas.json;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.reflect.Type;

public final class Json {
    private Json() {}

    // Maps, lists, strings, numbers, booleans.
    public static Object parse(byte[] data) {
        return read(data, Object.class);
    }

    public static Object read(byte[] data, Type type) {
        JsonReader in = new JsonReader(data);
        Object value = Decoders.of(type).next(in);
        in.end();
        return value;
    }

    public static String text(Object value) {
        return written(value).toString();
    }

    public static void write(Object value, OutputStream output) throws IOException {
        written(value).writeTo(output);
    }

    private static JsonWriter written(Object value) {
        JsonWriter out = new JsonWriter();
        Encoders.write(out, value);
        return out;
    }
}
