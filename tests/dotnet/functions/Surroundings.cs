// What a function finds round itself.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Threading.Tasks;
using Amazon.Lambda.Core;

namespace App;

public class Surroundings
{
    public async Task<object?> Handle(Dictionary<string, string> call, ILambdaContext context) => call["what"] switch
    {
        "context" => Describe(context),
        "variable" => Environment.GetEnvironmentVariable(call["name"]),
        "child" => await Run(call["script"]),
        "print" => Print(),
        "buffer" => Buffer(),
        "log" => Log(context.Logger),
        "exit" => Exit(int.Parse(call["status"])),
        "culture" => string.Compare("a", "B", StringComparison.CurrentCulture) + " "
            + 1.5.ToString(new CultureInfo("de-DE")),
        "host" => Assembly.GetEntryAssembly()!.GetName().Name,
        "file" => File.ReadAllText(call["name"]),
        "core" => typeof(ILambdaContext).Assembly.Location,
        _ => throw new ArgumentException(call["what"]),
    };

    private static object Describe(ILambdaContext context) => new Dictionary<string, object?>
    {
        ["id"] = context.AwsRequestId,
        ["function"] = $"{context.FunctionName}:{context.FunctionVersion}",
        ["arn"] = context.InvokedFunctionArn,
        ["memory"] = context.MemoryLimitInMB,
        ["log"] = $"{context.LogGroupName} {context.LogStreamName}",
        ["client"] = context.ClientContext.Client?.AppTitle,
        ["custom"] = context.ClientContext.Custom,
        ["identity"] = context.Identity.IdentityId,
        ["remaining"] = context.RemainingTime.TotalMilliseconds,
        ["trace"] = Environment.GetEnvironmentVariable("_X_AMZN_TRACE_ID"),
        ["same logger"] = context.Logger == context.Logger,
    };

    private static async Task<string> Run(string script)
    {
        ProcessStartInfo shell = new("/bin/sh", ["-c", script]) { RedirectStandardOutput = true };
        using Process child = Process.Start(shell)!;
        return await child.StandardOutput.ReadToEndAsync();
    }

    private static object? Print()
    {
        Console.Write("half a line, ");
        Console.Write("formatted {0}\n", 1);
        Console.Error.Write("errors ü\n");
        Console.WriteLine("a line");
        Console.WriteLine("{0} and {1}", 1, true);
        Console.WriteLine(1.5);
        Console.Error.WriteLine(new object());
        return null;
    }

    private static object? Buffer()
    {
        Console.SetOut(new StreamWriter(Console.OpenStandardOutput(), bufferSize: 4096));
        Console.Write("held back");
        return null;
    }

    private static object? Log(ILambdaLogger logger)
    {
        logger.Log("as it is\n");
        logger.LogLine("a line");
        logger.LogInformation("for you");
        logger.Log(LogLevel.Debug, "fine");
        logger.Log("Error", "grave");
        logger.LogInformation("{count} of {thing,6}, {{not}} {@all}", 2, "tea", new[] { 1 });
        logger.LogError(new IOException("broken"), "{0} times", 3);
        LambdaLogger.Log("static");
        LambdaLogger.Log("Critical", "static {n}", 4);
        return null;
    }

    private static object? Exit(int status)
    {
        Console.Write("the last words");
        Environment.Exit(status);
        return null;
    }
}
