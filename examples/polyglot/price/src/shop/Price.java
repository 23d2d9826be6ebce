// Price: adds up an order, in decimals, as money wants it.
package shop;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.List;
import java.util.Map;

public class Price {
    private static final Map<String, BigDecimal> VAT_PERCENT = Map.of(
            "AT", new BigDecimal(20),
            "DE", new BigDecimal(19),
            "FI", new BigDecimal("25.5"),
            "FR", new BigDecimal(20),
            "IT", new BigDecimal(22),
            "NL", new BigDecimal(21));
    private static final BigDecimal HUNDRED = new BigDecimal(100);

    public record Line(String item, int quantity, BigDecimal price) {
        BigDecimal total() {
            return price.multiply(BigDecimal.valueOf(quantity));
        }
    }

    public record Order(String country, List<Line> lines) {}

    /** As text: a number of JSON's is binary for most who read it. */
    public record Priced(String net, String vat_percent, String vat, String gross) {}

    public Priced of(Order order) {
        BigDecimal percent = VAT_PERCENT.get(order.country());
        if (percent == null) {
            throw new IllegalArgumentException("the tax of " + order.country() + " is not known");
        }
        BigDecimal net = order.lines().stream().map(Line::total).reduce(new BigDecimal("0.00"), BigDecimal::add);
        BigDecimal vat = net.multiply(percent).divide(HUNDRED, 2, RoundingMode.HALF_UP);
        return new Priced(net.toString(), percent.toString(), vat.toString(), net.add(vat).toString());
    }
}
