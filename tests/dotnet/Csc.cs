// A C# compiler for the tests: `csc OUT.dll [-exe] [-unsafe] [-r:OTHER.dll]... SOURCES...`.
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Emit;
using Microsoft.CodeAnalysis.Text;

public static class Csc
{
    public static int Main(string[] arguments)
    {
        string output = arguments[0];
        string[] options = arguments.Skip(1).Where(one => one.StartsWith('-')).ToArray();
        string[] sources = arguments.Skip(1).Where(one => !one.StartsWith('-')).ToArray();
        CSharpCompilation compilation = CSharpCompilation.Create(
            Path.GetFileNameWithoutExtension(output),
            sources.Select(Parse),
            References(options),
            Options(options));
        using FileStream file = File.Create(output);
        EmitResult result = compilation.Emit(
            file, options: new EmitOptions(debugInformationFormat: DebugInformationFormat.Embedded));
        foreach (Diagnostic one in result.Diagnostics.Where(one => one.Severity >= DiagnosticSeverity.Warning))
        {
            Console.Error.WriteLine(one);
        }
        return result.Success ? 0 : 1;
    }

    private static SyntaxTree Parse(string path)
    {
        using FileStream file = File.OpenRead(path);
        SourceText text = SourceText.From(file, canBeEmbedded: true);
        return CSharpSyntaxTree.ParseText(text, new CSharpParseOptions(LanguageVersion.CSharp12), path);
    }

    private static IEnumerable<MetadataReference> References(string[] options)
    {
        string framework = (string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!;
        IEnumerable<string> named = options.Where(one => one.StartsWith("-r:")).Select(one => one[3..]);
        return framework.Split(':')
            .Where(path => Path.GetFileName(path).StartsWith("System.") || path.EndsWith("/netstandard.dll"))
            .Concat(named)
            .Select(path => MetadataReference.CreateFromFile(path));
    }

    private static CSharpCompilationOptions Options(string[] options) => new(
        options.Contains("-exe") ? OutputKind.ConsoleApplication : OutputKind.DynamicallyLinkedLibrary,
        optimizationLevel: OptimizationLevel.Release,
        allowUnsafe: options.Contains("-unsafe"),
        deterministic: true,
        warningLevel: 4,
        nullableContextOptions: NullableContextOptions.Enable);
}
