// Sets environment variables of this process, which Java has no means for: in the map that
// System.getenv shows, and in the C library's `environ`, which programs inherit that are started.
package microfaas;

import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

final class Environment {
    private Environment() {}

    static void put(Map<String, String> variables) throws ReflectiveOperationException {
        shown().putAll(variables);
        inherit(System.getenv());
    }

    // The map below the unmodifiable one that System.getenv hands out.
    @SuppressWarnings("unchecked")
    private static Map<String, String> shown() throws ReflectiveOperationException {
        Class<?> holder = Class.forName("java.lang.ProcessEnvironment");
        Object guarded = opened(holder, "theUnmodifiableEnvironment").get(null);
        Class<?> guard = Class.forName("java.util.Collections$UnmodifiableMap");
        return (Map<String, String>) opened(guard, "m").get(guarded);
    }

    private static Field opened(Class<?> holder, String name) throws ReflectiveOperationException {
        Field field = holder.getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }

    // Points `environ` to a new block, which is never freed: somebody may still read the old one.
    private static void inherit(Map<String, String> variables) throws ReflectiveOperationException {
        List<byte[]> texts = new ArrayList<>();
        int size = (variables.size() + 1) * Long.BYTES;
        for (Map.Entry<String, String> variable : variables.entrySet()) {
            String text = variable.getKey() + "=" + variable.getValue() + "\0";
            texts.add(text.getBytes(StandardCharsets.UTF_8));
            size += texts.get(texts.size() - 1).length;
        }
        Memory memory = new Memory();
        long block = memory.allocate(size);
        memory.copy(pointersAndTexts(texts, block, size), block);
        memory.putAddress(symbol("environ"), block);
    }

    private static byte[] pointersAndTexts(List<byte[]> texts, long block, int size) {
        ByteBuffer content = ByteBuffer.allocate(size).order(ByteOrder.nativeOrder());
        int at = (texts.size() + 1) * Long.BYTES;
        for (byte[] text : texts) {
            content.putLong(block + at);
            at += text.length;
        }
        content.putLong(0);
        texts.forEach(content::put);
        return content.array();
    }

    // dlsym among what is loaded, by the JDK's own way to it, which was another one before Java 18.
    private static long symbol(String name) throws ReflectiveOperationException {
        long everywhere = 0;
        try {
            Class<?> library = Class.forName("jdk.internal.loader.NativeLibrary");
            Method find = library.getDeclaredMethod("findEntry0", long.class, String.class);
            find.setAccessible(true);
            return (long) find.invoke(null, everywhere, name);
        } catch (NoSuchMethodException e) {
            Class<?> handle = Class.forName("jdk.internal.loader.NativeLibraries$NativeLibraryImpl");
            Class<?> library = Class.forName("jdk.internal.loader.NativeLibraries");
            Method find = library.getDeclaredMethod("findEntry0", handle, String.class);
            find.setAccessible(true);
            return (long) find.invoke(null, new Memory().blank(handle), name);
        }
    }

    // Memory outside the heap. The public class of this kind warns of its end in newer Javas.
    private static final class Memory {
        private final Class<?> type = Class.forName("jdk.internal.misc.Unsafe");
        private final Object unsafe = type.getMethod("getUnsafe").invoke(null);

        Memory() throws ReflectiveOperationException {}

        long allocate(long size) throws ReflectiveOperationException {
            return (long) type.getMethod("allocateMemory", long.class).invoke(unsafe, size);
        }

        void putAddress(long at, long value) throws ReflectiveOperationException {
            type.getMethod("putAddress", long.class, long.class).invoke(unsafe, at, value);
        }

        // An object whose constructor has not run: its fields are zero.
        Object blank(Class<?> made) throws ReflectiveOperationException {
            return type.getMethod("allocateInstance", Class.class).invoke(unsafe, made);
        }

        void copy(byte[] content, long to) throws ReflectiveOperationException {
            Class<?>[] types = {Object.class, long.class, Object.class, long.class, long.class};
            Method copy = type.getMethod("copyMemory", types);
            Object first = type.getMethod("arrayBaseOffset", Class.class).invoke(unsafe, byte[].class);
            copy.invoke(unsafe, content, ((Number) first).longValue(), null, to, content.length);
        }
    }
}
