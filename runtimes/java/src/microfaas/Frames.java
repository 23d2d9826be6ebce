// Messages on the two pipes to the supervisor: a length of four bytes, then a msgpack map.
package microfaas;

import java.io.EOFException;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.lang.reflect.Constructor;
import java.util.Map;

final class Frames {
    // Up to this size the JVM reads into its stack; beyond, it allocates for every read.
    private static final int READ_MAX = 8192;
    private static final int LARGE_READ_MAX = 1 << 16;
    private static final int HEADER = 4;
    private static final int FRAME_MAX = 8 << 20;

    private final FileInputStream requests;
    private final FileOutputStream replies;
    private final Msgpack.Writer writer = new Msgpack.Writer();
    private final byte[] buffer = new byte[READ_MAX];
    private int start;
    private int end;

    Frames(int requests, int replies) throws ReflectiveOperationException {
        this.requests = new FileInputStream(descriptor(requests));
        this.replies = new FileOutputStream(descriptor(replies));
    }

    // There is no public way to a stream on a number. Opening /proc/self/fd/3 would need /proc.
    private static FileDescriptor descriptor(int number) throws ReflectiveOperationException {
        Constructor<FileDescriptor> make = FileDescriptor.class.getDeclaredConstructor(int.class);
        make.setAccessible(true);
        return make.newInstance(number);
    }

    // The next message, or null when the supervisor is gone. Small ones take one read.
    Map<String, Object> read() throws IOException {
        if (!buffered(HEADER)) {
            return null;
        }
        int length = length();
        if (length <= READ_MAX) {
            if (!buffered(length)) {
                throw new EOFException("the supervisor has hung up within a frame");
            }
            start += length;
            return new Msgpack.Reader(buffer, start - length).message();
        }
        return new Msgpack.Reader(large(length), 0).message();
    }

    private int length() throws IOException {
        int length = 0;
        for (int i = 0; i < HEADER; i++) {
            length = length << 8 | buffer[start++] & 0xff;
        }
        if (length < 0 || length > FRAME_MAX) {
            throw new IOException("a frame of " + Integer.toUnsignedString(length) + " bytes");
        }
        return length;
    }

    // Whether so many bytes lie in the buffer now; false at the end of file.
    private boolean buffered(int wanted) throws IOException {
        while (end - start < wanted) {
            if (start == end) {
                start = end = 0;
            } else if (start + wanted > buffer.length) {
                System.arraycopy(buffer, start, buffer, 0, end - start);
                end -= start;
                start = 0;
            }
            int got = requests.read(buffer, end, buffer.length - end);
            if (got < 0) {
                return false;
            }
            end += got;
        }
        return true;
    }

    private byte[] large(int length) throws IOException {
        byte[] body = new byte[length];
        int have = end - start;
        System.arraycopy(buffer, start, body, 0, have);
        start = end = 0;
        while (have < length) {
            int got = requests.read(body, have, Math.min(LARGE_READ_MAX, length - have));
            if (got < 0) {
                throw new EOFException("the supervisor has hung up within a frame");
            }
            have += got;
        }
        return body;
    }

    // Begins a reply with this many fields besides its kind.
    Msgpack.Writer reply(String kind, int fields) {
        writer.start(HEADER, 1 + fields);
        return writer.field("kind", kind);
    }

    void send() throws IOException {
        int length = writer.size() - HEADER;
        byte[] data = writer.data();
        for (int i = 0; i < HEADER; i++) {
            data[i] = (byte) (length >> 8 * (HEADER - 1 - i));
        }
        replies.write(data, 0, writer.size());
    }
}
