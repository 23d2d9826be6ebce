// Functions that fail, in all the ways there are.
using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;
using System.Threading.Tasks;

namespace App;

public class Faults
{
    private static int calls;

    public async Task<object> Handle(Dictionary<string, string> call)
    {
        calls++;
        switch (call["how"])
        {
            case "caused": throw Caused();
            case "later":
                await Task.Delay(1);
                throw new ArgumentException("after a while");
            case "several": throw new AggregateException("both", new IOException("one"), new TimeoutException("two"));
            case "waited":
                Task.Run(() => throw new IOException("in a task")).Wait();
                break;
            case "memory": return new byte[1 << 30].Length;
            case "deep": return Deeper(0);
            case "thread":
                new Thread(() => throw new InvalidOperationException("in a thread")).Start();
                Thread.Sleep(60_000);
                break;
            case "lost":
                _ = Task.Run(() => throw new InvalidOperationException("nobody waits for it"));
                await Task.Delay(10);
                GC.Collect();
                break;
        }
        return new { calls };
    }

    public Task? None(string value) => null;

    private static Exception Caused()
    {
        try
        {
            throw new IOException("inner");
        }
        catch (IOException e)
        {
            return new InvalidOperationException("outer", e);
        }
    }

    private static int Deeper(int depth) => Deeper(depth + 1) + Environment.TickCount;
}

public class Constructor
{
    public Constructor() => throw new ArgumentException("not today");

    public string Handle(string value) => value;
}

public static class Initializer
{
    private static readonly string Value = Environment.GetEnvironmentVariable("NOT_THERE")!.Trim();

    public static string Handle(string value) => Value;
}

public class Closed
{
    private Closed()
    {
    }

    public string Handle(string value) => value;
}
