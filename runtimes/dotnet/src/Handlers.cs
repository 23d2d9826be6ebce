// Finds what "Assembly::Namespace.Class::Method" names. The rules, and the words for what breaks
// them, are those of Lambda's runtime.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace Microfaas;

internal static class Handlers
{
    public const string Core = "Amazon.Lambda.Core";
    private const string ContextName = Core + ".ILambdaContext";
    private const BindingFlags Any =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static;

    // Raises LoadingFailed, and whatever the function's own code does.
    public static Function Find(string handler, string folder)
    {
        string[] parts = handler.Split("::");
        if (parts.Length != 3 || parts.Any(string.IsNullOrWhiteSpace))
        {
            throw new LoadingFailed(
                $"Invalid lambda function handler: '{handler}'. The valid format is 'ASSEMBLY::TYPE::METHOD'.");
        }
        return Find(Code.Open(folder, parts[0]), parts[1], parts[2]);
    }

    public static Function Find(Assembly assembly, string typeName, string methodName)
    {
        string name = assembly.GetName().Name!;
        Logger.TakeOver(assembly);
        Type type = assembly.GetType(typeName)
            ?? throw new LoadingFailed($"Unable to load type '{typeName}' from assembly '{name}'.");
        MethodInfo method = Method(type, methodName) ?? throw new LoadingFailed(
            $"Unable to find method '{methodName}' in type '{typeName}' from assembly '{name}': "
            + $"Found no methods matching method name '{methodName}'.");
        Check(method);
        CheckType(type, method);
        (Type? eventType, Type? contextType) = Parameters(method, type);
        object? target = Target(type, method);
        return new Function(method, target, eventType, contextType, Payloads.For(method, type.Assembly));
    }

    // By its name, or by all of its signature when there are several of that name.
    private static MethodInfo? Method(Type type, string wanted)
    {
        for (Type? one = type; one != null; one = one.BaseType)
        {
            MethodInfo[] own = one.GetMethods(Any);
            List<MethodInfo> named = own.Where(method => method.Name == wanted).ToList();
            if (named.Count > 1)
            {
                string candidates = string.Join("\n", named.Select(method => method.ToString()));
                throw new LoadingFailed(
                    $"The method '{wanted}' in type '{one.FullName}' appears to have a number of overloads. To call "
                    + $"this method please specify a complete method signature. Possible candidates are:\n{candidates}.");
            }
            if (named.Count == 1 || own.Any(method => method.ToString() == wanted))
            {
                return named.FirstOrDefault() ?? own.First(method => method.ToString() == wanted);
            }
        }
        return null;
    }

    private static void Check(MethodInfo method)
    {
        string? fault = null;
        if (method.IsAbstract)
        {
            fault = "is an abstract method. Handler methods cannot be abstract. Please specify a non-abstract handler method";
        }
        else if (method.IsGenericMethod)
        {
            fault = "is a generic method. Handler methods cannot be generic. Please specify a non-generic handler method";
        }
        else if (method.ReturnType == typeof(void) && method.IsDefined(typeof(AsyncStateMachineAttribute)))
        {
            fault = "is an 'async void' method. Handler methods cannot be 'async void'. Please specify a method that "
                + "is not 'async void'";
        }
        else if (method.GetParameters().LastOrDefault()?.IsDefined(typeof(ParamArrayAttribute)) == true)
        {
            fault = "is a 'params' method. Please specify a method that does not use 'params'";
        }
        if (fault != null)
        {
            throw new LoadingFailed($"The method '{method}' cannot be used as a Lambda Handler because it {fault}.");
        }
    }

    private static void CheckType(Type type, MethodInfo method)
    {
        if (type.IsGenericType)
        {
            throw new LoadingFailed(
                $"The type '{type.FullName}' cannot be used as a Lambda Handler type because it is generic. Handler "
                + "methods cannot be located in generic types. Please specify a handler method in a non-generic type.");
        }
        if (!method.IsStatic && type.IsAbstract)
        {
            throw new LoadingFailed(
                $"The instance method '{method}' cannot be used as a Lambda Handler because its type '{type.FullName}' "
                + "is abstract. Please either use a static handler or specify a type that is not abstract.");
        }
    }

    // The type of the event and that of the context; null for what the method does not take.
    private static (Type? Event, Type? Context) Parameters(MethodInfo method, Type type)
    {
        Type[] types = method.GetParameters().Select(parameter => parameter.ParameterType).ToArray();
        string refused = $"Method '{method.Name}' of type '{type.FullName}' is not supported: the method has ";
        return types switch
        {
            [] => (null, null),
            [var one] when IsContext(one) => (null, one),
            [var one] => (one, null),
            [var one, var two] when IsContext(two) => (one, two),
            [_, _] => throw new LoadingFailed(
                $"{refused}2 parameters, but the second parameter is not of type '{ContextName}'."),
            _ => throw new LoadingFailed($"{refused}more than 2 parameters."),
        };
    }

    private static bool IsContext(Type type) => type.IsInterface && type.FullName == ContextName;

    // Runs the class's own code, while it is loaded and not at the first invocation.
    private static object? Target(Type type, MethodInfo method)
    {
        if (method.IsStatic)
        {
            RuntimeHelpers.RunClassConstructor(type.TypeHandle);
            return null;
        }
        try
        {
            return Activator.CreateInstance(type);
        }
        catch (TargetInvocationException e) when (e.InnerException != null)
        {
            ExceptionDispatchInfo.Throw(e.InnerException);
            throw;
        }
    }
}
