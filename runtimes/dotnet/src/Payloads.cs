// How a function's events are read and its results written: streams as they are, all else by the
// serializer that the function names, or by System.Text.Json, set as Lambda's own serializer sets it.
using System;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Microfaas;

internal class Payloads
{
    private const string AttributeName = Handlers.Core + ".LambdaSerializerAttribute";
    private const int LevelsMax = 1000;

    private static readonly JsonSerializerOptions Options = new()
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        PropertyNameCaseInsensitive = true,
        PropertyNamingPolicy = new LambdasNames(),
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        MaxDepth = LevelsMax,
    };

    // The function's own serializer; null when it has none.
    public virtual object? Serializer => null;

    // Raises LoadingFailed.
    public static Payloads For(MethodInfo method, Assembly assembly)
    {
        Attribute? named = method.GetCustomAttributes().FirstOrDefault(IsSerializer)
            ?? assembly.GetCustomAttributes().FirstOrDefault(IsSerializer);
        return named == null ? new Payloads() : new OwnPayloads(Create(named));
    }

    public object? Read(ArraySegment<byte> payload, Type type)
    {
        if (type.IsAssignableFrom(typeof(MemoryStream)) && typeof(Stream).IsAssignableFrom(type))
        {
            return new MemoryStream(payload.Array!, payload.Offset, payload.Count, false, true);
        }
        return ReadValue(payload, type);
    }

    // False when there is nothing to write.
    public bool Write(object? value, Type type, Stream output)
    {
        if (!typeof(Stream).IsAssignableFrom(type))
        {
            WriteValue(value, type, output);
            return true;
        }
        if (value is not Stream stream)
        {
            return false;
        }
        using (stream)
        {
            stream.CopyTo(output);
        }
        return true;
    }

    protected virtual object? ReadValue(ArraySegment<byte> payload, Type type)
    {
        try
        {
            return JsonSerializer.Deserialize(payload.AsSpan(), type, Options);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            string kind = type == typeof(string)
                ? "a string. JSON strings must be quoted, for example \"Hello World\" in order to be converted to a string"
                : $"type {type.FullName}";
            throw new JsonSerializerException($"Error converting the Lambda event JSON payload to {kind}: {e.Message}", e);
        }
    }

    protected virtual void WriteValue(object? value, Type type, Stream output)
    {
        try
        {
            JsonSerializer.Serialize(output, value, type, Options);
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            throw new JsonSerializerException(
                $"Error converting the response object of type {type.FullName} from the Lambda function to JSON: {e.Message}", e);
        }
    }

    private static bool IsSerializer(Attribute attribute)
    {
        for (Type? one = attribute.GetType(); one != null; one = one.BaseType)
        {
            if (one.FullName == AttributeName)
            {
                return true;
            }
        }
        return false;
    }

    private static object Create(Attribute attribute)
    {
        string name = attribute.GetType().FullName!;
        if (attribute.GetType().GetProperty("SerializerType")?.GetValue(attribute) is not Type type)
        {
            throw new LoadingFailed($"The 'SerializerType' property on attribute class '{name}' is not set.");
        }
        ConstructorInfo constructor = type.GetConstructor(Type.EmptyTypes) ?? throw new LoadingFailed(
            $"The indicated serializer '{type.FullName}' does not define a public zero-parameter constructor.");
        if (type.GetInterface(OwnPayloads.InterfaceName) == null)
        {
            throw new LoadingFailed(
                $"The '{type.FullName}' class is invalid: it does not implement the 'ILambdaSerializer' interface.");
        }
        return constructor.Invoke(BindingFlags.DoNotWrapExceptions, null, null, null);
    }

    // Camel case, but for two names of S3's events.
    private sealed class LambdasNames : JsonNamingPolicy
    {
        public override string ConvertName(string name) => name switch
        {
            "XAmzId2" => "x-amz-id-2",
            "XAmzRequestId" => "x-amz-request-id",
            _ => CamelCase.ConvertName(name),
        };
    }
}

// The name that Lambda's serializer gives to it is what callers see.
internal sealed class JsonSerializerException(string message, Exception cause) : Exception(message, cause);
