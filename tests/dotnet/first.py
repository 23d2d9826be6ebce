"""Compiles the compiler's driver, before there is one: `first.py DOTNET_DIR ROSLYN_DIR SOURCE`."""

from __future__ import annotations

import glob
import os
import sys

import pythonnet

dotnet, roslyn, source = map(os.path.abspath, sys.argv[1:])
settings = os.path.join(roslyn, "Csc.runtimeconfig.json")
pythonnet.load("coreclr", dotnet_root=dotnet, runtime_config=settings)

import clr  # noqa: E402

clr.AddReference(os.path.join(roslyn, "Microsoft.CodeAnalysis.dll"))
clr.AddReference(os.path.join(roslyn, "Microsoft.CodeAnalysis.CSharp.dll"))
from Microsoft.CodeAnalysis import MetadataReference, OutputKind, SyntaxTree  # noqa: E402
from Microsoft.CodeAnalysis.CSharp import (  # noqa: E402
    CSharpCompilation,
    CSharpCompilationOptions,
    CSharpSyntaxTree,
)
from System import Array  # noqa: E402
from System.IO import File  # noqa: E402

pattern = os.path.join(dotnet, "shared", "Microsoft.NETCore.App", "*", "System*.dll")
paths = glob.glob(pattern) + glob.glob(os.path.join(roslyn, "*.dll"))
paths = [path for path in paths if "Native" not in path]
with open(source, encoding="utf-8") as file:
    tree = CSharpSyntaxTree.ParseText(file.read())
compilation = CSharpCompilation.Create(
    "Csc",
    Array[SyntaxTree]([tree]),
    Array[MetadataReference]([MetadataReference.CreateFromFile(path) for path in paths]),
    CSharpCompilationOptions(OutputKind.ConsoleApplication),
)
output = File.Create(os.path.join(roslyn, "Csc.dll"))
result = compilation.Emit(output)
output.Close()
if not result.Success:
    sys.exit("\n".join(str(one) for one in result.Diagnostics))
