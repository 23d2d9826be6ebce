// Exceptions as the log and the caller get to see them.
package microfaas;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import microfaas.json.Json;

final class Errors {
    private static final String[] OURS = {"microfaas."};
    private static final String[] BETWEEN = {"jdk.internal.reflect.", "java.lang.reflect.", "java.lang.invoke."};

    private Errors() {}

    static String type(Throwable error) {
        return error instanceof LoadingFailed failed ? failed.type() : error.getClass().getName();
    }

    private static String message(Throwable error) {
        String message = error.getLocalizedMessage();
        return message == null ? error.getClass().getName() : message;
    }

    // A failure to load has no stack of its own.
    static String json(Throwable error) {
        if (error instanceof LoadingFailed failed) {
            Map<String, Object> fields = new LinkedHashMap<>();
            fields.put("errorMessage", failed.getMessage());
            fields.put("errorType", failed.type());
            return Json.text(fields);
        }
        return Json.text(fields(error, seen()));
    }

    private static Set<Throwable> seen() {
        return Collections.newSetFromMap(new IdentityHashMap<>());
    }

    private static Map<String, Object> fields(Throwable error, Set<Throwable> seen) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("errorMessage", message(error));
        fields.put("errorType", type(error));
        fields.put("stackTrace", Arrays.stream(error.getStackTrace()).map(StackTraceElement::toString).toList());
        if (seen.add(error) && error.getCause() != null && !seen.contains(error.getCause())) {
            fields.put("cause", fields(error.getCause(), seen));
        }
        return fields;
    }

    static String text(Throwable error) {
        Throwable shown = error instanceof LoadingFailed ? error.getCause() : error;
        if (shown == null) {
            return message(error);
        }
        StringWriter trace = new StringWriter();
        shown.printStackTrace(new PrintWriter(trace));
        return message(error) + ": " + type(error) + "\n" + trace;
    }

    // Cuts off what called the function: this host, and reflection between the two.
    static void trim(Throwable error) {
        trim(error, seen());
    }

    private static void trim(Throwable error, Set<Throwable> seen) {
        if (error == null || !seen.add(error)) {
            return;
        }
        StackTraceElement[] trace = error.getStackTrace();
        int end = 0;
        while (end < trace.length && !isOf(OURS, trace[end])) {
            end++;
        }
        while (end < trace.length && end > 0 && isOf(BETWEEN, trace[end - 1])) {
            end--;
        }
        error.setStackTrace(Arrays.copyOf(trace, end));
        trim(error.getCause(), seen);
        for (Throwable suppressed : error.getSuppressed()) {
            trim(suppressed, seen);
        }
    }

    private static boolean isOf(String[] prefixes, StackTraceElement frame) {
        return Arrays.stream(prefixes).anyMatch(frame.getClassName()::startsWith);
    }
}
