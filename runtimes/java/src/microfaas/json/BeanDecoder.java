// Objects with a constructor without arguments, and properties to set. Unknown ones are skipped.
package microfaas.json;

import java.lang.invoke.MethodHandle;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.util.Date;
import java.util.Map;
import microfaas.json.Properties.Property;

final class BeanDecoder extends Decoder {
    private final Type type;
    private final Constructor<?> constructor;
    private Map<String, Property> properties;

    BeanDecoder(Type type, Class<?> raw) {
        this.type = type;
        this.constructor = constructor(raw);
    }

    static Constructor<?> constructor(Class<?> raw) {
        if (Modifier.isAbstract(raw.getModifiers())) {
            throw new JsonException("cannot make a " + raw.getName() + ": it is abstract");
        }
        try {
            Constructor<?> constructor = raw.getDeclaredConstructor();
            constructor.setAccessible(true);
            return constructor;
        } catch (NoSuchMethodException e) {
            throw new JsonException("cannot make a " + raw.getName() + ": it has no constructor without arguments");
        }
    }

    static Object made(Constructor<?> constructor, Object... arguments) {
        try {
            return constructor.newInstance(arguments);
        } catch (InvocationTargetException e) {
            throw new JsonException("cannot make a " + constructor.getDeclaringClass().getName(), e.getCause());
        } catch (ReflectiveOperationException e) {
            throw new JsonException("cannot make a " + constructor.getDeclaringClass().getName(), e);
        }
    }

    // What a property is read with: dates are seconds in the events of AWS's own library.
    static Decoder decoder(Property property) {
        boolean seconds = property.type() == Date.class && EventNames.isEvent(property.owner());
        return seconds ? Scalar.ofSeconds(Date.class) : Decoders.of(property.type());
    }

    @Override
    Object read(JsonReader in) {
        if (in.peek() != '{') {
            return unwrapped(this, in);
        }
        if (properties == null) {
            properties = Properties.written(type);
        }
        Object made = made(constructor);
        for (boolean any = in.enter('{', '}'); any; any = in.more('}')) {
            Property property = properties.get(in.name());
            if (property == null) {
                in.skip();
            } else {
                set(made, property, decoder(property).next(in));
            }
        }
        return made;
    }

    private static void set(Object object, Property property, Object value) {
        try {
            MethodHandle setter = property.access();
            setter.invokeExact(object, value);
        } catch (JsonException e) {
            throw e;
        } catch (Throwable e) {
            throw new JsonException("cannot set " + property.name() + " of " + property.owner().getName(), e);
        }
    }

    // An array of one object is that object; an empty one is nothing, and so is an empty string.
    static Object unwrapped(Decoder wanted, JsonReader in) {
        if (in.literal("\"\"")) {
            return null;
        } else if (in.peek() != '[') {
            throw in.fault("an object");
        } else if (!in.enter('[', ']')) {
            return null;
        }
        Object value = wanted.next(in);
        if (in.more(']')) {
            throw new JsonException("an array of several values cannot be read as one object");
        }
        return value;
    }
}
