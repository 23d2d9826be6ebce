// Goes the whole way of an invocation with a function of the host's own, before anybody waits:
// classes are loaded then, and what is run often is compiled.
package microfaas;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.util.Map;

final class WarmUp {
    private static final int ROUNDS = 10;
    private static final String HANDLER = "microfaas.warm.Sample";
    private static final byte[] EVENT = """
            {"name": "warm \\u00fc", "count": 3, "ratio": 0.5, "on": true, "nothing": null,
             "tags": ["a", "b"], "headers": {"x": "y"}, "body": {"k": [1, 2.5, {"z": "ß"}]},
             "records": [{"id": "1", "at": "2020-01-02T03:04:05Z", "data": "aGVsbG8="}]}
            """.getBytes(StandardCharsets.UTF_8);

    private WarmUp() {}

    static void run() {
        try {
            Environment.put(Map.of());
            ClassLoader loader = Code.open(place(), "");
            Function[] functions = {
                Handlers.find(HANDLER, loader),
                Handlers.find(HANDLER + "::twice", loader),
                Handlers.find(HANDLER + "::raw", loader),
            };
            for (int i = 0; i < ROUNDS; i++) {
                for (Function function : functions) {
                    call(function);
                }
            }
            fail(functions[0]);
            readJar();
        } catch (Throwable e) {
            // A cold host works as well, only later.
            System.err.println("the host could not warm up: " + e);
        }
    }

    private static String place() {
        return new File(WarmUp.class.getProtectionDomain().getCodeSource().getLocation().getPath()).getPath();
    }

    private static void call(Function function) throws Throwable {
        Msgpack.Writer writer = new Msgpack.Writer();
        writer.start(0, 5);
        writer.field("kind", "invoke").field("id", "0").field("event", EVENT, EVENT.length);
        writer.field("deadline_ms", Long.MAX_VALUE).field("arn", "arn:");
        Invocation invocation = new Invocation(new Msgpack.Reader(writer.data(), 0).message());
        ByteArrayOutputStream output = new ByteArrayOutputStream();
        function.call(invocation.event(), output, invocation);
        writer.start(0, 2);
        writer.field("kind", "result").field("payload", output.toByteArray(), output.size());
    }

    private static void fail(Function function) {
        try {
            function.call("[".getBytes(StandardCharsets.US_ASCII), new ByteArrayOutputStream(), null);
        } catch (Throwable e) {
            Errors.trim(e);
            Errors.json(e);
            Errors.text(e);
        }
    }

    // The JDK comes with one jar; functions mostly are jars.
    private static void readJar() throws IOException {
        File jar = new File(System.getProperty("java.home"), "lib/jrt-fs.jar");
        if (!jar.isFile()) {
            return;
        }
        try (URLClassLoader loader = new URLClassLoader(new URL[] {jar.toURI().toURL()}, null);
                InputStream manifest = loader.getResourceAsStream("META-INF/MANIFEST.MF")) {
            manifest.readAllBytes();
        }
    }
}
