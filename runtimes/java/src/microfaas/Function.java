// A loaded function: an event's bytes in, the result's bytes out.
package microfaas;

import com.amazonaws.services.lambda.runtime.Context;
import java.io.OutputStream;

interface Function {
    void call(byte[] event, OutputStream output, Context context) throws Throwable;
}
