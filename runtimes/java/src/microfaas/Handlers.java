// Finds a function's handler: a class that implements one of the two interfaces, or a method of any
// class, which then is called by what its parameters are.
package microfaas;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import microfaas.json.Types;

final class Handlers {
    // The longest first, a context counting double, and what the compiler has added last.
    private static final Comparator<Method> BEST_FIRST = Comparator
            .comparing(Method::isBridge)
            .thenComparing(method -> -method.getParameterCount() - (endsWithContext(method) ? 1 : 0));

    private Handlers() {}

    static Function find(String handler, ClassLoader loader) throws LoadingFailed {
        int colons = handler.lastIndexOf("::");
        String className = colons < 0 ? handler : handler.substring(0, colons);
        String method = colons < 0 ? null : handler.substring(colons + 2);
        if (className.isEmpty() || method != null && method.isEmpty()) {
            throw new LoadingFailed("Invalid handler: `" + handler + "'");
        }
        Class<?> type = load(className, loader);
        Payloads payloads = Payloads.of(loader);
        return method == null ? ofInterface(type, payloads) : ofMethod(type, method, payloads);
    }

    private static Class<?> load(String name, ClassLoader loader) throws LoadingFailed {
        try {
            return Class.forName(name, true, loader);
        } catch (ClassNotFoundException e) {
            throw new LoadingFailed("Class not found: " + name, e);
        } catch (Throwable e) {
            String why = e.getMessage() == null ? "" : ": " + e.getMessage();
            throw new LoadingFailed("Error loading class " + name + why, e);
        }
    }

    private static Function ofInterface(Class<?> type, Payloads payloads) throws LoadingFailed {
        if (RequestStreamHandler.class.isAssignableFrom(type)) {
            RequestStreamHandler handler = (RequestStreamHandler) made(type);
            return (event, output, context) ->
                    handler.handleRequest(new ByteArrayInputStream(event), output, context);
        } else if (RequestHandler.class.isAssignableFrom(type)) {
            return ofRequestHandler(type, payloads);
        }
        throw new LoadingFailed("Class does not implement an appropriate handler interface: " + type.getName());
    }

    private static Function ofRequestHandler(Class<?> type, Payloads payloads) throws LoadingFailed {
        Type input = known(type, 0);
        Type result = known(type, 1);
        @SuppressWarnings("unchecked") // What its declaration says is what is made for it.
        RequestHandler<Object, Object> handler = (RequestHandler<Object, Object>) made(type);
        return (event, output, context) -> {
            Object value = handler.handleRequest(payloads.read(event, input), context);
            payloads.write(value, result, output);
        };
    }

    private static Type known(Class<?> type, int number) throws LoadingFailed {
        Type as = Types.as(type, RequestHandler.class);
        boolean open = as instanceof Class<?>;
        Type parameter = Types.parameter(type, RequestHandler.class, number);
        if (open || parameter instanceof TypeVariable<?> variable && variable.getBounds()[0] == Object.class) {
            throw new LoadingFailed("Class " + type.getName()
                    + " does not implement RequestHandler with concrete type parameters");
        }
        return parameter;
    }

    private static Object made(Class<?> type) throws LoadingFailed {
        try {
            Constructor<?> constructor = type.getConstructor();
            constructor.setAccessible(true);
            return constructor.newInstance();
        } catch (NoSuchMethodException e) {
            boolean inner = type.getEnclosingClass() != null && !Modifier.isStatic(type.getModifiers());
            throw new LoadingFailed("Class " + type.getName() + (inner
                    ? " cannot be instantiated because it is a non-static inner class"
                    : " has no public zero-argument constructor"));
        } catch (InvocationTargetException e) {
            Throwable cause = Objects.requireNonNullElse(e.getCause(), e);
            throw new LoadingFailed(
                    Objects.requireNonNullElse(cause.getLocalizedMessage(), cause.getClass().getName()), cause);
        } catch (ReflectiveOperationException | RuntimeException e) {
            throw new LoadingFailed("" + e.getMessage(), e);
        }
    }

    private static Function ofMethod(Class<?> type, String name, Payloads payloads) throws LoadingFailed {
        for (Method method : overloads(type, name)) {
            if (!isCallable(method)) {
                continue;
            }
            method.setAccessible(true);
            Object object = Modifier.isStatic(method.getModifiers()) ? null : made(type);
            boolean streams = Arrays.stream(method.getParameterTypes()).anyMatch(Handlers::isStream);
            return streams ? ofStreams(method, object) : ofObjects(method, object, payloads);
        }
        throw new LoadingFailed("No public method named " + name
                + " with appropriate method signature found on class " + type.getName());
    }

    private static List<Method> overloads(Class<?> type, String name) throws LoadingFailed {
        try {
            return Arrays.stream(type.getMethods())
                    .filter(method -> method.getName().equals(name))
                    .sorted(BEST_FIRST)
                    .toList();
        } catch (NoClassDefFoundError e) {
            throw new LoadingFailed("Error loading method " + name + " on class " + type.getName(), e);
        }
    }

    private static boolean endsWithContext(Method method) {
        int count = method.getParameterCount();
        return count > 0 && method.getParameterTypes()[count - 1] == Context.class;
    }

    private static boolean isStream(Class<?> parameter) {
        return parameter == InputStream.class || parameter == OutputStream.class;
    }

    // An object or nothing, or an input and an output stream or one of them; then perhaps a context.
    private static boolean isCallable(Method method) {
        List<Class<?>> given = Arrays.asList(method.getParameterTypes());
        List<Class<?>> rest = given.subList(0, given.size() - (endsWithContext(method) ? 1 : 0));
        if (rest.contains(Context.class)) {
            return false;
        }
        return rest.size() < 2 || rest.equals(List.of(InputStream.class, OutputStream.class));
    }

    private static Function ofStreams(Method method, Object object) {
        Class<?>[] types = method.getParameterTypes();
        return (event, output, context) -> {
            Object[] arguments = new Object[types.length];
            for (int i = 0; i < types.length; i++) {
                arguments[i] = types[i] == InputStream.class ? new ByteArrayInputStream(event)
                        : types[i] == OutputStream.class ? output : context;
            }
            invoke(method, object, arguments);
        };
    }

    private static Function ofObjects(Method method, Object object, Payloads payloads) {
        Type[] types = method.getGenericParameterTypes();
        Type result = method.getGenericReturnType();
        return (event, output, context) -> {
            Object[] arguments = new Object[types.length];
            for (int i = 0; i < types.length; i++) {
                arguments[i] = types[i] == Context.class ? context : payloads.read(event, types[i]);
            }
            payloads.write(invoke(method, object, arguments), result, output);
        };
    }

    private static Object invoke(Method method, Object object, Object[] arguments) throws Throwable {
        try {
            return method.invoke(object, arguments);
        } catch (InvocationTargetException e) {
            throw Objects.requireNonNullElse(e.getCause(), e);
        }
    }
}
