// Payloads by the serializer that the function ships and names in its LambdaSerializer attribute.
using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;

namespace Microfaas;

internal sealed class OwnPayloads(object serializer) : Payloads
{
    public const string InterfaceName = Handlers.Core + ".ILambdaSerializer";

    private readonly Type kind = serializer.GetType().GetInterface(InterfaceName)!;
    private readonly Dictionary<Type, MethodInvoker> readers = [];
    private readonly Dictionary<Type, MethodInvoker> writers = [];

    public override object Serializer => serializer;

    protected override object? ReadValue(ArraySegment<byte> payload, Type type)
    {
        using MemoryStream stream = new(payload.Array!, payload.Offset, payload.Count, false, true);
        return Of(readers, "Deserialize", type).Invoke(serializer, stream);
    }

    protected override void WriteValue(object? value, Type type, Stream output) =>
        Of(writers, "Serialize", type).Invoke(serializer, value, output);

    // Its generic method for one type.
    private MethodInvoker Of(Dictionary<Type, MethodInvoker> known, string name, Type type)
    {
        if (!known.TryGetValue(type, out MethodInvoker? method))
        {
            method = MethodInvoker.Create(kind.GetMethod(name)!.MakeGenericMethod(type));
            known[type] = method;
        }
        return method;
    }
}
