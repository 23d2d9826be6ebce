// What the host asks of the system by itself: plain reads and writes, and what it knows of ICU.
using System;
using System.IO;
using System.Reflection;
using System.Runtime.InteropServices;

namespace Microfaas;

internal static unsafe class Native
{
    private const int Interrupted = 4;
    private const int SetDescriptorFlags = 2;
    private const int CloseOnExec = 1;

    // 0 at the end of file.
    public static int Read(int descriptor, Span<byte> into)
    {
        fixed (byte* place = into)
        {
            while (true)
            {
                nint got = read(descriptor, place, (nuint)into.Length);
                if (got >= 0)
                {
                    return (int)got;
                }
                ThrowUnlessInterrupted("read from");
            }
        }
    }

    public static void Write(int descriptor, ReadOnlySpan<byte> from)
    {
        fixed (byte* place = from)
        {
            for (int done = 0; done < from.Length;)
            {
                nint put = write(descriptor, place + done, (nuint)(from.Length - done));
                if (put < 0)
                {
                    ThrowUnlessInterrupted("write to");
                    continue;
                }
                done += (int)put;
            }
        }
    }

    public static void KeepFromChildren(int descriptor) => fcntl(descriptor, SetDescriptorFlags, CloseOnExec);

    // For .NET, which has variables of its own, and for libraries that are not .NET's.
    public static void SetVariable(string name, string value)
    {
        setenv(name, value, 1);
        Environment.SetEnvironmentVariable(name, value);
        if (value.Length == 0 && Environment.GetEnvironmentVariable(name) == null)
        {
            // Before .NET 9 an empty one is none, unless it is set by what that calls.
            typeof(object).Assembly.GetType("Interop+Kernel32")
                ?.GetMethod("SetEnvironmentVariable", BindingFlags.NonPublic | BindingFlags.Static)
                ?.Invoke(null, [name, ""]);
        }
    }

    // Where there is none, the runtime would end the process at the first comparison of texts.
    public static bool HasIcu()
    {
        try
        {
            return GlobalizationNative_LoadICU() != 0;
        }
        catch (Exception e) when (e is EntryPointNotFoundException or DllNotFoundException)
        {
            return true;
        }
    }

    private static void ThrowUnlessInterrupted(string what)
    {
        int error = Marshal.GetLastPInvokeError();
        if (error != Interrupted)
        {
            throw new IOException($"cannot {what} the supervisor: error {error}");
        }
    }

    [DllImport("libc", SetLastError = true)]
    private static extern nint read(int descriptor, byte* into, nuint count);

    [DllImport("libc", SetLastError = true)]
    private static extern nint write(int descriptor, byte* from, nuint count);

    [DllImport("libc")]
    private static extern int fcntl(int descriptor, int command, int argument);

    [DllImport("libc")]
    private static extern int setenv(string name, string value, int replace);

    [DllImport("libSystem.Globalization.Native")]
    private static extern int GlobalizationNative_LoadICU();
}
