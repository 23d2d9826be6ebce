// A handler of beans whose parameters are named by its superclass.
package app;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

public class Orders extends EnvelopeHandler<Orders.Order> {
    public enum Size { SMALL, LARGE }

    public record Item(String name, int count, List<Size> sizes) {}

    public static class Order {
        public String open;
        private String id;
        private boolean paid;
        private Instant at;
        private byte[] blob;
        private Optional<String> note = Optional.empty();
        private List<Item> items = new ArrayList<>();
        private String secret = "hidden";

        public String getId() {
            return id;
        }

        // In chains, as builders have it.
        public Order setId(String id) {
            this.id = id;
            return this;
        }

        public boolean isPaid() {
            return paid;
        }

        void setPaid(boolean paid) {
            this.paid = paid;
        }

        public Instant getAt() {
            return at;
        }

        public void setAt(Instant at) {
            this.at = at;
        }

        public byte[] getBlob() {
            return blob;
        }

        public void setBlob(byte[] blob) {
            this.blob = blob;
        }

        public Optional<String> getNote() {
            return note;
        }

        public void setNote(Optional<String> note) {
            this.note = note;
        }

        public List<Item> getItems() {
            return items;
        }

        public void setItems(List<Item> items) {
            this.items = items;
        }

        public String getURL() {
            return "/orders/" + id;
        }
    }
}
