// A handler whose types are its subclasses' business.
package app;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.Map;

public abstract class EnvelopeHandler<T> implements RequestHandler<EnvelopeHandler.Envelope<T>, Map<String, Object>> {
    public static class Envelope<B> {
        private B body;

        public B getBody() {
            return body;
        }

        public void setBody(B body) {
            this.body = body;
        }
    }

    @Override
    public Map<String, Object> handleRequest(Envelope<T> event, Context context) {
        return Map.of("seen", event.getBody(), "class", event.getBody().getClass().getSimpleName());
    }
}
