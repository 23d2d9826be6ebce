// Finds the decoder for a type, and keeps it.
package microfaas.json;

import java.lang.reflect.Type;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

final class Decoders {
    private static final Map<Type, Decoder> KNOWN = new ConcurrentHashMap<>();
    private static final Decoder ANYTHING = new Decoder() {
        @Override
        Object read(JsonReader in) {
            return in.value();
        }
    };

    private Decoders() {}

    static Decoder of(Type type) {
        Decoder known = KNOWN.get(type);
        if (known == null) {
            known = made(type, Types.raw(type));
            KNOWN.put(type, known);
        }
        return known;
    }

    private static Decoder made(Type type, Class<?> raw) {
        if (raw == Object.class || raw == java.io.Serializable.class) {
            return ANYTHING;
        }
        Decoder scalar = Scalar.of(raw);
        if (scalar != null) {
            return scalar;
        }
        Decoder container = Container.of(type, raw);
        if (container != null) {
            return container;
        }
        Decoder given = ArgumentsDecoder.of(type, raw);
        return given != null ? given : new BeanDecoder(type, raw);
    }
}
