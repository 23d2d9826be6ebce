// The properties of a class by the rules of JavaBeans, as Lambda's runtime looks for them: public
// getters and public fields are written; setters of any visibility and public fields are read into.
package microfaas.json;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.AccessibleObject;
import java.lang.reflect.Field;
import java.lang.reflect.Member;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

final class Properties {
    private static final MethodHandles.Lookup LOOKUP = MethodHandles.lookup();
    private static final MethodType GETS = MethodType.methodType(Object.class, Object.class);
    private static final MethodType SETS = MethodType.methodType(void.class, Object.class, Object.class);

    // A property, its Java type, and how it is got or set.
    record Property(String name, Type type, Class<?> owner, MethodHandle access) {}

    private Properties() {}

    // By their names in JSON.
    static Map<String, Property> written(Type type) {
        Map<String, Property> found = new HashMap<>();
        for (Class<?> level = Types.raw(type); level != null && level != Object.class; level = level.getSuperclass()) {
            Type owner = Types.as(type, level);
            for (Method method : level.getDeclaredMethods()) {
                if (isSetter(method)) {
                    add(found, method, property(method.getName(), 3), method.getGenericParameterTypes()[0], owner);
                }
            }
        }
        for (Field field : Types.raw(type).getFields()) {
            if (!Modifier.isStatic(field.getModifiers())) {
                Type owner = Types.as(type, field.getDeclaringClass());
                add(found, field, field.getName(), field.getGenericType(), owner);
            }
        }
        return found;
    }

    private static boolean isSetter(Method method) {
        return method.getName().startsWith("set") && method.getName().length() > 3
                && method.getParameterCount() == 1
                && !method.isBridge() && !Modifier.isStatic(method.getModifiers());
    }

    // The first one found counts, except that the type of the getter decides between overloads.
    private static void add(Map<String, Property> found, Member member, String name, Type type, Type owner) {
        Class<?> holder = member.getDeclaringClass();
        Property other = found.get(EventNames.inJson(holder, name));
        if (other == null || member instanceof Method && other.owner() == holder && isGot(member, type)) {
            String inJson = EventNames.inJson(holder, name);
            found.put(inJson, new Property(inJson, Types.resolve(type, owner), holder, setter(member)));
        }
    }

    private static boolean isGot(Member setter, Type type) {
        try {
            String getter = "get" + setter.getName().substring(3);
            return setter.getDeclaringClass().getMethod(getter).getGenericReturnType().equals(type);
        } catch (NoSuchMethodException e) {
            return false;
        }
    }

    // In the order of the fields behind them, those of superclasses first; then the others.
    static List<Property> got(Class<?> type) {
        Map<String, Member> members = new LinkedHashMap<>();
        place(type, members);
        for (Field field : type.getFields()) {
            if (!Modifier.isStatic(field.getModifiers())) {
                members.put(field.getName(), field);
            }
        }
        for (Method method : type.getMethods()) {
            String name = gotBy(method);
            if (name != null && !(members.get(name) instanceof Method)) {
                members.put(name, method);
            }
        }
        List<Property> found = new ArrayList<>();
        members.forEach((name, member) -> {
            if (member != null) {
                found.add(gettable(name, member));
            }
        });
        return found;
    }

    private static void place(Class<?> type, Map<String, Member> members) {
        if (type.getSuperclass() != null) {
            place(type.getSuperclass(), members);
        }
        for (Field field : type.getDeclaredFields()) {
            members.putIfAbsent(field.getName(), null);
        }
    }

    private static Property gettable(String name, Member member) {
        Class<?> owner = member.getDeclaringClass();
        Type type = member instanceof Method method ? method.getReturnType() : ((Field) member).getType();
        return new Property(EventNames.inJson(owner, name), type, owner, getter(member));
    }

    // The property that a method gets; null when it gets none.
    private static String gotBy(Method method) {
        String name = method.getName();
        Class<?> type = method.getReturnType();
        if (method.getParameterCount() > 0 || Modifier.isStatic(method.getModifiers())
                || method.isBridge() || type == void.class || method.getDeclaringClass() == Object.class) {
            return null;
        } else if (name.startsWith("get") && name.length() > 3) {
            return property(name, 3);
        }
        boolean asks = name.startsWith("is") && name.length() > 2 && (type == boolean.class || type == Boolean.class);
        return asks ? property(name, 2) : null;
    }

    // The name behind `get`: URL remains, Name becomes name.
    private static String property(String method, int prefix) {
        String name = method.substring(prefix);
        if (name.length() > 1 && Character.isUpperCase(name.charAt(1)) && Character.isUpperCase(name.charAt(0))) {
            return name;
        }
        return Character.toLowerCase(name.charAt(0)) + name.substring(1);
    }

    private static MethodHandle setter(Member member) {
        try {
            open(member);
            MethodHandle handle = member instanceof Method method
                    ? LOOKUP.unreflect(method)
                    : LOOKUP.unreflectSetter((Field) member);
            return handle.asType(SETS);
        } catch (IllegalAccessException | RuntimeException e) {
            throw new JsonException("cannot set " + member, e);
        }
    }

    static MethodHandle getter(Member member) {
        try {
            open(member);
            MethodHandle handle = member instanceof Method method
                    ? LOOKUP.unreflect(method)
                    : LOOKUP.unreflectGetter((Field) member);
            return handle.asType(GETS);
        } catch (IllegalAccessException | RuntimeException e) {
            throw new JsonException("cannot get " + member, e);
        }
    }

    private static void open(Member member) {
        ((AccessibleObject) member).setAccessible(true);
    }
}
