// Exceptions as the log and the caller get to see them.
using System;
using System.Buffers;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Microfaas;

internal static class Errors
{
    private const string Ours = "at Microfaas.";
    private const int CausesMax = 100;
    // The machinery between the host and the function.
    private static readonly string[] Between =
    [
        "at InvokeStub_",
        "at System.Reflection.",
        "at System.RuntimeMethodHandle.",
        "at System.RuntimeType.CreateInstance",
        "at System.Activator.",
        "at System.Runtime.CompilerServices.",
        "--- End of stack trace from previous location",
    ];

    private static readonly JsonWriterOptions Options = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        // Causes nest.
        MaxDepth = 1000,
    };

    public static string Type(Exception error) => error is LoadingFailed ? LoadingFailed.LambdasName : error.GetType().Name;

    public static byte[] Json(Exception error)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter writer = new(buffer, Options))
        {
            Write(writer, error, CausesMax);
        }
        return buffer.WrittenSpan.ToArray();
    }

    public static string Text(Exception error)
    {
        string text = $"{error.GetType().FullName}: {error.Message}";
        if (error is LoadingFailed)
        {
            return $"{LoadingFailed.LambdasName}: {error.Message}";
        }
        string inner = error.InnerException == null ? "" : $"\n ---> {Text(error.InnerException)}";
        return text + inner + string.Concat(Trace(error).Select(line => $"\n   {line}"));
    }

    private static void Write(Utf8JsonWriter writer, Exception error, int causes)
    {
        writer.WriteStartObject();
        writer.WriteString("errorType", Type(error));
        writer.WriteString("errorMessage", error.Message);
        WriteTrace(writer, error);
        if (error.InnerException != null && causes > 0)
        {
            writer.WritePropertyName("cause");
            Write(writer, error.InnerException, causes - 1);
        }
        if (error is AggregateException { InnerExceptions.Count: > 0 } several && causes > 0)
        {
            writer.WriteStartArray("causes");
            foreach (Exception one in several.InnerExceptions)
            {
                Write(writer, one, 0);
            }
            writer.WriteEndArray();
        }
        writer.WriteEndObject();
    }

    private static void WriteTrace(Utf8JsonWriter writer, Exception error)
    {
        List<string> lines = Trace(error);
        if (lines.Count == 0)
        {
            return;
        }
        writer.WriteStartArray("stackTrace");
        foreach (string line in lines)
        {
            writer.WriteStringValue(line);
        }
        writer.WriteEndArray();
    }

    // Without what called the function: this host, and reflection between the two.
    private static List<string> Trace(Exception error)
    {
        if (error is LoadingFailed || string.IsNullOrEmpty(error.StackTrace))
        {
            return [];
        }
        string[] lines = new StackTrace(error, true).ToString().Split('\n', StringSplitOptions.TrimEntries);
        List<string> kept = lines.Where(line => line.Length > 0).ToList();
        int ours = kept.FindIndex(line => line.StartsWith(Ours, StringComparison.Ordinal));
        if (ours < 0)
        {
            return kept;
        }
        while (ours > 0 && Between.Any(one => kept[ours - 1].StartsWith(one, StringComparison.Ordinal)))
        {
            ours--;
        }
        return kept.GetRange(0, ours);
    }
}
