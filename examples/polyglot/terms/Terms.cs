// Terms: the day until which to pay, and the reference (ISO 11649) to pay with.
using System;
using System.Globalization;
using System.Linq;
using System.Numerics;

namespace Shop;

public record Invoice(string Number, DateOnly Date);

public record Payment(string Due, string Reference);

public class Terms
{
    private const int Days = 30;

    public Payment For(Invoice invoice)
    {
        DateOnly due = Weekday(invoice.Date.AddDays(Days));
        return new Payment(due.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture), Reference(invoice.Number));
    }

    private static DateOnly Weekday(DateOnly day) => day.DayOfWeek switch
    {
        DayOfWeek.Saturday => day.AddDays(2),
        DayOfWeek.Sunday => day.AddDays(1),
        _ => day,
    };

    // Two digits make the whole, its head moved to its end, 1 modulo 97.
    private static string Reference(string number)
    {
        string kept = string.Concat(number.ToUpperInvariant().Where(char.IsAsciiLetterOrDigit));
        if (kept.Length is 0 or > 21)
        {
            throw new ArgumentException($"the number must have from 1 to 21 letters and digits: {number}");
        }
        return $"RF{98 - (int)(Digits(kept + "RF00") % 97):00}{kept}";
    }

    // Letters count as the numbers from 10 to 35.
    private static BigInteger Digits(string text) => BigInteger.Parse(
        string.Concat(text.Select(one => char.IsAsciiDigit(one) ? $"{one}" : $"{one - 'A' + 10}")),
        CultureInfo.InvariantCulture);
}
