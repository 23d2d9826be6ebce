#!/bin/sh
# Compiles the functions into the folder that is named, and the host where that is not done yet.
set -eu
tests=../../../tests/dotnet
"$tests/host.sh"
csc=$tests/.toolchain/csc
"$csc" "$1/Amazon.Lambda.Core.dll" "$tests/core/Core.cs"
"$csc" "$1/Conformance.dll" -r:"$1/Amazon.Lambda.Core.dll" function/*.cs
cp function/marker.txt "$1"
# No compiler makes an assembly that cannot be read.
printf 'not an assembly' > "$1/Broken.dll"
