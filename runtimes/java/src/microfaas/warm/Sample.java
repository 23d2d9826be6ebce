// A function such as others write, for the host to warm up with. It is loaded as theirs are.
package microfaas.warm;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

public final class Sample implements RequestHandler<Sample.Event, Sample.Answer> {
    @Override
    public Answer handleRequest(Event event, Context context) {
        Answer answer = new Answer();
        answer.setText("Hello " + event.name + ", " + event.count + " times in " + context.getAwsRequestId());
        answer.setTags(event.tags.stream().map(tag -> tag + "!").collect(Collectors.toList()));
        answer.setHeaders(new HashMap<>(event.headers));
        answer.setSeen(String.format("%s %d", event.records.get(0).id(), context.getRemainingTimeInMillis()));
        return answer;
    }

    public Map<String, Object> twice(Map<String, Object> event, Context context) {
        return Map.of("once", event, "again", List.of(event, System.currentTimeMillis()));
    }

    public void raw(InputStream input, OutputStream output) throws IOException {
        input.transferTo(output);
    }

    public record Entry(String id, Instant at, ByteBuffer data) {}

    public static final class Event {
        private String name;
        private int count;
        private double ratio;
        private boolean on;
        private List<String> tags;
        private Map<String, String> headers;
        private Object body;
        private List<Entry> records;

        public void setName(String name) {
            this.name = name;
        }

        public void setCount(int count) {
            this.count = count;
        }

        public void setRatio(double ratio) {
            this.ratio = ratio;
        }

        public void setOn(boolean on) {
            this.on = on;
        }

        public void setTags(List<String> tags) {
            this.tags = tags;
        }

        public void setHeaders(Map<String, String> headers) {
            this.headers = headers;
        }

        public void setBody(Object body) {
            this.body = body;
        }

        public void setRecords(List<Entry> records) {
            this.records = records;
        }
    }

    public static final class Answer {
        private int statusCode = 200;
        private String text;
        private List<String> tags;
        private Map<String, String> headers;
        private String seen;

        public int getStatusCode() {
            return statusCode;
        }

        public String getText() {
            return text;
        }

        public void setText(String text) {
            this.text = text;
        }

        public List<String> getTags() {
            return tags;
        }

        public void setTags(List<String> tags) {
            this.tags = tags;
        }

        public Map<String, String> getHeaders() {
            return headers;
        }

        public void setHeaders(Map<String, String> headers) {
            this.headers = headers;
        }

        public String getSeen() {
            return seen;
        }

        public void setSeen(String seen) {
            this.seen = seen;
        }
    }
}
