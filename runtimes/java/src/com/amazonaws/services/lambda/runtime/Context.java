// What a handler may ask about the invocation it works on. These interfaces have the names and
// methods that functions are compiled against; as on Lambda, a function's own copy of them gives way.
package com.amazonaws.services.lambda.runtime;

public interface Context {
    String getAwsRequestId();

    String getLogGroupName();

    String getLogStreamName();

    String getFunctionName();

    String getFunctionVersion();

    String getInvokedFunctionArn();

    CognitoIdentity getIdentity();

    ClientContext getClientContext();

    int getRemainingTimeInMillis();

    int getMemoryLimitInMB();

    LambdaLogger getLogger();

    // Newer than the others: functions with a context of their own, as in their tests, lack these.
    default String getTenantId() {
        return null;
    }

    default String getXrayTraceId() {
        return null;
    }
}
