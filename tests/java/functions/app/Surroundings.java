// What a function finds round itself.
package app;

import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaLogger;
import com.amazonaws.services.lambda.runtime.LambdaRuntime;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.util.Map;

public class Surroundings implements RequestHandler<Map<String, Object>, Object> {
    @Override
    public Object handleRequest(Map<String, Object> event, Context context) {
        try {
            return switch ((String) event.get("what")) {
                case "context" -> describe(context);
                case "environment" -> System.getenv();
                case "child" -> run((String) event.get("script"));
                case "inherit" -> new ProcessBuilder("/bin/sh", "-c", "echo $COLOUR").inheritIO().start().waitFor();
                case "log" -> log(context.getLogger());
                case "print" -> print();
                case "buffer" -> buffer();
                case "exit" -> exit((int) event.get("status"));
                case "host" -> Class.forName("microfaas.Host").getName();
                case "resource" -> resource();
                default -> System.getProperty((String) event.get("what"));
            };
        } catch (IOException | InterruptedException | ClassNotFoundException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Object describe(Context context) {
        ClientContext client = context.getClientContext();
        return Map.of(
                "id", context.getAwsRequestId(),
                "function", context.getFunctionName() + ":" + context.getFunctionVersion(),
                "arn", context.getInvokedFunctionArn(),
                "memory", context.getMemoryLimitInMB(),
                "log", context.getLogGroupName() + " " + context.getLogStreamName(),
                "remaining", context.getRemainingTimeInMillis(),
                "client", client == null ? "none" : client.getClient().getAppTitle(),
                "custom", client == null ? "none" : client.getCustom(),
                "trace", String.valueOf(System.getProperty("com.amazonaws.xray.traceHeader")),
                "same logger", context.getLogger() == LambdaRuntime.getLogger());
    }

    private static String run(String script) throws IOException {
        Process shell = new ProcessBuilder("/bin/sh", "-c", script).start();
        return new String(shell.getInputStream().readAllBytes());
    }

    private static Object log(LambdaLogger logger) {
        logger.log("without an end");
        logger.log("with an end\n");
        logger.log("as bytes ä".getBytes(java.nio.charset.StandardCharsets.UTF_8));
        logger.log("grave", LogLevel.ERROR);
        logger.log("fine", LogLevel.DEBUG);
        return null;
    }

    private static Object print() {
        System.out.print("half a line, ");
        System.out.printf("%s %d", "formatted", 1);
        System.err.print("\nerrors ü");
        return null;
    }

    private static Object buffer() {
        System.setOut(new PrintStream(new BufferedOutputStream(new FileOutputStream(FileDescriptor.out))));
        System.out.print("held back");
        return null;
    }

    private static Object exit(int status) {
        System.out.print("the last words");
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.print(" and a hook's")));
        System.exit(status);
        return null;
    }

    private static Object resource() throws IOException {
        ClassLoader loader = Thread.currentThread().getContextClassLoader();
        try (InputStream found = loader.getResourceAsStream("data/words.txt")) {
            return new String(found.readAllBytes());
        }
    }
}
