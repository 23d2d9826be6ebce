// The conformance suite's cases in Java.
package handlers;

import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

public class Cases implements RequestHandler<Map<String, Object>, Object> {
    private static final int PAGE = 4096;
    private static final File SEEN = new File("/tmp/seen");
    private static final String LIST_DESCRIPTORS =
            "for fd in 3 4 5; do [ ! -e /proc/$$/fd/$fd ] || echo $fd; done";

    private static int count;
    private static volatile int ticks;
    private static Thread ticking;

    @Override
    public Object handleRequest(Map<String, Object> event, Context context) {
        try {
            return call((String) event.get("case"), event, context);
        } catch (IOException | InterruptedException | ClassNotFoundException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Object call(String name, Map<String, Object> event, Context context)
            throws IOException, InterruptedException, ClassNotFoundException {
        return switch (name) {
            case "echo" -> withNulls(event.get("value"));
            case "null" -> null;
            case "fail" -> throw new RuntimeException((String) event.get("message"));
            case "exit" -> exit((int) event.get("status"));
            case "sleep" -> sleep(event.get("seconds"));
            case "spin" -> spin();
            case "allocate" -> allocate((int) event.get("mb"));
            case "print" -> print(context);
            case "remaining" -> context.getRemainingTimeInMillis();
            case "context" -> describe(context);
            case "environment" -> System.getenv();
            case "count" -> ++count;
            case "ticks" -> tick();
            case "tmp" -> write(event.get("value"));
            case "cwd" -> Map.of("cwd", System.getProperty("user.dir"), "listed", new File("marker.txt").exists());
            case "child" -> new ProcessBuilder("/bin/echo", "from a child").inheritIO().start().waitFor();
            case "pid" -> Map.of("pid", ProcessHandle.current().pid(), "inherited", inherited());
            default -> throw new IllegalArgumentException(name);
        };
    }

    // Lambda's runtime leaves out what is null in a map, but not what is empty.
    private static Object withNulls(Object value) {
        if (value instanceof Map<?, ?> map) {
            Map<Object, Object> kept = new LinkedHashMap<>();
            map.forEach((key, item) -> kept.put(key, item == null ? Optional.empty() : withNulls(item)));
            return kept;
        } else if (value instanceof List<?> list) {
            List<Object> kept = new ArrayList<>();
            list.forEach(item -> kept.add(withNulls(item)));
            return kept;
        }
        return value;
    }

    private static Object exit(int status) {
        System.exit(status);
        return null;
    }

    private static Object sleep(Object seconds) throws InterruptedException {
        Thread.sleep((long) (((Number) seconds).doubleValue() * 1000));
        return seconds;
    }

    private static Object spin() {
        while (count >= 0) {
            Thread.onSpinWait();
        }
        return null;
    }

    private static Object allocate(int mb) {
        byte[] held = new byte[mb << 20];
        for (int at = 0; at < held.length; at += PAGE) {
            held[at] = 1;
        }
        return mb;
    }

    private static Object print(Context context) {
        System.out.println("to stdout");
        System.err.println("to stderr");
        context.getLogger().log(context.getAwsRequestId() + " to the logger", LogLevel.WARN);
        return null;
    }

    private static Object describe(Context context) {
        ClientContext client = context.getClientContext();
        Map<String, Object> seen = new LinkedHashMap<>();
        seen.put("request_id", context.getAwsRequestId());
        seen.put("function_name", context.getFunctionName());
        seen.put("function_version", context.getFunctionVersion());
        seen.put("invoked_function_arn", context.getInvokedFunctionArn());
        seen.put("memory_limit_in_mb", context.getMemoryLimitInMB());
        seen.put("log_group_name", context.getLogGroupName());
        seen.put("log_stream_name", context.getLogStreamName());
        seen.put("client_context", client == null ? null : client.getCustom());
        seen.put("remaining_is_positive", context.getRemainingTimeInMillis() > 0);
        return withNulls(seen);
    }

    private static Object tick() {
        if (ticking == null) {
            ticking = new Thread(() -> {
                while (true) {
                    pause();
                    ticks++;
                }
            });
            ticking.setDaemon(true);
            ticking.start();
        }
        return ticks;
    }

    private static void pause() {
        try {
            Thread.sleep(10);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Object write(Object value) throws IOException, ClassNotFoundException {
        boolean before = SEEN.exists();
        try (ObjectOutputStream file = new ObjectOutputStream(new FileOutputStream(SEEN))) {
            file.writeObject(value);
        }
        try (ObjectInputStream file = new ObjectInputStream(new FileInputStream(SEEN))) {
            return Map.of("read", file.readObject(), "before", before);
        }
    }

    private static long inherited() throws IOException {
        Process shell = new ProcessBuilder("/bin/sh", "-c", LIST_DESCRIPTORS).start();
        return new String(shell.getInputStream().readAllBytes()).lines().count();
    }
}
