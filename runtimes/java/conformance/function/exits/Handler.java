// Ends the process while it is loaded.
package exits;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;

public class Handler implements RequestHandler<Object, Object> {
    static {
        System.exit(7);
    }

    @Override
    public Object handleRequest(Object event, Context context) {
        return event;
    }
}
