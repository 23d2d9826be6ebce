// Goes the whole way of an invocation with a function of the host's own, before anybody waits: what
// it needs is loaded then, and compiled.
using System;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.Loader;

namespace Microfaas;

internal static class WarmUp
{
    private const string Sample = "Microfaas.Warm.Sample";
    private const int Rounds = 4;
    private static readonly string[] Methods = ["Sync", "Async", "Raw", "Words", "Values", "Text"];

    private static ReadOnlySpan<byte> Event => """
        {"name": "warm \u00fc", "count": 3, "large": 4000000000, "ratio": 0.5, "price": 1.25, "on": true,
         "maybe": 1, "nothing": null, "tags": ["a", "b"], "headers": {"x": "y"}, "data": "aGVsbG8=",
         "at": "2020-01-02T03:04:05Z", "since": "2020-01-02T03:04:05+01:00", "body": {"k": [1, {"z": "ß"}]},
         "key": "0f8fad5b-d9cb-469f-a165-70867728950e", "day": 3, "items": [{"name": "a"}]}
        """u8;

    public static void Run()
    {
        try
        {
            Load();
            foreach (string name in Methods)
            {
                Function function = Find(name);
                for (int i = 0; i < Rounds; i++)
                {
                    Call(function);
                }
            }
            Fail();
            Compile(typeof(Host), typeof(Frames), typeof(Handlers), typeof(Code), typeof(Logger), typeof(Log));
        }
        catch (Exception e)
        {
            // A cold host works as well, only later.
            Console.Error.Write($"the host could not warm up: {e}\n");
        }
    }

    // As it goes with `init`, but that nothing of the assembly is used.
    private static void Load()
    {
        Host.Take(new() { [Host.Folder] = Environment.GetEnvironmentVariable(Host.Folder) });
        string own = typeof(WarmUp).Assembly.Location;
        Assembly again = Code.Open(Path.GetDirectoryName(own)!, Path.GetFileNameWithoutExtension(own));
        AssemblyName other = again.GetReferencedAssemblies()[0];
        AssemblyLoadContext.GetLoadContext(again)!.LoadFromAssemblyName(other).GetType(Sample);
        // .NET compares the names of assemblies so when they are found in the function's folder, and
        // ICU's tables for it take 10 ms.
        _ = own.Equals(other.Name, StringComparison.InvariantCultureIgnoreCase);
        Logger.TakeOver(typeof(Amazon.Lambda.Core.LambdaLogger));
        Log.Flush();
    }

    // What has not been run yet.
    private static void Compile(params Type[] types)
    {
        const BindingFlags Own = BindingFlags.DeclaredOnly | BindingFlags.Public | BindingFlags.NonPublic
            | BindingFlags.Instance | BindingFlags.Static;
        foreach (MethodInfo method in types.SelectMany(type => type.GetMethods(Own)))
        {
            if (!method.ContainsGenericParameters)
            {
                RuntimeHelpers.PrepareMethod(method.MethodHandle);
            }
        }
        RuntimeHelpers.RunClassConstructor(typeof(Code).TypeHandle);
    }

    private static Function Find(string method) => Handlers.Find(typeof(WarmUp).Assembly, Sample, method);

    private static void Call(Function function)
    {
        MsgpackWriter writer = new();
        writer.Start(0, 6);
        writer.Field("kind", "invoke").Field("id", "0").Field("event", Event);
        writer.Field("deadline_ms", 0).Field("arn", "arn:").Field("client_context", """{"custom": {"a": "b"}}"""u8);
        Invocation invocation = new(new MsgpackReader(writer.Written.ToArray(), 0).Message());
        using MemoryStream output = new();
        function.Call(invocation.Event, invocation, output);
        writer.Start(0, 2);
        writer.Field("kind", "result").Field("payload", output.ToArray());
    }

    private static void Fail()
    {
        try
        {
            Call(Find("Fail"));
        }
        catch (InvalidOperationException e)
        {
            Errors.Json(e);
            Errors.Text(e);
        }
    }
}
