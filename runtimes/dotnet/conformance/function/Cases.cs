// The conformance suite's cases in C#.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Amazon.Lambda.Core;

namespace Conformance;

public class Cases
{
    private const int Page = 4096;
    private const string Seen = "/tmp/seen";
    private const string ListDescriptors = "for fd in 3 4 5; do [ ! -e /proc/$$/fd/$fd ] || echo $fd; done";

    private static int count;
    private static volatile int ticks;
    private static Thread? ticking;

    public async Task<object?> Handle(Dictionary<string, JsonElement> call, ILambdaContext context)
    {
        switch (call["case"].GetString())
        {
            case "echo": return call["value"];
            case "null": return null;
            case "fail": throw new InvalidOperationException(call["message"].GetString());
            case "exit":
                Environment.Exit(call["status"].GetInt32());
                return null;
            case "sleep":
                await Task.Delay(TimeSpan.FromSeconds(call["seconds"].GetDouble()));
                return call["seconds"];
            case "spin":
                while (count >= 0)
                {
                }
                return null;
            case "allocate": return Allocate(call["mb"].GetInt32());
            case "print": return Print(context);
            case "remaining": return context.RemainingTime.TotalMilliseconds;
            case "context": return Describe(context);
            case "environment": return Variables();
            case "count": return ++count;
            case "ticks": return Tick();
            case "tmp": return Write(call["value"]);
            case "cwd": return new { cwd = Directory.GetCurrentDirectory(), listed = File.Exists("marker.txt") };
            case "child": return await Run("/bin/echo", "from a child");
            case "pid": return new { pid = Environment.ProcessId, inherited = Inherited() };
            default: throw new ArgumentException(call["case"].GetString());
        }
    }

    private static int Allocate(int mb)
    {
        byte[] held = new byte[mb << 20];
        for (int at = 0; at < held.Length; at += Page)
        {
            held[at] = 1;
        }
        return mb;
    }

    private static object? Print(ILambdaContext context)
    {
        // Lambda makes a log line of what WriteLine is given.
        Console.Out.Write("to stdout\n");
        Console.Error.Write("to stderr\n");
        context.Logger.LogWarning("to the logger");
        return null;
    }

    private static object Describe(ILambdaContext context) => new Dictionary<string, object?>
    {
        ["request_id"] = context.AwsRequestId,
        ["function_name"] = context.FunctionName,
        ["function_version"] = context.FunctionVersion,
        ["invoked_function_arn"] = context.InvokedFunctionArn,
        ["memory_limit_in_mb"] = context.MemoryLimitInMB,
        ["log_group_name"] = context.LogGroupName,
        ["log_stream_name"] = context.LogStreamName,
        ["client_context"] = context.ClientContext.Custom,
        ["remaining_is_positive"] = context.RemainingTime > TimeSpan.Zero,
    };

    private static object Variables() => Environment.GetEnvironmentVariables()
        .Cast<DictionaryEntry>()
        .ToDictionary(one => (string)one.Key, one => (string?)one.Value);

    private static int Tick()
    {
        if (ticking == null)
        {
            ticking = new Thread(Count) { IsBackground = true };
            ticking.Start();
        }
        return ticks;
    }

    private static void Count()
    {
        while (true)
        {
            Thread.Sleep(10);
            ticks++;
        }
    }

    private static object Write(JsonElement value)
    {
        bool before = File.Exists(Seen);
        File.WriteAllText(Seen, value.GetRawText());
        return new { read = JsonDocument.Parse(File.ReadAllText(Seen)).RootElement, before };
    }

    private static async Task<int> Run(string program, params string[] arguments)
    {
        using Process child = Process.Start(new ProcessStartInfo(program, arguments))!;
        await child.WaitForExitAsync();
        return child.ExitCode;
    }

    private static int Inherited()
    {
        ProcessStartInfo shell = new("/bin/sh", ["-c", ListDescriptors]) { RedirectStandardOutput = true };
        using Process child = Process.Start(shell)!;
        return child.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).Length;
    }
}
