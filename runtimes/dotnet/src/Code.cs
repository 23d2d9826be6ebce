// The function's assemblies: those of its folder, with what .NET itself brings where that is newer.
using System;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Loader;

namespace Microfaas;

internal sealed class Code : AssemblyLoadContext
{
    private static readonly string Framework = Path.GetDirectoryName(typeof(object).Assembly.Location)!;

    private readonly string folder;
    // Only this one knows which of several files is for this system and processor; it is not at hand
    // at once, and most folders have no several.
    private readonly AssemblyDependencyResolver? resolver;

    public Code(string folder, string main)
    {
        this.folder = folder;
        if (Directory.Exists(Path.Combine(folder, "runtimes")))
        {
            resolver = new AssemblyDependencyResolver(main);
        }
    }

    // Raises LoadingFailed.
    public static Assembly Open(string folder, string name)
    {
        string main = Path.Combine(folder, name + ".dll");
        if (!File.Exists(main))
        {
            throw new LoadingFailed(
                $"Could not find the specified handler assembly with the file name '{name}'. The assembly "
                + "should be located in the root of your uploaded .zip file.");
        }
        try
        {
            return new Code(folder, main).LoadFromAssemblyPath(main);
        }
        catch (Exception e) when (e is BadImageFormatException or FileLoadException)
        {
            throw new LoadingFailed($"Unable to load assembly '{name}'.");
        }
    }

    protected override Assembly? Load(AssemblyName name)
    {
        string? path = Find(name);
        return path == null ? null : LoadFromAssemblyPath(path);
    }

    protected override nint LoadUnmanagedDll(string name)
    {
        string? path = resolver?.ResolveUnmanagedDllToPath(name);
        if (path != null)
        {
            return LoadUnmanagedDllFromPath(path);
        }
        string[] names = [name, $"{name}.so", $"lib{name}.so", $"lib{name}"];
        foreach (string file in names.Select(one => Path.Combine(folder, one)))
        {
            if (File.Exists(file) && NativeLibrary.TryLoad(file, out nint handle))
            {
                return handle;
            }
        }
        return 0;
    }

    private string? Find(AssemblyName name)
    {
        string? path = resolver?.ResolveAssemblyToPath(name);
        if (path == null)
        {
            string file = Path.Combine(folder, name.CultureName ?? "", name.Name + ".dll");
            path = File.Exists(file) ? file : null;
        }
        return path != null && IsNewer(path, name.Name!) ? path : null;
    }

    // As for any program: of two, the framework's and the function's, the newer is taken.
    private static bool IsNewer(string path, string name)
    {
        string own = Path.Combine(Framework, name + ".dll");
        if (!File.Exists(own))
        {
            return true;
        }
        return name != "System.Private.CoreLib"
            && AssemblyName.GetAssemblyName(path).Version > AssemblyName.GetAssemblyName(own).Version;
    }
}
