// The function's log: the lines of the console and of loggers, in the format that Lambda gives them.
using System;
using System.Buffers;
using System.Globalization;
using System.IO;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Microfaas;

internal enum Level
{
    Trace,
    Debug,
    Information,
    Warning,
    Error,
    Critical,
}

internal static class Log
{
    private const string Timestamp = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";
    private static readonly string[] Labels = ["trce", "dbug", "info", "warn", "fail", "crit"];
    private static readonly JsonWriterOptions JsonOptions =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static TextWriter output = TextWriter.Null;
    private static bool json;
    private static bool bare;
    private static Level least;

    public static string RequestId { get; set; } = "";

    // Nothing is held back, even when the process ends of itself. Lines for which somebody called
    // WriteLine become log lines; what is written otherwise stays as it is.
    public static void Install()
    {
        output = TextWriter.Synchronized(Plain(Console.OpenStandardOutput()));
        Console.SetOut(new ConsoleWriter(output, Level.Information));
        Console.SetError(new ConsoleWriter(TextWriter.Synchronized(Plain(Console.OpenStandardError())), Level.Error));
    }

    // The function may have put writers of its own, which hold things back, in their place.
    public static void Flush()
    {
        Console.Out.Flush();
        Console.Error.Flush();
    }

    public static void Configure()
    {
        json = Is("AWS_LAMBDA_LOG_FORMAT", "JSON");
        bare = Is("AWS_LAMBDA_HANDLER_LOG_FORMAT", "Unformatted");
        string? wanted = Environment.GetEnvironmentVariable("AWS_LAMBDA_LOG_LEVEL");
        wanted ??= Environment.GetEnvironmentVariable("AWS_LAMBDA_HANDLER_LOG_LEVEL");
        least = Parse(wanted) ?? Level.Information;
    }

    // Lambda's names of levels, and .NET's.
    public static Level? Parse(string? name) => name?.ToUpperInvariant() switch
    {
        "TRACE" => Level.Trace,
        "DEBUG" => Level.Debug,
        "INFO" or "INFORMATION" => Level.Information,
        "WARN" or "WARNING" => Level.Warning,
        "ERROR" => Level.Error,
        "FATAL" or "CRITICAL" => Level.Critical,
        _ => null,
    };

    public static void Print(string? message) => output.Write(message);

    public static void Line(Level? level, string? message, Exception? error = null, object?[]? values = null) =>
        Line(output, level, message, error, values);

    public static void Line(
        TextWriter writer, Level? level, string? template, Exception? error = null, object?[]? values = null)
    {
        if (level < least)
        {
            return;
        }
        string message = values is { Length: > 0 } ? Template.Fill(template ?? "", values) : template ?? "";
        writer.Write((json ? Json(level, message, error) : Text(level, message, error)) + "\n");
    }

    // What the handler did not catch.
    public static void Failure(Exception error) =>
        Console.Error.Write((json ? Json(Level.Error, "", error) : Errors.Text(error)) + "\n");

    private static string Text(Level? level, string message, Exception? error)
    {
        string text = error == null ? message : message.Length == 0 ? error.ToString() : $"{message}\n{error}";
        if (bare)
        {
            return text;
        }
        string label = level == null ? "" : Labels[(int)level] + "\t";
        return $"{Now()}\t{RequestId}\t{label}{text}";
    }

    private static string Json(Level? level, string message, Exception? error)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter writer = new(buffer, JsonOptions))
        {
            writer.WriteStartObject();
            writer.WriteString("timestamp", Now());
            writer.WriteString("level", (level ?? Level.Information).ToString());
            if (RequestId.Length > 0)
            {
                writer.WriteString("requestId", RequestId);
            }
            writer.WriteString("message", message);
            if (error != null)
            {
                WriteError(writer, error);
            }
            writer.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void WriteError(Utf8JsonWriter writer, Exception error)
    {
        writer.WriteString("errorType", error.GetType().FullName);
        writer.WriteString("errorMessage", error.Message);
        writer.WriteStartArray("stackTrace");
        foreach (string line in Errors.Text(error).Split('\n'))
        {
            writer.WriteStringValue(line.Trim());
        }
        writer.WriteEndArray();
    }

    private static string Now() => DateTime.UtcNow.ToString(Timestamp, CultureInfo.InvariantCulture);

    private static bool Is(string variable, string value) =>
        string.Equals(Environment.GetEnvironmentVariable(variable), value, StringComparison.OrdinalIgnoreCase);

    private static StreamWriter Plain(Stream stream) => new(stream, new UTF8Encoding(false), 256) { AutoFlush = true };
}
