// The function's own ILambdaContext, made at run time: the library with that interface comes with the
// function, in whatever version.
using System;
using System.Collections.Generic;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Microfaas;

public class Context : DispatchProxy
{
    private static string function = "";
    private static string version = "";
    private static string group = "";
    private static string stream = "";
    private static int memory;

    private Invocation invocation = null!;
    private Payloads payloads = null!;
    private object? client;
    private object? identity;

    internal static object Of(Type type, Invocation invocation, Payloads payloads)
    {
        Context context = (Context)Create(type, typeof(Context));
        context.invocation = invocation;
        context.payloads = payloads;
        return context;
    }

    internal static void Configure()
    {
        function = Variable("AWS_LAMBDA_FUNCTION_NAME");
        version = Variable("AWS_LAMBDA_FUNCTION_VERSION");
        group = Variable("AWS_LAMBDA_LOG_GROUP_NAME");
        stream = Variable("AWS_LAMBDA_LOG_STREAM_NAME");
        _ = int.TryParse(Variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), out memory);
    }

    protected override object? Invoke(MethodInfo? method, object?[]? args) => method!.Name switch
    {
        "get_AwsRequestId" => invocation.Id,
        "get_FunctionName" => function,
        "get_FunctionVersion" => version,
        "get_InvokedFunctionArn" => invocation.Arn,
        "get_LogGroupName" => group,
        "get_LogStreamName" => stream,
        "get_MemoryLimitInMB" => memory,
        "get_RemainingTime" => invocation.Remaining,
        "get_TraceId" => invocation.TraceId,
        "get_Logger" => Logger.Of(method.ReturnType),
        "get_Serializer" => payloads.Serializer,
        "get_ClientContext" => client ??= ClientOf(method.ReturnType),
        "get_Identity" => identity ??= Facts.Of(method.ReturnType, []),
        _ => Facts.Nothing(method.ReturnType),
    };

    private object ClientOf(Type type)
    {
        ClientContext told = invocation.Client;
        Dictionary<string, object?> facts = new() { ["Custom"] = told.Custom, ["Environment"] = told.Environment };
        if (told.Client is { } app && type.GetProperty("Client")?.PropertyType is { } appType)
        {
            facts["Client"] = Facts.Of(appType, new()
            {
                ["AppPackageName"] = app.GetValueOrDefault("app_package_name"),
                ["AppTitle"] = app.GetValueOrDefault("app_title"),
                ["AppVersionCode"] = app.GetValueOrDefault("app_version_code"),
                ["AppVersionName"] = app.GetValueOrDefault("app_version_name"),
                ["InstallationId"] = app.GetValueOrDefault("installation_id"),
            });
        }
        return Facts.Of(type, facts);
    }

    private static string Variable(string name) => Environment.GetEnvironmentVariable(name) ?? "";
}

// An interface of properties alone.
public class Facts : DispatchProxy
{
    private const int Prefix = 4;

    private Dictionary<string, object?> values = null!;

    internal static object Of(Type type, Dictionary<string, object?> values)
    {
        Facts facts = (Facts)Create(type, typeof(Facts));
        facts.values = values;
        return facts;
    }

    internal static object? Nothing(Type type) =>
        type.IsValueType && type != typeof(void) ? RuntimeHelpers.GetUninitializedObject(type) : null;

    protected override object? Invoke(MethodInfo? method, object?[]? args) =>
        values.TryGetValue(method!.Name[Prefix..], out object? value) ? value : Nothing(method.ReturnType);
}
