// What Lambda's own runtime makes of events: reads lines of a method of events.Echo, a tab and a
// payload, and writes what comes back, or nothing when the payload cannot be read.
import com.amazonaws.services.lambda.runtime.serialization.PojoSerializer;
import com.amazonaws.services.lambda.runtime.serialization.events.LambdaEventSerializers;
import com.amazonaws.services.lambda.runtime.serialization.factories.JacksonFactory;
import events.Echo;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

public class Reference {
    public static void main(String[] arguments) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] parts = line.split("\t", 2);
            byte[] answer = answer(parts[0], parts[1]).getBytes(StandardCharsets.UTF_8);
            System.out.write(answer, 0, answer.length);
            System.out.println();
        }
    }

    private static String answer(String name, String payload) {
        Class<?> type = Arrays.stream(Echo.class.getMethods())
                .filter(method -> method.getName().equals(name))
                .map(Method::getReturnType)
                .findFirst()
                .orElseThrow();
        try {
            PojoSerializer<Object> serializer = serializer(type);
            ByteArrayOutputStream output = new ByteArrayOutputStream();
            serializer.toJson(serializer.fromJson(payload), output);
            return output.toString(StandardCharsets.UTF_8);
        } catch (RuntimeException e) {
            return "";
        }
    }

    @SuppressWarnings("unchecked")
    private static PojoSerializer<Object> serializer(Class<?> type) {
        return LambdaEventSerializers.isLambdaSupportedEvent(type.getName())
                ? (PojoSerializer<Object>) LambdaEventSerializers.serializerFor(type, Reference.class.getClassLoader())
                : (PojoSerializer<Object>) JacksonFactory.getInstance().getSerializer(type);
    }
}
