// Where code without a context, such as an appender of Log4j, finds the logger.
package com.amazonaws.services.lambda.runtime;

import microfaas.Log;

public final class LambdaRuntime {
    private LambdaRuntime() {}

    public static LambdaLogger getLogger() {
        return Log.LOGGER;
    }
}
