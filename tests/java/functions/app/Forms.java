// A method of each form that a handler may have.
package app;

import com.amazonaws.services.lambda.runtime.Context;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;
import java.util.Set;

public class Forms {
    public String text(String event) {
        return event + "!";
    }

    public int number(int event) {
        return event + 1;
    }

    public static long sum(List<Long> event) {
        return event.stream().mapToLong(Long::longValue).sum();
    }

    public double[] halves(int[] event) {
        double[] halves = new double[event.length];
        for (int i = 0; i < event.length; i++) {
            halves[i] = event[i] / 2.0;
        }
        return halves;
    }

    public Map<String, Set<Integer>> sets(Map<String, Set<Integer>> event) {
        return event;
    }

    public String nothing() {
        return "no event";
    }

    public String context(Context context) {
        return context.getAwsRequestId();
    }

    public void silent(Object event) {}

    public String overloaded(Map<String, Object> event) {
        return "event";
    }

    public String overloaded(Map<String, Object> event, Context context) {
        return "event and context";
    }

    public String overloaded(Map<String, Object> event, String other) {
        return "not a handler";
    }

    public void streams(InputStream input, OutputStream output, Context context) throws IOException {
        output.write('<');
        input.transferTo(output);
        output.write('>');
    }

    public void output(OutputStream output) throws IOException {
        output.write("{\"only\": \"output\"}".getBytes());
    }

    public void wrong(Map<String, Object> event, Map<String, Object> other) {}

    String hidden(Object event) {
        return "not public";
    }
}
