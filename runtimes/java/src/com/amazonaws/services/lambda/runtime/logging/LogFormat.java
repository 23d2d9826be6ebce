// What lines of the log look like.
package com.amazonaws.services.lambda.runtime.logging;

public enum LogFormat {
    TEXT,
    JSON;

    // The format of that name, in any case; TEXT when there is none.
    public static LogFormat fromString(String name) {
        return "JSON".equalsIgnoreCase(name) ? JSON : TEXT;
    }
}
