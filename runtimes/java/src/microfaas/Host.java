// Speaks with the supervisor on descriptors 3 and 4, and calls one function's handler.
package microfaas;

import com.amazonaws.services.lambda.runtime.LambdaRuntimeInternal;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;

public final class Host {
    private static final int PROTOCOL = 1;
    private static final int REQUESTS = 3;
    private static final int REPLIES = 4;
    private static final String LAYERS = "/opt";
    // Where X-Ray's library looks.
    private static final String TRACE_PROPERTY = "com.amazonaws.xray.traceHeader";

    private final Frames frames;
    private ClassLoader loader;
    private Function function;
    private Output output = new Output();

    private Host(Frames frames) {
        this.frames = frames;
    }

    public static void main(String[] arguments) throws ReflectiveOperationException {
        Log.install();
        Frames frames = new Frames(REQUESTS, REPLIES);
        WarmUp.run();
        System.exit(new Host(frames).serve());
    }

    // Until the end; the status to exit with.
    private int serve() {
        try {
            frames.reply("ready", 2).field("protocol", PROTOCOL).field("pid", ProcessHandle.current().pid());
            frames.send();
            for (Map<String, Object> message = frames.read(); message != null; message = frames.read()) {
                switch ((String) message.get("kind")) {
                    case "init" -> {
                        if (!load(message)) {
                            return 1;
                        }
                    }
                    case "invoke" -> invoke(message);
                    case "stop" -> {
                        return 0;
                    }
                    default -> throw new IOException("a message of the kind " + message.get("kind"));
                }
            }
            return 0;
        } catch (IOException e) {
            System.err.println("the host cannot speak with the supervisor: " + e.getMessage());
            return 1;
        }
    }

    private boolean load(Map<String, Object> message) throws IOException {
        try {
            take((Map<?, ?>) message.get("env"));
            loader = Code.open(System.getenv("LAMBDA_TASK_ROOT"), LAYERS);
            Thread.currentThread().setContextClassLoader(loader);
            function = Handlers.find((String) message.get("handler"), loader);
        } catch (LoadingFailed | ReflectiveOperationException | IOException e) {
            fail("", e);
            return false;
        }
        flush();
        frames.reply("loaded", 2)
                .field("forkable", false)
                .field("why", "a Java virtual machine has threads and cannot be forked");
        frames.send();
        return true;
    }

    private static void take(Map<?, ?> environment) throws ReflectiveOperationException {
        if (environment != null) {
            @SuppressWarnings("unchecked") // The protocol says so.
            Map<String, String> variables = (Map<String, String>) environment;
            Environment.put(variables);
        }
        Log.LOGGER.configure(System.getenv("AWS_LAMBDA_LOG_FORMAT"), System.getenv("AWS_LAMBDA_LOG_LEVEL"));
    }

    private void invoke(Map<String, Object> message) throws IOException {
        String id = (String) message.get("id");
        output = output.emptied();
        begin(id, (String) message.get("trace_id"));
        try {
            Invocation invocation = new Invocation(message);
            function.call(invocation.event(), output, invocation);
        } catch (Throwable e) {
            fail(id, e);
            return;
        } finally {
            // A handler's interruption is not the next one's.
            Thread.interrupted();
        }
        flush();
        frames.reply("result", 2).field("id", id).field("payload", output.data(), output.size());
        frames.send();
    }

    private void begin(String id, String trace) {
        Log.LOGGER.begin(id);
        if (trace == null) {
            System.clearProperty(TRACE_PROPERTY);
        } else {
            System.setProperty(TRACE_PROPERTY, trace);
        }
        if (LambdaRuntimeInternal.getUseLog4jAppender()) {
            Log4j.tell(loader, id);
        }
    }

    private void fail(String id, Throwable error) throws IOException {
        Errors.trim(error);
        System.err.println(Errors.text(error));
        flush();
        byte[] payload = Errors.json(error).getBytes(StandardCharsets.UTF_8);
        frames.reply("error", 3)
                .field("id", id)
                .field("type", Errors.type(error))
                .field("payload", payload, payload.length);
        frames.send();
    }

    // The function may have put a stream of its own, which holds things back, in their place.
    private static void flush() {
        System.out.flush();
        System.err.flush();
    }

    // A buffer that can be looked into.
    private static final class Output extends ByteArrayOutputStream {
        private static final int KEPT_MAX = 1 << 20;

        byte[] data() {
            return buf;
        }

        // What one large result needed is not kept.
        Output emptied() {
            if (buf.length > KEPT_MAX) {
                return new Output();
            }
            reset();
            return this;
        }
    }
}
