// A function that cannot be loaded, in the words of Lambda's own runtime.
package microfaas;

final class LoadingFailed extends Exception {
    private static final long serialVersionUID = 1;
    // What Lambda calls code that is at fault without an exception of its own.
    private static final String BAD_CODE = "Runtime.BadFunctionCode";

    private final String type;

    LoadingFailed(String message) {
        this(message, null);
    }

    LoadingFailed(String message, Throwable cause) {
        super(message, cause);
        this.type = cause == null ? BAD_CODE : cause.getClass().getName();
    }

    String type() {
        return type;
    }
}
