// Speaks with the supervisor on descriptors 3 and 4, and calls one function's handler.
using System;
using System.Collections.Generic;
using System.IO;

namespace Microfaas;

internal sealed class Host(Frames frames)
{
    public const string Folder = "LAMBDA_TASK_ROOT";
    private const int Protocol = 1;
    private const int Requests = 3;
    private const int Replies = 4;
    private const int KeptMax = 1 << 20;
    private const string TraceVariable = "_X_AMZN_TRACE_ID";
    private const string WhyNot = "the .NET runtime has threads and cannot be forked";

    private Function? function;
    private string? trace;
    private MemoryStream output = new();

    public static int Main()
    {
        if (!Native.HasIcu())
        {
            AppContext.SetSwitch("System.Globalization.Invariant", true);
        }
        Log.Install();
        Frames frames = new(Requests, Replies);
        WarmUp.Run();
        return new Host(frames).Serve();
    }

    // Until the end; the status to exit with.
    private int Serve()
    {
        try
        {
            frames.Reply("ready", 2).Field("protocol", Protocol).Field("pid", Environment.ProcessId);
            frames.Send();
            for (Dictionary<string, object?>? message = frames.Read(); message != null; message = frames.Read())
            {
                switch (message["kind"] as string)
                {
                    case "init" when !Load(message):
                        return 1;
                    case "init":
                        break;
                    case "invoke":
                        Invoke(new Invocation(message));
                        break;
                    case "stop":
                        return 0;
                    default:
                        throw new InvalidDataException($"a message of the kind {message["kind"]}");
                }
            }
            return 0;
        }
        catch (Exception e) when (e is IOException or InvalidDataException)
        {
            Console.Error.Write($"the host cannot speak with the supervisor: {e.Message}\n");
            return 1;
        }
    }

    private bool Load(Dictionary<string, object?> message)
    {
        try
        {
            Take(message.GetValueOrDefault("env") as Dictionary<string, object?> ?? []);
            string folder = Environment.GetEnvironmentVariable(Folder) ?? Directory.GetCurrentDirectory();
            function = Handlers.Find((string)message["handler"]!, folder);
        }
        catch (Exception e)
        {
            Fail("", e);
            return false;
        }
        Log.Flush();
        frames.Reply("loaded", 2).Field("forkable", false).Field("why", WhyNot);
        frames.Send();
        return true;
    }

    public static void Take(Dictionary<string, object?> variables)
    {
        foreach ((string name, object? value) in variables)
        {
            Native.SetVariable(name, (string?)value ?? "");
        }
        Log.Configure();
        Context.Configure();
    }

    private void Invoke(Invocation invocation)
    {
        Begin(invocation);
        try
        {
            function!.Call(invocation.Event, invocation, output);
        }
        catch (Exception e)
        {
            Fail(invocation.Id, e);
            return;
        }
        Log.Flush();
        frames.Reply("result", 2)
            .Field("id", invocation.Id)
            .Field("payload", output.GetBuffer().AsSpan(0, (int)output.Length));
        frames.Send();
    }

    private void Begin(Invocation invocation)
    {
        Log.RequestId = invocation.Id;
        if (invocation.TraceId != trace)
        {
            trace = invocation.TraceId;
            Environment.SetEnvironmentVariable(TraceVariable, trace);
        }
        // What one large result needed is not kept.
        if (output.Capacity > KeptMax)
        {
            output = new MemoryStream();
        }
        output.SetLength(0);
    }

    private void Fail(string id, Exception error)
    {
        Log.Failure(error);
        Log.Flush();
        frames.Reply("error", 3).Field("id", id).Field("type", Errors.Type(error)).Field("payload", Errors.Json(error));
        frames.Send();
    }
}
