// Objects that take their values through the constructor: records, and the S3 event of AWS's own
// library, whose constructors take the fields in their order.
package microfaas.json;

import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

final class ArgumentsDecoder extends Decoder {
    private final Constructor<?> constructor;
    private final List<String> names = new ArrayList<>();
    private final List<Type> types = new ArrayList<>();

    private ArgumentsDecoder(Constructor<?> constructor) {
        constructor.setAccessible(true);
        this.constructor = constructor;
    }

    // The decoder for such a class; null when it is none.
    static Decoder of(Type type, Class<?> raw) {
        if (raw.isRecord()) {
            return ofRecord(type, raw);
        }
        return EventNames.takesArguments(raw) ? ofFields(raw) : null;
    }

    private static Decoder ofRecord(Type type, Class<?> raw) {
        RecordComponent[] components = raw.getRecordComponents();
        Class<?>[] erased = Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new);
        try {
            ArgumentsDecoder made = new ArgumentsDecoder(raw.getDeclaredConstructor(erased));
            for (RecordComponent component : components) {
                made.names.add(component.getName());
                made.types.add(Types.resolve(component.getGenericType(), type));
            }
            return made;
        } catch (NoSuchMethodException e) {
            throw new JsonException("cannot make a " + raw.getName(), e);
        }
    }

    private static Decoder ofFields(Class<?> raw) {
        Constructor<?> longest = Arrays.stream(raw.getConstructors())
                .max(Comparator.comparingInt(Constructor::getParameterCount))
                .orElseThrow();
        ArgumentsDecoder made = new ArgumentsDecoder(longest);
        made.types.addAll(Arrays.asList(longest.getGenericParameterTypes()));
        fields(raw, made.names);
        return made;
    }

    // S3Event has its only field in its superclass.
    private static void fields(Class<?> raw, List<String> names) {
        if (raw.getSuperclass() != Object.class) {
            fields(raw.getSuperclass(), names);
        }
        for (Field field : raw.getDeclaredFields()) {
            if (!Modifier.isStatic(field.getModifiers())) {
                names.add(EventNames.inJson(raw, field.getName()));
            }
        }
    }

    @Override
    Object read(JsonReader in) {
        if (in.peek() != '{') {
            return BeanDecoder.unwrapped(this, in);
        }
        Object[] arguments = new Object[types.size()];
        boolean[] given = new boolean[arguments.length];
        for (boolean any = in.enter('{', '}'); any; any = in.more('}')) {
            int place = names.indexOf(in.name());
            if (place < 0) {
                in.skip();
            } else {
                arguments[place] = Decoders.of(types.get(place)).next(in);
                given[place] = true;
            }
        }
        for (int i = 0; i < arguments.length; i++) {
            arguments[i] = given[i] ? arguments[i] : absent(types.get(i));
        }
        return BeanDecoder.made(constructor, arguments);
    }

    // Lambda's runtime gives an S3 event empty strings where others would find null.
    private Object absent(Type type) {
        if (!constructor.getDeclaringClass().isRecord()) {
            if (type == String.class) {
                return "";
            } else if (type == Long.class) {
                return 0L;
            } else if (Types.raw(type) == List.class) {
                return new ArrayList<>();
            }
        }
        return Decoders.of(type).absent();
    }
}
