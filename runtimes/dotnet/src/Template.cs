// Messages of loggers, in which values stand for names: "sold {count} of {product,10}".
using System;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Microfaas;

internal static class Template
{
    public static string Fill(string template, object?[] values)
    {
        StringBuilder filled = new();
        int at = 0;
        for (int taken = 0; at < template.Length; taken++)
        {
            int open = template.IndexOf('{', at);
            int close = open < 0 ? -1 : template.IndexOf('}', open);
            if (close < 0)
            {
                break;
            }
            filled.Append(Plain(template[at..open]));
            if (template[open + 1] == '{')
            {
                // Two stand for one, and for no value.
                filled.Append('{');
                at = open + 2;
                taken--;
                continue;
            }
            filled.Append(Value(template[(open + 1)..close], taken, values) ?? template[open..(close + 1)]);
            at = close + 1;
        }
        return filled.Append(Plain(template[at..])).ToString();
    }

    private static string Plain(string text) => text.Replace("}}", "}");

    // What stands in the place of one name; null when there is no value for it.
    private static string? Value(string place, int number, object?[] values)
    {
        int end = place.AsSpan().IndexOfAny(',', ':');
        string name = end < 0 ? place : place[..end];
        int index = int.TryParse(name, out int told) ? told : number;
        if (index < 0 || index >= values.Length)
        {
            return null;
        }
        object? value = name.StartsWith('@') ? JsonSerializer.Serialize(values[index]) : values[index];
        string format = end < 0 ? "{0}" : "{0" + place[end..] + "}";
        return string.Format(CultureInfo.InvariantCulture, format, value);
    }
}
