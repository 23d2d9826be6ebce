#!/bin/sh
# Compiles what microfaas does not: it builds Go itself, and the other languages need nothing.
set -eu
cd "$(dirname "$0")"
javac --release 17 -d price/classes price/src/shop/Price.java
dotnet publish terms -o terms/publish
