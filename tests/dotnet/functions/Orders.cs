// Events and results of a function's own types, by the host's serializer and by another.
using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using Amazon.Lambda.Core;

namespace App;

public enum Size
{
    Small,
    Large,
}

public class Item
{
    public required string Name { get; set; }

    public int Count { get; set; } = 1;

    public Size Size { get; set; }
}

public record Order(string Id, List<Item>? Items, DateTime? At, byte[]? Blob, string? XAmzRequestId)
{
    public string? URLOfIt { get; init; }

    public string? Note { get; init; }
}

public class Orders
{
    public Order Handle(Order order) => order with { URLOfIt = $"/orders/{order.Id}" };

    public Loop Endless() => new();

    [LambdaSerializer(typeof(Shouting))]
    public string Shout(string value) => value + "!";

    [LambdaSerializer(typeof(Silent))]
    public string Unreadable(string value) => value;
}

public class Loop
{
    public Loop Again => this;
}

public class Shouting : ILambdaSerializer
{
    public T Deserialize<T>(Stream requestStream) =>
        (T)(object)new StreamReader(requestStream).ReadToEnd();

    public void Serialize<T>(T response, Stream responseStream) =>
        responseStream.Write(Encoding.UTF8.GetBytes($"{typeof(T).Name}: {response}".ToUpperInvariant()));
}

public class Silent
{
}
