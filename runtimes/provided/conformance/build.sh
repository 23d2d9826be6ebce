#!/bin/bash
# build.sh OUTPUT: the custom runtime, and the functions in bash that it runs.
set -euo pipefail
cd "$(dirname "$0")"
cp function/bootstrap ../../bash/conformance/function/* "$1"
