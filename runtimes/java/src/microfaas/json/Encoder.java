// How objects of one class are written.
package microfaas.json;

interface Encoder {
    // A value that is not null.
    void write(JsonWriter out, Object value);
}
