// Generic types: what a class's superclasses and members are once its own parameters are known.
package microfaas.json;

import java.lang.reflect.GenericArrayType;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.lang.reflect.WildcardType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

public final class Types {
    private Types() {}

    public static Class<?> raw(Type type) {
        if (type instanceof Class<?> plain) {
            return plain;
        } else if (type instanceof ParameterizedType generic) {
            return (Class<?>) generic.getRawType();
        } else if (type instanceof GenericArrayType array) {
            return raw(array.getGenericComponentType()).arrayType();
        }
        return raw(bound(type));
    }

    private static Type bound(Type type) {
        return type instanceof WildcardType wildcard
                ? wildcard.getUpperBounds()[0]
                : ((TypeVariable<?>) type).getBounds()[0];
    }

    // A type's superclass or interface `wanted` with its parameters; null when it has none such.
    public static Type as(Type type, Class<?> wanted) {
        Class<?> raw = raw(type);
        if (raw == wanted) {
            return type;
        }
        for (Type above : above(raw)) {
            if (wanted.isAssignableFrom(raw(above))) {
                return as(resolve(above, type), wanted);
            }
        }
        return null;
    }

    private static List<Type> above(Class<?> raw) {
        List<Type> above = new ArrayList<>();
        if (raw.getGenericSuperclass() != null) {
            above.add(raw.getGenericSuperclass());
        }
        above.addAll(Arrays.asList(raw.getGenericInterfaces()));
        return above;
    }

    // The parameter of that number; what bounds it, or Object, when it was left open.
    public static Type parameter(Type type, Class<?> wanted, int number) {
        if (as(type, wanted) instanceof ParameterizedType generic) {
            Type parameter = generic.getActualTypeArguments()[number];
            return parameter instanceof WildcardType ? bound(parameter) : parameter;
        }
        return Object.class;
    }

    // What `member`, as the class of `owner` writes it, is in `owner`.
    static Type resolve(Type member, Type owner) {
        if (member instanceof TypeVariable<?> variable) {
            return resolved(variable, owner);
        } else if (member instanceof ParameterizedType generic) {
            List<Type> resolved = new ArrayList<>();
            for (Type argument : generic.getActualTypeArguments()) {
                resolved.add(resolve(argument, owner));
            }
            return new Parameterized((Class<?>) generic.getRawType(), resolved);
        } else if (member instanceof GenericArrayType array) {
            return new ArrayOf(resolve(array.getGenericComponentType(), owner));
        }
        return member instanceof WildcardType ? resolve(bound(member), owner) : member;
    }

    private static Type resolved(TypeVariable<?> variable, Type owner) {
        if (owner instanceof ParameterizedType generic) {
            int place = Arrays.asList(raw(owner).getTypeParameters()).indexOf(variable);
            if (place >= 0) {
                return generic.getActualTypeArguments()[place];
            }
        }
        return variable;
    }

    private record Parameterized(Class<?> raw, List<Type> arguments) implements ParameterizedType {
        @Override
        public Type[] getActualTypeArguments() {
            return arguments.toArray(new Type[0]);
        }

        @Override
        public Type getRawType() {
            return raw;
        }

        @Override
        public Type getOwnerType() {
            return raw.getDeclaringClass();
        }

        // What a record has by itself takes long to make, and these are keys.
        @Override
        public boolean equals(Object other) {
            return other instanceof Parameterized one && raw == one.raw && arguments.equals(one.arguments);
        }

        @Override
        public int hashCode() {
            return raw.hashCode() * 31 + arguments.hashCode();
        }
    }

    private record ArrayOf(Type component) implements GenericArrayType {
        @Override
        public Type getGenericComponentType() {
            return component;
        }
    }
}
