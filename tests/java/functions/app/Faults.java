// Ways to fail.
package app;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

public class Faults implements RequestHandler<Map<String, Object>, Object> {
    private static int calls;

    @Override
    public Object handleRequest(Map<String, Object> event, Context context) {
        calls++;
        return switch ((String) event.get("how")) {
            case "caused" -> throw new IllegalStateException("outer", new IOException("inner"));
            case "wordless" -> throw new NullPointerException();
            case "deep" -> deep(0);
            case "memory" -> memory();
            case "getter" -> new Refusing();
            case "endless" -> endless();
            case "interrupted" -> interrupt();
            case "thread" -> thread();
            default -> Map.of("calls", calls, "interrupted", Thread.currentThread().isInterrupted());
        };
    }

    public Object checked(Map<String, Object> event) throws IOException {
        throw new IOException("checked");
    }

    private static int deep(int level) {
        return deep(level + 1) + 1;
    }

    private static Object memory() {
        List<byte[]> held = new ArrayList<>();
        while (true) {
            held.add(new byte[1 << 20]);
        }
    }

    private static Object endless() {
        Map<String, Object> map = new HashMap<>();
        map.put("self", map);
        return map;
    }

    private static Object interrupt() {
        Thread.currentThread().interrupt();
        return null;
    }

    private static Object thread() {
        Thread thread = new Thread(() -> {
            throw new IllegalStateException("in a thread");
        });
        thread.start();
        try {
            thread.join();
        } catch (InterruptedException e) {
            return "interrupted";
        }
        return "ended";
    }

    public static class Refusing {
        public String getName() {
            throw new IllegalStateException("no name");
        }
    }

    public static class Constructor implements RequestHandler<Object, Object> {
        public Constructor() {
            throw new IllegalArgumentException("not today");
        }

        @Override
        public Object handleRequest(Object event, Context context) {
            return event;
        }
    }

    public static class Static {
        private static final int NUMBER = Integer.parseInt("x");

        public int number(Object event) {
            return NUMBER;
        }
    }

    public class Inner {
        public Object handle(Object event) {
            return event;
        }
    }

    public static class Closed {
        private Closed() {}

        public Object handle(Object event) {
            return event;
        }
    }

    @SuppressWarnings("rawtypes")
    public static class Raw implements RequestHandler {
        @Override
        public Object handleRequest(Object event, Context context) {
            return event;
        }
    }
}
