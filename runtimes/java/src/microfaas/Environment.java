// Sets environment variables of this process, which Java has no means for: in the map that
// System.getenv shows, and in the C library's `environ`, which programs inherit that are started.
package microfaas;

import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

final class Environment {
    // Kept from the collector: `environ` points into them, and who has read it before may hold on.
    private static final List<ByteBuffer> BLOCKS = new ArrayList<>();

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

    // Points `environ` to a new block.
    private static void inherit(Map<String, String> variables) throws ReflectiveOperationException {
        List<byte[]> texts = new ArrayList<>();
        int size = (variables.size() + 1) * Long.BYTES;
        for (Map.Entry<String, String> variable : variables.entrySet()) {
            String text = variable.getKey() + "=" + variable.getValue() + "\0";
            texts.add(text.getBytes(StandardCharsets.UTF_8));
            size += texts.get(texts.size() - 1).length;
        }
        ByteBuffer block = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder());
        long address = opened(Buffer.class, "address").getLong(block);
        fill(block, texts, address);
        BLOCKS.add(block);
        memory(symbol("environ")).putLong(0, address);
    }

    private static void fill(ByteBuffer block, List<byte[]> texts, long address) {
        int at = (texts.size() + 1) * Long.BYTES;
        for (byte[] text : texts) {
            block.putLong(address + at);
            at += text.length;
        }
        block.putLong(0);
        texts.forEach(block::put);
    }

    // The eight bytes at an address.
    private static ByteBuffer memory(long address) throws ReflectiveOperationException {
        Class<?> type = Class.forName("java.nio.DirectByteBuffer");
        for (Constructor<?> constructor : type.getDeclaredConstructors()) {
            Class<?>[] parameters = constructor.getParameterTypes();
            if (parameters.length == 2 && parameters[0] == long.class) {
                constructor.setAccessible(true);
                // The size is an int, or a long since Java 21.
                Object size = parameters[1] == int.class ? (Object) Long.BYTES : (Object) (long) Long.BYTES;
                return ((ByteBuffer) constructor.newInstance(address, size)).order(ByteOrder.nativeOrder());
            }
        }
        throw new NoSuchMethodException("a buffer at an address");
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
            Class<?> libraries = Class.forName("jdk.internal.loader.NativeLibraries");
            Method find = libraries.getDeclaredMethod("findEntry0", handle, String.class);
            find.setAccessible(true);
            Constructor<?> make = handle.getDeclaredConstructors()[0];
            make.setAccessible(true);
            // One that has not been opened: its handle is zero, too.
            Object library = make.newInstance(Environment.class, "", false, false);
            return (long) find.invoke(null, library, name);
        }
    }
}
