// Events and results between JSON and objects: by the function's own serializer, if it has one.
package microfaas;

import com.amazonaws.services.lambda.runtime.CustomPojoSerializer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.reflect.Type;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.ServiceLoader;
import microfaas.json.Json;

final class Payloads {
    private static final byte[] NULL = "null".getBytes(StandardCharsets.US_ASCII);

    private final CustomPojoSerializer own;

    private Payloads(CustomPojoSerializer own) {
        this.own = own;
    }

    static Payloads of(ClassLoader loader) throws LoadingFailed {
        try {
            Iterator<CustomPojoSerializer> found = ServiceLoader.load(CustomPojoSerializer.class, loader).iterator();
            Payloads payloads = new Payloads(found.hasNext() ? found.next() : null);
            if (found.hasNext()) {
                throw new LoadingFailed("Too many serializers provided: there may be one CustomPojoSerializer");
            }
            return payloads;
        } catch (java.util.ServiceConfigurationError e) {
            throw new LoadingFailed(e.getMessage(), e);
        }
    }

    Object read(byte[] event, Type type) {
        try {
            return own == null ? Json.read(event, type) : own.fromJson(new ByteArrayInputStream(event), type);
        } catch (Throwable e) {
            throw new RuntimeException("An error occurred during JSON parsing", e);
        }
    }

    void write(Object value, Type type, OutputStream output) throws IOException {
        try {
            if (type == void.class || type == Void.class) {
                output.write(NULL);
            } else if (own != null) {
                own.toJson(value, output, type);
            } else {
                Json.write(value, output);
            }
        } catch (Throwable e) {
            throw new RuntimeException("An error occurred during JSON serialization of response", e);
        }
    }
}
