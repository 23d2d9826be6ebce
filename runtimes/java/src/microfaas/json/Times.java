// Dates and times: read from ISO 8601 or numbers, written as numbers or arrays of them.
package microfaas.json;

import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.math.BigDecimal;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.Year;
import java.time.YearMonth;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.time.temporal.TemporalAccessor;
import java.util.Calendar;
import java.util.Date;
import java.util.GregorianCalendar;
import java.util.function.Function;

final class Times {
    private static final double MILLIS = 1000.0;

    private Times() {}

    // What makes a time of that type from its text; null when it is none.
    static Function<String, Object> parser(Class<?> type) {
        if (type == Date.class) {
            return text -> Date.from(milliseconds(text));
        } else if (type == Calendar.class) {
            return text -> GregorianCalendar.from(milliseconds(text).atZone(ZoneOffset.UTC));
        } else if (type == Instant.class) {
            return Times::moment;
        } else if (type == OffsetDateTime.class || type == ZonedDateTime.class) {
            return text -> isNumber(text) ? at(moment(text), type) : parsed(type, withColon(text));
        } else if (type == LocalDate.class) {
            return text -> isNumber(text) ? LocalDate.ofEpochDay(Long.parseLong(text)) : day(text);
        } else if (type == LocalDateTime.class) {
            return text -> LocalDateTime.parse(text.replaceFirst("Z$", ""));
        } else if (type == Duration.class) {
            return text -> isNumber(text) ? span(text) : Duration.parse(text);
        } else if (type == ZoneId.class) {
            return ZoneId::of;
        } else if (type.getName().equals("org.joda.time.DateTime") || type.getPackageName().equals("java.time")) {
            return text -> parsed(type, text);
        }
        return null;
    }

    private static Instant milliseconds(String text) {
        return isNumber(text) ? Instant.ofEpochMilli(Long.parseLong(text)) : moment(text);
    }

    private static LocalDate day(String text) {
        return LocalDate.parse(text.replaceFirst("T.*$", ""));
    }

    // As ISO 8601 has it, which also knows +0200.
    private static String withColon(String text) {
        return text.replaceFirst("([+-]\\d\\d)(\\d\\d)$", "$1:$2");
    }

    private static boolean isNumber(String text) {
        return text.matches("-?\\d+(\\.\\d+)?([eE][+-]?\\d+)?");
    }

    // An instant: seconds, or a date and a time, in UTC unless it says otherwise.
    private static Instant moment(String text) {
        if (isNumber(text)) {
            return Instant.EPOCH.plus(span(text));
        } else if (text.indexOf('T') < 0) {
            return LocalDate.parse(text).atStartOfDay(ZoneOffset.UTC).toInstant();
        }
        TemporalAccessor read = DateTimeFormatter.ISO_DATE_TIME.parseBest(
                withColon(text), ZonedDateTime::from, LocalDateTime::from);
        return read instanceof ZonedDateTime zoned
                ? zoned.toInstant()
                : ((LocalDateTime) read).toInstant(ZoneOffset.UTC);
    }

    private static Object at(Instant moment, Class<?> type) {
        return type == OffsetDateTime.class ? moment.atOffset(ZoneOffset.UTC) : moment.atZone(ZoneOffset.UTC);
    }

    private static Duration span(String seconds) {
        BigDecimal number = new BigDecimal(seconds);
        long whole = number.longValue();
        return Duration.ofSeconds(whole, number.subtract(BigDecimal.valueOf(whole)).movePointRight(9).longValue());
    }

    // Each of these classes has a static `parse`; that of Joda's takes a String.
    private static Object parsed(Class<?> type, String text) {
        try {
            for (Method method : type.getMethods()) {
                if (method.getName().equals("parse") && method.getParameterCount() == 1
                        && Modifier.isStatic(method.getModifiers())) {
                    return method.invoke(null, text);
                }
            }
        } catch (ReflectiveOperationException e) {
            throw new IllegalArgumentException(e.getCause() == null ? e : e.getCause());
        }
        throw new IllegalArgumentException("there is no way to read it");
    }

    static Object fromSeconds(String seconds) {
        double number = Double.parseDouble(seconds);
        return number == 0 ? null : new Date((long) (number * MILLIS));
    }

    static void writeSeconds(JsonWriter out, Date date) {
        out.literal(Double.toString(date.getTime() / MILLIS));
    }

    // How such an object is written, as numbers; null when it is not a time, or its text will do.
    static Encoder encoder(Class<?> type) {
        if (Date.class.isAssignableFrom(type)) {
            return (out, value) -> out.literal(Long.toString(((Date) value).getTime()));
        } else if (Calendar.class.isAssignableFrom(type)) {
            return (out, value) -> out.literal(Long.toString(((Calendar) value).getTimeInMillis()));
        } else if (type == Instant.class) {
            return (out, value) -> seconds(out, (Instant) value);
        } else if (type == OffsetDateTime.class) {
            return (out, value) -> seconds(out, ((OffsetDateTime) value).toInstant());
        } else if (type == ZonedDateTime.class) {
            return (out, value) -> seconds(out, ((ZonedDateTime) value).toInstant());
        } else if (type == Duration.class) {
            return (out, value) -> decimal(out, ((Duration) value).getSeconds(), ((Duration) value).getNano());
        } else if (type == Year.class) {
            return (out, value) -> out.literal(value.toString());
        }
        return local(type);
    }

    private static Encoder local(Class<?> type) {
        if (type == LocalDate.class) {
            return (out, value) -> numbers(out, (LocalDate) value, null);
        } else if (type == LocalTime.class) {
            return (out, value) -> numbers(out, null, (LocalTime) value);
        } else if (type == LocalDateTime.class) {
            return (out, value) -> {
                LocalDateTime both = (LocalDateTime) value;
                numbers(out, both.toLocalDate(), both.toLocalTime());
            };
        } else if (type == YearMonth.class) {
            return (out, value) -> array(out, ((YearMonth) value).getYear(), ((YearMonth) value).getMonthValue());
        }
        return null;
    }

    private static void seconds(JsonWriter out, Instant moment) {
        decimal(out, moment.getEpochSecond(), moment.getNano());
    }

    private static void decimal(JsonWriter out, long seconds, int nanos) {
        BigDecimal whole = BigDecimal.valueOf(seconds);
        out.literal(whole.add(BigDecimal.valueOf(nanos, 9)).setScale(9).toPlainString());
    }

    // Seconds and their fraction are left out when they are nothing.
    private static void numbers(JsonWriter out, LocalDate date, LocalTime time) {
        out.open('[');
        if (date != null) {
            items(out, date.getYear(), date.getMonthValue(), date.getDayOfMonth());
        }
        if (time != null) {
            items(out, time.getHour(), time.getMinute());
            if (time.toSecondOfDay() % 60 != 0 || time.getNano() != 0) {
                items(out, time.getSecond());
            }
            if (time.getNano() != 0) {
                items(out, time.getNano());
            }
        }
        out.close(']');
    }

    private static void array(JsonWriter out, int... numbers) {
        out.open('[');
        items(out, numbers);
        out.close(']');
    }

    private static void items(JsonWriter out, int... numbers) {
        for (int number : numbers) {
            out.separate();
            out.literal(Integer.toString(number));
        }
    }
}
