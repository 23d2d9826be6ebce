#!/bin/sh
# Installs what the named step needs of Debian's packages, when it is missing and we are root.
#   packages.sh venv    what `python3 -m venv` needs
#   packages.sh         what the tests need besides
set -eu

missing=""
want() { # COMMAND PACKAGE
  command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

if [ "${1:-}" = venv ]; then
  "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
else
  want curl curl
  want cpio cpio
  want busybox busybox-static
  want setpriv util-linux
  want node nodejs
  want npm npm
  want go golang-go
  want javac openjdk-17-jdk-headless
  want mvn maven
  want ruby ruby
  want faketime faketime
  [ -x /usr/bin/aws ] || missing="$missing awscli" # its second version; PyPI has the first
  ldconfig -p | grep -q libicuuc || missing="$missing libicu72" # .NET's cultures
  [ -x /usr/bin/python3 ] || missing="$missing python3" # an ordinary user's, see ordinary.py
  ldconfig -p | grep -q libseccomp.so.2 || missing="$missing libseccomp2"
fi

[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
  echo "missing packages; install them with: sudo apt-get install$missing" >&2
  exit 1
fi
# shellcheck disable=SC2086  # the list is meant to be split
apt-get install -y -q --no-install-recommends $missing >/dev/null 2>&1 || {
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null
}
