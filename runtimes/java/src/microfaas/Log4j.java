// Tells Lambda's appender for Log4j which request runs, for its pattern %X{AWSRequestId}.
package microfaas;

final class Log4j {
    private static final String KEY = "AWSRequestId";

    private Log4j() {}

    static void tell(ClassLoader loader, String id) {
        try {
            loader.loadClass("org.apache.logging.log4j.ThreadContext")
                    .getMethod("put", String.class, String.class)
                    .invoke(null, KEY, id);
        } catch (ReflectiveOperationException e) {
            System.err.println("the log's lines have no request id: " + e);
        }
    }
}
