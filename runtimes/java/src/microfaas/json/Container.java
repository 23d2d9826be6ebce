// Collections, arrays, maps and Optional. A single value does where an array is wanted.
package microfaas.json;

import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedList;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.NavigableSet;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;

final class Container {
    // What is made where an interface is asked for.
    private static final Map<Class<?>, Class<?>> MADE = Map.ofEntries(
            Map.entry(Iterable.class, ArrayList.class),
            Map.entry(Collection.class, ArrayList.class),
            Map.entry(List.class, ArrayList.class),
            Map.entry(Set.class, HashSet.class),
            Map.entry(SortedSet.class, TreeSet.class),
            Map.entry(NavigableSet.class, TreeSet.class),
            Map.entry(Queue.class, LinkedList.class),
            Map.entry(Deque.class, LinkedList.class),
            Map.entry(Map.class, LinkedHashMap.class),
            Map.entry(SortedMap.class, TreeMap.class),
            Map.entry(NavigableMap.class, TreeMap.class),
            Map.entry(ConcurrentMap.class, ConcurrentHashMap.class));

    private Container() {}

    // The decoder for such a type; null when it is none.
    static Decoder of(Type type, Class<?> raw) {
        if (raw.isArray()) {
            Type component = type instanceof GenericArrayType array
                    ? array.getGenericComponentType()
                    : raw.getComponentType();
            return new ArrayDecoder(Decoders.of(component), raw.getComponentType());
        } else if (raw == Iterable.class || Collection.class.isAssignableFrom(raw)) {
            return new CollectionDecoder(Decoders.of(Types.parameter(type, Iterable.class, 0)), made(raw));
        } else if (Map.class.isAssignableFrom(raw)) {
            return new MapDecoder(
                    Types.raw(Types.parameter(type, Map.class, 0)),
                    Decoders.of(Types.parameter(type, Map.class, 1)),
                    made(raw));
        } else if (raw == Optional.class) {
            return new OptionalDecoder(Decoders.of(Types.parameter(type, Optional.class, 0)));
        }
        return null;
    }

    // An array of bytes or characters that is written as an array of numbers.
    static Object array(Class<?> type, JsonReader in) {
        return new ArrayDecoder(Decoders.of(type.getComponentType()), type.getComponentType()).read(in);
    }

    private static Constructor<?> made(Class<?> raw) {
        return BeanDecoder.constructor(MADE.getOrDefault(raw, raw));
    }

    // False for an empty string, which is no collection.
    private static boolean each(JsonReader in, Decoder element, Collection<Object> into) {
        if (in.literal("\"\"")) {
            return false;
        } else if (in.peek() != '[') {
            into.add(element.read(in));
            return true;
        }
        for (boolean any = in.enter('[', ']'); any; any = in.more(']')) {
            into.add(element.next(in));
        }
        return true;
    }

    private static final class CollectionDecoder extends Decoder {
        private final Decoder element;
        private final Constructor<?> constructor;

        CollectionDecoder(Decoder element, Constructor<?> constructor) {
            this.element = element;
            this.constructor = constructor;
        }

        @Override
        @SuppressWarnings("unchecked")
        Object read(JsonReader in) {
            Collection<Object> made = (Collection<Object>) BeanDecoder.made(constructor);
            return each(in, element, made) ? made : null;
        }
    }

    private static final class ArrayDecoder extends Decoder {
        private final Decoder element;
        private final Class<?> component;

        ArrayDecoder(Decoder element, Class<?> component) {
            this.element = element;
            this.component = component;
        }

        @Override
        Object read(JsonReader in) {
            List<Object> items = new ArrayList<>();
            if (!each(in, element, items)) {
                return null;
            }
            Object array = Array.newInstance(component, items.size());
            for (int i = 0; i < items.size(); i++) {
                Array.set(array, i, items.get(i));
            }
            return array;
        }
    }

    private static final class MapDecoder extends Decoder {
        private final Scalar key;
        private final Decoder value;
        private final Constructor<?> constructor;

        MapDecoder(Class<?> key, Decoder value, Constructor<?> constructor) {
            this.key = Scalar.of(key == Object.class ? String.class : key);
            if (this.key == null) {
                throw new JsonException("a map cannot have keys of " + key.getName());
            }
            this.value = value;
            this.constructor = constructor;
        }

        @Override
        @SuppressWarnings("unchecked")
        Object read(JsonReader in) {
            if (in.peek() != '{') {
                return BeanDecoder.unwrapped(this, in);
            }
            Map<Object, Object> made = (Map<Object, Object>) BeanDecoder.made(constructor);
            for (boolean any = in.enter('{', '}'); any; any = in.more('}')) {
                String name = in.name();
                made.put(key.parse(name), value.next(in));
            }
            return made;
        }
    }

    private static final class OptionalDecoder extends Decoder {
        private final Decoder value;

        OptionalDecoder(Decoder value) {
            this.value = value;
        }

        @Override
        Object read(JsonReader in) {
            return Optional.ofNullable(value.read(in));
        }

        @Override
        Object absent() {
            return Optional.empty();
        }
    }
}
