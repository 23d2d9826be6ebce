// A bean with a property of every kind; whatever is not given keeps what Java gives it.
package events;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.util.Date;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

public class Kinds {
    public enum Size { SMALL, LARGE }

    private int whole;
    private Integer boxed;
    private long large;
    private double fraction;
    private boolean truth;
    private Boolean boxedTruth;
    private char letter;
    private short small;
    private byte octet;
    private String text;
    private Size size;
    private byte[] bytes;
    private int[] numbers;
    private List<Integer> list;
    private Set<String> set;
    private Map<Size, Integer> map;
    private List<List<String>> nested;
    private Optional<String> optional;
    private Date date;
    private Instant instant;
    private LocalDate day;
    private LocalDateTime time;
    private OffsetDateTime offset;
    private Duration span;
    private BigDecimal decimal;
    private BigInteger huge;
    private UUID uuid;
    private Locale locale;
    private Object any;
    private Inner inner;
    private ByteBuffer buffer;

    public static class Inner {
        public int open = 1;
        private String hidden = "hidden";
        private String aB = "ab";

        public boolean isOn() {
            return true;
        }

        public String getURL() {
            return "url";
        }

        public String getaB() {
            return aB;
        }

        public void setaB(String aB) {
            this.aB = aB;
        }
    }

    public int getWhole() {
        return whole;
    }

    public void setWhole(int whole) {
        this.whole = whole;
    }

    public Integer getBoxed() {
        return boxed;
    }

    public void setBoxed(Integer boxed) {
        this.boxed = boxed;
    }

    public long getLarge() {
        return large;
    }

    public void setLarge(long large) {
        this.large = large;
    }

    public double getFraction() {
        return fraction;
    }

    public void setFraction(double fraction) {
        this.fraction = fraction;
    }

    public boolean getTruth() {
        return truth;
    }

    public void setTruth(boolean truth) {
        this.truth = truth;
    }

    public Boolean getBoxedTruth() {
        return boxedTruth;
    }

    public void setBoxedTruth(Boolean boxedTruth) {
        this.boxedTruth = boxedTruth;
    }

    public char getLetter() {
        return letter;
    }

    public void setLetter(char letter) {
        this.letter = letter;
    }

    public short getSmall() {
        return small;
    }

    public void setSmall(short small) {
        this.small = small;
    }

    public byte getOctet() {
        return octet;
    }

    public void setOctet(byte octet) {
        this.octet = octet;
    }

    public String getText() {
        return text;
    }

    public void setText(String text) {
        this.text = text;
    }

    public Size getSize() {
        return size;
    }

    public void setSize(Size size) {
        this.size = size;
    }

    public byte[] getBytes() {
        return bytes;
    }

    public void setBytes(byte[] bytes) {
        this.bytes = bytes;
    }

    public int[] getNumbers() {
        return numbers;
    }

    public void setNumbers(int[] numbers) {
        this.numbers = numbers;
    }

    public List<Integer> getList() {
        return list;
    }

    public void setList(List<Integer> list) {
        this.list = list;
    }

    public Set<String> getSet() {
        return set;
    }

    public void setSet(Set<String> set) {
        this.set = set;
    }

    public Map<Size, Integer> getMap() {
        return map;
    }

    public void setMap(Map<Size, Integer> map) {
        this.map = map;
    }

    public List<List<String>> getNested() {
        return nested;
    }

    public void setNested(List<List<String>> nested) {
        this.nested = nested;
    }

    public Optional<String> getOptional() {
        return optional;
    }

    public void setOptional(Optional<String> optional) {
        this.optional = optional;
    }

    public Date getDate() {
        return date;
    }

    public void setDate(Date date) {
        this.date = date;
    }

    public Instant getInstant() {
        return instant;
    }

    public void setInstant(Instant instant) {
        this.instant = instant;
    }

    public LocalDate getDay() {
        return day;
    }

    public void setDay(LocalDate day) {
        this.day = day;
    }

    public LocalDateTime getTime() {
        return time;
    }

    public void setTime(LocalDateTime time) {
        this.time = time;
    }

    public OffsetDateTime getOffset() {
        return offset;
    }

    public void setOffset(OffsetDateTime offset) {
        this.offset = offset;
    }

    public Duration getSpan() {
        return span;
    }

    public void setSpan(Duration span) {
        this.span = span;
    }

    public BigDecimal getDecimal() {
        return decimal;
    }

    public void setDecimal(BigDecimal decimal) {
        this.decimal = decimal;
    }

    public BigInteger getHuge() {
        return huge;
    }

    public void setHuge(BigInteger huge) {
        this.huge = huge;
    }

    public UUID getUuid() {
        return uuid;
    }

    public void setUuid(UUID uuid) {
        this.uuid = uuid;
    }

    public Locale getLocale() {
        return locale;
    }

    public void setLocale(Locale locale) {
        this.locale = locale;
    }

    public Object getAny() {
        return any;
    }

    public void setAny(Object any) {
        this.any = any;
    }

    public Inner getInner() {
        return inner;
    }

    public void setInner(Inner inner) {
        this.inner = inner;
    }

    public ByteBuffer getBuffer() {
        return buffer;
    }

    public void setBuffer(ByteBuffer buffer) {
        this.buffer = buffer;
    }
}
