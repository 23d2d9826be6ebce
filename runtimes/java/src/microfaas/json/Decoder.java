// How values of one Java type are read.
package microfaas.json;

abstract class Decoder {
    // A value that is not null.
    abstract Object read(JsonReader in);

    // What null becomes.
    Object absent() {
        return null;
    }

    final Object next(JsonReader in) {
        return in.literal("null") ? absent() : read(in);
    }
}
