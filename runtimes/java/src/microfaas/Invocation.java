// The context of one invocation, as handlers see it.
package microfaas;

import com.amazonaws.services.lambda.runtime.Client;
import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.CognitoIdentity;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaLogger;
import java.util.LinkedHashMap;
import java.util.Map;
import microfaas.json.Json;

final class Invocation implements Context {
    private final Map<String, Object> request;
    private final ClientContext client;

    Invocation(Map<String, Object> request) {
        this.request = request;
        Object sent = request.get("client_context");
        client = sent == null ? null : new SentContext((Map<?, ?>) Json.parse((byte[]) sent));
    }

    String id() {
        return (String) request.get("id");
    }

    byte[] event() {
        return (byte[]) request.get("event");
    }

    @Override
    public String getAwsRequestId() {
        return id();
    }

    @Override
    public String getLogGroupName() {
        return System.getenv("AWS_LAMBDA_LOG_GROUP_NAME");
    }

    @Override
    public String getLogStreamName() {
        return System.getenv("AWS_LAMBDA_LOG_STREAM_NAME");
    }

    @Override
    public String getFunctionName() {
        return System.getenv("AWS_LAMBDA_FUNCTION_NAME");
    }

    @Override
    public String getFunctionVersion() {
        return System.getenv("AWS_LAMBDA_FUNCTION_VERSION");
    }

    @Override
    public String getInvokedFunctionArn() {
        return (String) request.get("arn");
    }

    // Nobody comes here through Cognito.
    @Override
    public CognitoIdentity getIdentity() {
        return null;
    }

    @Override
    public ClientContext getClientContext() {
        return client;
    }

    @Override
    public int getRemainingTimeInMillis() {
        long remaining = (long) request.get("deadline_ms") - System.currentTimeMillis();
        return (int) Math.max(Integer.MIN_VALUE, Math.min(Integer.MAX_VALUE, remaining));
    }

    @Override
    public int getMemoryLimitInMB() {
        return Integer.parseInt(System.getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"));
    }

    @Override
    public LambdaLogger getLogger() {
        return Log.LOGGER;
    }

    @Override
    public String getXrayTraceId() {
        return (String) request.get("trace_id");
    }

    private record SentContext(Map<?, ?> sent) implements ClientContext {
        @Override
        public Client getClient() {
            return sent.get("client") instanceof Map<?, ?> client ? new SentClient(client) : null;
        }

        @Override
        public Map<String, String> getCustom() {
            return texts(sent.get("custom"));
        }

        @Override
        public Map<String, String> getEnvironment() {
            return texts(sent.get("env"));
        }

        private static Map<String, String> texts(Object sent) {
            if (!(sent instanceof Map<?, ?> map)) {
                return null;
            }
            Map<String, String> texts = new LinkedHashMap<>();
            map.forEach((key, value) -> texts.put((String) key, text(value)));
            return texts;
        }
    }

    private record SentClient(Map<?, ?> sent) implements Client {
        @Override
        public String getInstallationId() {
            return text(sent.get("installation_id"));
        }

        @Override
        public String getAppTitle() {
            return text(sent.get("app_title"));
        }

        @Override
        public String getAppVersionName() {
            return text(sent.get("app_version_name"));
        }

        @Override
        public String getAppVersionCode() {
            return text(sent.get("app_version_code"));
        }

        @Override
        public String getAppPackageName() {
            return text(sent.get("app_package_name"));
        }
    }

    private static String text(Object value) {
        return value == null ? null : value.toString();
    }
}
