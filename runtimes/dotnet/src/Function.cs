// One handler, ready to be called: what it takes, what it gives, and how both are read and written.
using System;
using System.IO;
using System.Reflection;
using System.Threading.Tasks;

namespace Microfaas;

internal sealed class Function
{
    private static readonly byte[] Null = "null"u8.ToArray();

    private readonly MethodInvoker method;
    private readonly object? target;
    private readonly Type? eventType;
    private readonly Type? contextType;
    private readonly Payloads payloads;
    private readonly Func<object?, Stream, bool> finish;

    public Function(MethodInfo method, object? target, Type? eventType, Type? contextType, Payloads payloads)
    {
        this.method = MethodInvoker.Create(method);
        this.target = target;
        this.eventType = eventType;
        this.contextType = contextType;
        this.payloads = payloads;
        finish = Finish(method.ReturnType);
    }

    // What the handler gives is in `output` then, as it is sent.
    public void Call(ArraySegment<byte> payload, Invocation invocation, MemoryStream output)
    {
        object? given = eventType == null ? null : payloads.Read(payload, eventType);
        object? context = contextType == null ? null : Context.Of(contextType, invocation, payloads);
        object? returned = (eventType, contextType) switch
        {
            (null, null) => method.Invoke(target),
            (null, _) => method.Invoke(target, context),
            (_, null) => method.Invoke(target, given),
            _ => method.Invoke(target, given, context),
        };
        if (!finish(returned, output))
        {
            output.Write(Null);
        }
    }

    // Waits for what a handler of such a type returned and writes it; false when that is nothing.
    private Func<object?, Stream, bool> Finish(Type type)
    {
        if (type == typeof(void))
        {
            return (_, _) => false;
        }
        if (ResultOf(type) is { } result)
        {
            return FinishTask(type, result);
        }
        if (typeof(Task).IsAssignableFrom(type))
        {
            return (task, _) => Waited((Task?)task);
        }
        if (type == typeof(ValueTask))
        {
            return (task, _) => Waited(((ValueTask)task!).AsTask());
        }
        return (value, output) => payloads.Write(value, type, output);
    }

    private Func<object?, Stream, bool> FinishTask(Type type, Type result)
    {
        bool isValue = type.IsValueType;
        MethodInvoker? asTask = isValue ? MethodInvoker.Create(type.GetMethod("AsTask")!) : null;
        Type taskType = typeof(Task<>).MakeGenericType(result);
        MethodInvoker value = MethodInvoker.Create(taskType.GetMethod("get_Result")!);
        return (task, output) =>
        {
            Task? plain = (Task?)(asTask == null ? task : asTask.Invoke(task));
            Waited(plain);
            return payloads.Write(value.Invoke(plain), result, output);
        };
    }

    // The T of Task<T>, of what is derived from that, and of ValueTask<T>.
    private static Type? ResultOf(Type type)
    {
        for (Type? one = type; one != null; one = one.BaseType)
        {
            if (one.IsGenericType && one.GetGenericTypeDefinition() is { } open
                && (open == typeof(Task<>) || open == typeof(ValueTask<>)))
            {
                return one.GetGenericArguments()[0];
            }
        }
        return null;
    }

    private static bool Waited(Task? task)
    {
        if (task == null)
        {
            throw new InvalidOperationException("the handler returned no task to wait for");
        }
        task.GetAwaiter().GetResult();
        return false;
    }
}
