#!/usr/bin/env bash
# Runs a command under a kernel with unified cgroup v2, whatever the kernel of this machine.
#
#   vm.sh [--mem 1G] [--timeout 600] [--share DIR]... [--user NAME] -- COMMAND [ARG...]
#
# The kernel is Debian's user-mode-linux: a kernel that is a process and needs neither KVM nor
# root. It is fetched and unpacked into the cache, never installed. The guest's root is this
# machine's, read-only below an overlay on tmpfs: what the command writes is gone with the guest,
# except below each --share DIR; /tmp, /run and /dev/shm begin empty. --user runs the command as
# that user in a cgroup delegated to it. One CPU, no network but loopback.
#
# Exits with the command's status; 124: out of time; 125: no machine, or it ended too early.
set -euo pipefail

fail() { echo "vm.sh: $*" >&2; exit 125; }
usage() { fail "$*; usage: $(sed -n '4s/^# *//p' "$0")"; }

memory=1G time_s=600 user='' shares=()
while [ $# -gt 0 ]; do
  [ "$1" = -- ] && { shift; break; }
  [ $# -gt 1 ] || usage "what is to run?"
  case $1 in
    --mem) memory=$2 ;;
    --timeout) time_s=$2 ;;
    --share) shares+=("$(realpath "$2")") ;;
    --user) user=$2; id "$user" >/dev/null || fail "no such user" ;;
    *) usage "unknown option $1" ;;
  esac
  shift 2
done
[ $# -gt 0 ] || usage "what is to run?"

# ---- once: what the host must have, and the kernel

apt_get() { # with fresh package lists when the first try finds nothing
  command -v apt-get >/dev/null || fail "cannot do \"apt-get $*\": not a Debian"
  { apt-get "$@" || { apt-get update && apt-get "$@"; }; } >"$cache/apt.log" 2>&1 && return
  tail -n 5 "$cache/apt.log" >&2
  fail "cannot do \"apt-get $*\": it needs the network, and root to install"
}

cache=${XDG_CACHE_HOME:-$HOME/.cache}/microfaas-vm kernel=$cache/kernel missing=()
mkdir -p "$cache"
exec 9>"$cache/lock"; flock 9 # two runs at once fetch it once
for tool in busybox:busybox-static cpio:cpio; do
  command -v "${tool%:*}" >/dev/null || missing+=("${tool#*:}")
done
[ ${#missing[@]} -eq 0 ] || apt_get install -y -q --no-install-recommends "${missing[@]}"
if [ ! -d "$kernel" ]; then
  rm -rf "$cache/new"; mkdir "$cache/new"; cd "$cache/new"
  apt_get download -q -o APT::Sandbox::User=root user-mode-linux
  dpkg -x ./*.deb . || fail "cannot unpack the kernel's package"
  mv usr/bin/linux.uml "$(find . -name overlay.ko)" . || fail "no kernel in user-mode-linux"
  rm -r ./*.deb usr etc 2>/dev/null || :
  cd "$OLDPWD"; mv "$cache/new" "$kernel" # only a whole kernel has this name
fi
exec 9>&-

# ---- this run: an initramfs with busybox, what it must do, and the command

work=$(mktemp -d) pids=()
trap 'kill "${pids[@]}" 2>/dev/null || :; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$work"/out "$work"/root/{bin,proc,sys,dev,host,scratch,new,vm}
touch "$work"/out/{stdout,stderr,status}
cp "$(command -v busybox)" "$work/root/bin/busybox"
cp "$kernel/overlay.ko" "$work/root/"
for dir in "${shares[@]}"; do
  printf 'mkdir -p /new%q; mount -t hostfs -o %q none /new%q\n' "$dir" "$dir" "$dir"
done >"$work/root/shares"
echo "mount -t hostfs -o $work/out none /new/run/vm/out" >>"$work/root/shares"

cat >"$work/root/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
insmod /overlay.ko
mount -t hostfs -o ro none /host
mount -t tmpfs -o size=75% scratch /scratch; mkdir /scratch/upper /scratch/work
mount -t overlay -o lowerdir=/host,upperdir=/scratch/upper,workdir=/scratch/work root /new
for dir in proc sys dev; do mount --move /$dir /new/$dir; done
mount -t cgroup2 -o nsdelegate cgroup2 /new/sys/fs/cgroup
mkdir -p /new/dev/pts /new/dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts /new/dev/pts
for dir in dev/shm tmp; do mount -t tmpfs -o mode=1777 tmpfs /new/$dir; done
mount -t tmpfs -o mode=755 tmpfs /new/run
for link in fd 0:stdin 1:stdout 2:stderr; do
  case $link in fd) target=fd ;; *) target=fd/${link%:*} ;; esac
  ln -sf /proc/self/$target /new/dev/${link#*:}
done
mkdir -p /new/run/vm/out; cp /vm/* /bin/busybox /new/run/vm/
. /shares
hostname vm; ifconfig lo 127.0.0.1 up
exec switch_root /new /run/vm/busybox sh /run/vm/job
INIT
chmod +x "$work/root/init"

cat >"$work/root/vm/job" <<'JOB'
# Through pipes: a command that reopens or truncates its output must not find a file there.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
cd /run/vm; mkfifo stdout stderr
cat stdout >>out/stdout & one=$!
cat stderr >>out/stderr & two=$!
while sleep 1; do sync -f out; done & # the host sees only what has been written back
setsid bash /run/vm/command </dev/null >stdout 2>stderr; status=$?
# A daemon that the command left behind may hold the pipes open: for a second, not for ever.
for i in 1 2 3 4 5 6 7 8 9 10; do [ -d /proc/$one ] || [ -d /proc/$two ] || break; sleep 0.1; done
echo $status >out/status; sync
/run/vm/busybox poweroff -f
JOB

{
  export -p | grep -vE '^declare -x (OLDPWD|PWD|SHLVL|TMPDIR)(=|$)'
  printf 'cd %q 2>/dev/null || cd /\nuser=%q\nset -- %s\n' "$PWD" "$user" "$(printf '%q ' "$@")"
  cat <<'COMMAND'
if [ -n "$user" ]; then
  group=/sys/fs/cgroup/delegated; mkdir $group
  echo "+cpu +memory +pids" >/sys/fs/cgroup/cgroup.subtree_control
  chown "$user" $group $group/cgroup.{procs,subtree_control,threads}; echo $$ >$group/cgroup.procs
  export HOME=/tmp; set -- setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups "$@"
fi
exec "$@"
COMMAND
} >"$work/root/vm/command"
(cd "$work/root" && find . | cpio -o -H newc --quiet) >"$work/initrd"

timeout -k 5 "$time_s" "$kernel/linux.uml" mem="$memory" initrd="$work/initrd" panic=-1 \
  uml_dir="$work" umid=vm con=null con0=null,fd:1 ssl=null quiet loglevel=1 \
  </dev/null >"$work/console" 2>&1 &
machine=$! pids=($!)
# Each reader ends by itself, after a last look, once the machine is gone.
tail --pid=$machine -s 0.1 -c +1 -f "$work/out/stdout" & pids+=($!)
tail --pid=$machine -s 0.1 -c +1 -f "$work/out/stderr" >&2 & pids+=($!)
status=0; wait "$machine" || status=$?
wait
[ ! -s "$work/out/status" ] || exit "$(cat "$work/out/status")"
case $status in 124 | 137) echo "vm.sh: stopped after $time_s s" >&2; exit 124 ;; esac
tail -n 30 "$work/console" >&2
fail "the machine ended (status $status) before the command did; above is its console"
