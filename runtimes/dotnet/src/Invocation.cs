// One request of the supervisor's, and what the function may know of it.
using System;
using System.Collections.Generic;
using System.Text.Json;

namespace Microfaas;

internal sealed class Invocation(Dictionary<string, object?> message)
{
    public string Id { get; } = (string)message["id"]!;

    public ArraySegment<byte> Event { get; } = (ArraySegment<byte>)message["event"]!;

    public string Arn { get; } = message.GetValueOrDefault("arn") as string ?? "";

    public string? TraceId { get; } = message.GetValueOrDefault("trace_id") as string;

    public TimeSpan Remaining => DateTimeOffset.FromUnixTimeMilliseconds(deadline) - DateTimeOffset.UtcNow;

    // Read at once: the bytes are the next message's afterwards.
    public ClientContext Client { get; } = ClientContext.Read(message.GetValueOrDefault("client_context"));

    private readonly long deadline = message.GetValueOrDefault("deadline_ms") as long? ?? 0;
}

// What the caller tells of itself. All is null when it tells nothing.
internal sealed record ClientContext(
    Dictionary<string, string?>? Client, Dictionary<string, string?>? Custom, Dictionary<string, string?>? Environment)
{
    private static readonly ClientContext Nothing = new(null, null, null);

    public static ClientContext Read(object? payload)
    {
        if (payload is not ArraySegment<byte> { Count: > 0 } json)
        {
            return Nothing;
        }
        try
        {
            using JsonDocument document = JsonDocument.Parse(json.AsMemory());
            JsonElement root = document.RootElement;
            return new ClientContext(Texts(root, "client"), Texts(root, "custom"), Texts(root, "env"));
        }
        catch (JsonException)
        {
            return Nothing;
        }
    }

    private static Dictionary<string, string?>? Texts(JsonElement root, string name)
    {
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty(name, out JsonElement part)
            || part.ValueKind != JsonValueKind.Object)
        {
            return null;
        }
        Dictionary<string, string?> texts = [];
        foreach (JsonProperty one in part.EnumerateObject())
        {
            texts[one.Name] = one.Value.ValueKind == JsonValueKind.Null ? null : one.Value.ToString();
        }
        return texts;
    }
}
