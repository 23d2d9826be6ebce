// The function's log: standard output and standard error, and the logger that functions are given.
package microfaas;

import com.amazonaws.services.lambda.runtime.LambdaLogger;
import com.amazonaws.services.lambda.runtime.logging.LogFormat;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.Map;
import microfaas.json.Json;

public final class Log implements LambdaLogger {
    public static final Log LOGGER = new Log();

    private LogFormat format = LogFormat.TEXT;
    private LogLevel least = LogLevel.UNDEFINED;
    private String requestId = "";

    private Log() {}

    // Nothing is held back: what was printed is in the log before the reply, even after an exit.
    static void install() {
        System.setOut(unbuffered(FileDescriptor.out));
        System.setErr(unbuffered(FileDescriptor.err));
    }

    private static PrintStream unbuffered(FileDescriptor descriptor) {
        return new PrintStream(new FileOutputStream(descriptor), false, StandardCharsets.UTF_8);
    }

    void configure(String format, String least) {
        this.format = LogFormat.fromString(format);
        this.least = LogLevel.fromString(least);
    }

    void begin(String requestId) {
        this.requestId = requestId;
    }

    @Override
    public void log(String message) {
        log(message, LogLevel.UNDEFINED);
    }

    @Override
    public void log(byte[] message) {
        log(message, LogLevel.UNDEFINED);
    }

    @Override
    public void log(byte[] message, LogLevel level) {
        log(message == null ? null : new String(message, StandardCharsets.UTF_8), level);
    }

    // Each call is a line of its own, as each is an event of its own on Lambda.
    @Override
    public void log(String message, LogLevel level) {
        if (level != LogLevel.UNDEFINED && level.compareTo(least) < 0) {
            return;
        }
        String line = format == LogFormat.JSON ? json(message, level) : text(message, level);
        byte[] bytes = line.getBytes(StandardCharsets.UTF_8);
        System.out.write(bytes, 0, bytes.length);
    }

    private static String text(String message, LogLevel level) {
        String line = level == LogLevel.UNDEFINED ? "" + message : "[" + level + "] " + message;
        return line.endsWith("\n") ? line : line + "\n";
    }

    private String json(String message, LogLevel level) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("timestamp", Instant.now().truncatedTo(ChronoUnit.MILLIS).toString());
        fields.put("level", level.name());
        fields.put("message", message);
        fields.put("AWSRequestId", requestId);
        return Json.text(fields) + "\n";
    }
}
