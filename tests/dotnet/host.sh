#!/bin/sh
# Compiles the host into runtimes/dotnet/built, where it is not newer than its sources already.
set -eu
cd "$(dirname "$0")"
./toolchain.sh
host=../../runtimes/dotnet
[ -z "$(find $host/src $host/Host.runtimeconfig.json -newer $host/built/Host.dll 2>&1)" ] && exit 0
part=$(mktemp -d ./.toolchain/host-XXXXXX)
trap 'rm -rf "$part"' EXIT
.toolchain/csc "$part/Host.dll" -exe -unsafe $host/src/*.cs
mkdir -p $host/built
cp $host/Host.runtimeconfig.json $host/built/
# Hosts that run have the old one mapped.
mv "$part/Host.dll" $host/built/Host.dll
