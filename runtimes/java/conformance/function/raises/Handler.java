// Cannot be loaded.
package raises;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;

public class Handler implements RequestHandler<Object, Object> {
    public Handler() {
        throw new RuntimeException("broken while loading");
    }

    @Override
    public Object handleRequest(Object event, Context context) {
        return event;
    }
}
