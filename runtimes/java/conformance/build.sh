#!/bin/sh
# Compiles the functions into the folder that is named; the host's sources have the interfaces.
set -eu
javac --release 17 -encoding UTF-8 -implicit:none -sourcepath ../src -d "$1" \
  function/handlers/*.java function/raises/*.java function/exits/*.java
cp function/marker.txt "$1"
# No compiler makes a class file that cannot be parsed.
mkdir -p "$1/syntax"
printf 'not a class file' > "$1/syntax/Handler.class"
