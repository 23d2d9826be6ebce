// The function's own ILambdaLogger, made at run time, and what its static LambdaLogger is told.
using System;
using System.Linq;
using System.Reflection;
using System.Runtime.Loader;

namespace Microfaas;

public class Logger : DispatchProxy
{
    private const string StaticName = Handlers.Core + ".LambdaLogger";
    private const BindingFlags Hidden = BindingFlags.NonPublic | BindingFlags.Static;

    private static object? only;

    internal static object Of(Type type)
    {
        if (!type.IsInstanceOfType(only))
        {
            only = Create(type, typeof(Logger));
        }
        return only!;
    }

    // Lambda's library prints to the console until the runtime sets these fields of it; which of them
    // there are depends on its version.
    internal static void TakeOver(Assembly assembly)
    {
        AssemblyName? core = assembly.GetReferencedAssemblies().FirstOrDefault(one => one.Name == Handlers.Core);
        if (core != null)
        {
            TakeOver(AssemblyLoadContext.GetLoadContext(assembly)!.LoadFromAssemblyName(core).GetType(StaticName));
        }
    }

    internal static void TakeOver(Type? type)
    {
        Set<Action<string>>(type, "_loggingAction", message => Log.Line(null, message));
        Set<Action<string, string, object[]>>(
            type, "_loggingWithLevelAction", (level, message, values) => Write(level, null, message, values));
        Set<Action<string, Exception, string, object[]>>(type, "_loggingWithLevelAndExceptionAction", Write);
    }

    // Log and LogLine, those with a level in their name, and each with or without a level, an
    // exception and values.
    protected override object? Invoke(MethodInfo? method, object?[]? args)
    {
        object?[] given = args ?? [];
        if (method!.Name == "Log" && given.Length == 1)
        {
            Log.Print((string?)given[0]);
            return null;
        }
        int at = 0;
        string? level = method.Name is "Log" or "LogLine" or "LogEntry" ? "Information" : method.Name["Log".Length..];
        if (method.Name is "Log" or "LogEntry")
        {
            level = given[at++]?.ToString();
        }
        Exception? error = IsException(method, at) ? (Exception?)given[at++] : null;
        object? message = at < given.Length ? given[at++] : null;
        Write(level, error, message?.ToString(), at < given.Length ? given[at] as object?[] : null);
        return null;
    }

    private static bool IsException(MethodInfo method, int at)
    {
        ParameterInfo[] parameters = method.GetParameters();
        return at < parameters.Length && typeof(Exception).IsAssignableFrom(parameters[at].ParameterType);
    }

    // A level that is none stands as it is told.
    private static void Write(string? level, Exception? error, string? message, object?[]? values)
    {
        Level? known = Log.Parse(level);
        string? text = known == null && !string.IsNullOrEmpty(level) ? $"{level}\t{message}" : message;
        Log.Line(known, text, error, values);
    }

    private static void Set<T>(Type? type, string name, T action)
    {
        if (type?.GetField(name, Hidden) is { } field && field.FieldType == typeof(T))
        {
            field.SetValue(null, action);
        }
    }
}
