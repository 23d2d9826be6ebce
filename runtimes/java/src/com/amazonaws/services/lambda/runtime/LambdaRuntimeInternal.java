// How Lambda's appender for Log4j says that it is there and wants each request's id.
package com.amazonaws.services.lambda.runtime;

public final class LambdaRuntimeInternal {
    private static volatile boolean log4jAppender;

    private LambdaRuntimeInternal() {}

    public static void setUseLog4jAppender(boolean used) {
        log4jAppender = used;
    }

    public static boolean getUseLog4jAppender() {
        return log4jAppender;
    }
}
