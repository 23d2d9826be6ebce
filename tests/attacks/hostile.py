"""Hostile handlers, one per attack. Each gives back what it tried and what came of it.

An attempt is `{"tried": what, "got": result}`; the result is an error's name where it was held.
"""

import contextlib
import ctypes
import errno
import mmap
import os
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time

import calls

NEWNS, NEWUSER, NEWPID, NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
SECRETS = b"mark-of-the-victim"


def attempt(tried, function, *arguments):
    try:
        got = function(*arguments)
    except OSError as error:
        got = errno.errorcode.get(error.errno, str(error))
    except ValueError as error:
        got = str(error)
    return {"tried": tried, "got": got}


def read(path, size=200):
    with open(path, "rb") as file:
        return file.read(size).decode(errors="replace")


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return "written"


def system_calls(event, context):
    """Those that open other processes, the kernel, its keys, clocks and namespaces."""
    pid = os.getppid() or 1
    tried = {
        "ptrace": (16, pid, 0, 0),
        "process_vm_readv": (pid, 0, 0, 0, 0, 0),
        "process_vm_writev": (pid, 0, 0, 0, 0, 0),
        "kcmp": (1, pid, 0, 0, 0),
        "pidfd_getfd": (3, 0, 0),
        "mount": (b"none", b"/tmp", b"tmpfs", 0, None),
        "umount2": (b"/proc", 2),
        "pivot_root": (b"/tmp", b"/tmp"),
        "chroot": (b"/tmp",),
        "open_tree": (-100, b"/", 1),
        "move_mount": (-100, b"/tmp", -100, b"/mnt", 0),
        "mount_setattr": (-100, b"/", 0, bytes(32), 32),
        "fsopen": (b"tmpfs", 0),
        "unshare": (NEWUSER,),
        "clone3": (bytes(88), 88),
        "bpf": (0, bytes(64), 64),
        "perf_event_open": (bytes(128), 0, -1, -1, 0),
        "userfaultfd": (0,),
        "io_uring_setup": (8, bytes(120)),
        "add_key": (b"user", b"mine", b"x", 1, -3),
        "keyctl": (0, -3, 0),
        "request_key": (b"user", b"mine", None, -3),
        "init_module": (b"", 0, b""),
        "finit_module": (0, b"", 0),
        "delete_module": (b"x", 0),
        "kexec_load": (0, 0, None, 0),
        "reboot": (0xFEE1DEAD - (1 << 32), 672274793, 0, None),
        "swapon": (b"/tmp/x", 0),
        "syslog": (3, None, 0),
        "acct": (b"/tmp/x",),
        "quotactl": (0, None, 0, None),
        "sethostname": (b"x", 1),
        "setdomainname": (b"x", 1),
        "clock_settime": (0, struct.pack("qq", 0, 0)),
        "settimeofday": (struct.pack("qq", 0, 0), None),
        "adjtimex": (bytes(208),),
        "fanotify_init": (0, 0),
        "name_to_handle_at": (-100, b"/", bytes(16), bytes(4), 0),
        "open_by_handle_at": (-100, bytes(16), 0),
        "ioprio_set": (1, 0, 1 << 13),
    }
    return [{"tried": name, "got": calls.call(name, *row)} for name, row in tried.items()]


def namespaces(event, context):
    """New ones by flags, and entering those of others by what can be opened of them."""
    made = []
    for flags in (NEWUSER, NEWNS, NEWPID, NEWNET, NEWUSER | NEWNS, NEWUSER | NEWNET):
        got = calls.call("clone", flags | signal.SIGCHLD, None, 0, 0, 0)
        if got == 0:
            os._exit(0)
        made.append({"tried": f"clone {flags:#x}", "got": got})
    for pid in [name for name in os.listdir("/proc") if name.isdigit()]:
        for kind in ("user", "mnt", "pid", "net"):
            path = f"/proc/{pid}/ns/{kind}"

            def enter(path=path):
                fd = os.open(path, os.O_RDONLY)
                got = calls.call("setns", fd, 0)
                os.close(fd)
                return got

            made.append(attempt(f"setns {path}", enter))
    return made


def files(event, context):
    """Places that must not be there, or not be written to."""
    read_only = ["/x", "/etc/x", "/usr/x", "/var/task/x", "/var/runtime/x", "/opt/x", "/dev/x"]
    kernel = ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger"]
    kernel += [
        "/proc/sys/fs/suid_dumpable",
        "/proc/1/oom_score_adj",
        "/proc/sys/vm/overcommit_memory",
    ]
    absent = [event["data"], event["home"], "/sys/kernel", "/sys/fs/cgroup", "/run/dbus"]
    absent += ["/var/run/docker.sock", "/dev/mem", "/dev/kmsg", "/dev/shm", "/dev/sda", "/dev/vda"]
    return [
        *(attempt(f"write {path}", write, path, "x") for path in read_only + kernel),
        *(
            attempt(f"see {path}", os.listdir if os.path.isdir(path) else read, path)
            for path in absent
        ),
        *(
            attempt(f"read {path}", read, path)
            for path in ("/proc/kcore", "/etc/shadow", "/proc/kmsg")
        ),
        attempt("link /etc/passwd", os.link, "/etc/passwd", "/tmp/passwd"),
        attempt("mknod disk", os.mknod, "/tmp/disk", stat.S_IFBLK | 0o600, os.makedev(254, 0)),
        attempt("mknod memory", os.mknod, "/tmp/memory", stat.S_IFCHR | 0o600, os.makedev(1, 1)),
    ]


def processes(event, context):
    """Of others: seen, read, signalled. `pids` are some of the machine's."""
    seen = [name for name in os.listdir("/proc") if name.isdigit()]
    mine = {str(os.getpid())}
    made = [{"tried": "see others", "got": "ENOENT" if set(seen) <= mine else sorted(seen)}]
    for pid in [1, *event["pids"]]:
        for name in ("environ", "mem", "maps", "cwd", "root", "fd", "ns/mnt"):
            path = f"/proc/{pid}/{name}"
            look = os.listdir if name == "fd" else os.readlink if name in ("cwd", "root") else read
            made.append(attempt(f"look at {path}", look, path))
    for pid in event["pids"]:
        made.append(attempt(f"signal {pid}", os.kill, pid, signal.SIGKILL))
    return made


def massacre(event, context):
    """Kill whatever can be killed: by pid, by group, all at once."""
    for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
        for pid in [*range(2, 400), -1, -os.getppid() if os.getppid() > 1 else -1]:
            if pid != os.getpid():
                with contextlib.suppress(OSError):
                    os.kill(pid, number)
    return [{"tried": "kill all", "got": "EPERM"}]


def secrets_of_others(event, context):
    """Look for another function's mark in every file and process that can be read."""
    found = []
    for folder, folders, names in os.walk("/"):
        if folder in ("/usr", "/proc", event["interpreter"]):
            folders.clear()
            continue
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and os.path.getsize(path) < 1 << 20:
                try:
                    with open(path, "rb") as file:
                        if SECRETS in file.read() and folder != "/var/task":
                            found.append(path)
                except OSError:
                    pass
    for pid in [name for name in os.listdir("/proc") if name.isdigit()]:
        try:
            if (
                int(pid) != os.getpid()
                and SECRETS in read(f"/proc/{pid}/environ", 1 << 16).encode()
            ):
                found.append(f"/proc/{pid}/environ")
        except OSError:
            pass
    if SECRETS.decode() in str(dict(os.environ)):
        found.append("environment")
    return [{"tried": "find the victim's mark", "got": found or "ENOENT"}]


def descriptors(event, context):
    """What was inherited: its own pipes and nothing else."""
    own = {"0", "1", "2", "3", "4"}
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[name] = os.readlink(f"/proc/self/fd/{name}")
    extra = {name: target for name, target in found.items() if name not in own}
    odd = {n: t for n, t in found.items() if n in own and not t.startswith(("pipe:", "/dev/null"))}
    return [{"tried": "inherited descriptors", "got": {**extra, **odd} or "EBADF"}]


def sockets(event, context):
    """Of kinds that no function needs, and the machine's own Unix sockets."""
    kinds = [(38, 5, 0), (17, 3, 0), (40, 1, 0), (16, 3, 12), (16, 3, 15), (2, 3, 1), (15, 3, 2)]
    made = [
        attempt(f"socket {kind}", lambda k=kind: socket.socket(*k) and "open") for kind in kinds
    ]

    def connect(address):
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(address)
        return "connected"

    return [*made, attempt("path socket", connect, event["path_socket"])]


def abstract_sockets(event, context):
    with socket.socket(socket.AF_UNIX) as one:
        return [attempt("abstract socket", one.connect, "\0" + event["name"])]


def privileges(event, context):
    """Capabilities, setuid programs, limits, priorities."""
    status = dict(
        line.split(":\t", 1)
        for line in read("/proc/self/status", 4096).splitlines()
        if ":\t" in line
    )
    made = [
        {"tried": name, "got": "EPERM" if int(status[name], 16) == 0 else status[name]}
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    ]
    held = status["NoNewPrivs"].strip() == "1"
    made.append({"tried": "gain privileges", "got": "EPERM" if held else status["NoNewPrivs"]})
    for place in ("/usr", "/tmp", "/var/task", "/etc"):
        flags = os.statvfs(place).f_flag
        held = bool(flags & os.ST_NOSUID and flags & os.ST_NODEV)
        made.append({"tried": f"setuid and devices in {place}", "got": "EPERM" if held else flags})
    su = subprocess.run(["su", "-c", "id -u"], stdin=subprocess.DEVNULL, capture_output=True)
    made.append({"tried": "su", "got": su.stdout.decode() or "EPERM"})
    infinity = resource.RLIM_INFINITY
    for name in ("CORE", "NOFILE", "MEMLOCK", "RTPRIO", "NICE"):
        which = getattr(resource, f"RLIMIT_{name}")
        made.append(attempt(f"raise {name}", resource.setrlimit, which, (infinity, infinity)))
    return [
        *made,
        attempt("priority", os.setpriority, os.PRIO_PROCESS, 0, -20),
        attempt("real time", os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)),
        attempt("be root", os.setuid, 0),
        attempt("lock memory", lambda: _lock_memory(64 << 20)),
    ]


def _lock_memory(size):
    area = mmap.mmap(-1, size)
    libc = ctypes.CDLL(None, use_errno=True)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    if libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(size)) != 0:
        raise OSError(ctypes.get_errno(), "mlock")
    return "locked"


def other_architecture(event, context):
    """A 32-bit call from 64-bit code: the numbers mean something else there."""
    code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # mov eax, 20 (getpid); int 0x80; ret
    pid = os.fork()
    if pid == 0:
        area = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        area.write(code)
        address = ctypes.addressof(ctypes.c_char.from_buffer(area))
        os._exit(ctypes.CFUNCTYPE(ctypes.c_int)(address)() == os.getpid())
    _, status = os.waitpid(pid, 0)
    # Killed, or taken for the call that has this number in 64 bits.
    held = os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return [{"tried": "int 0x80", "got": "EPERM" if held else status}]


def terminal(event, context):
    """Type into the terminal that the supervisor may have."""
    import fcntl

    held = []
    for request in (0x5412, 0x541C, 0x5412 | 1 << 32):
        libc = ctypes.CDLL(None, use_errno=True)
        got = libc.ioctl(0, ctypes.c_ulong(request), b"x")
        held.append(
            {
                "tried": f"ioctl {request:#x}",
                "got": errno.errorcode[ctypes.get_errno()] if got else 0,
            }
        )
    return [*held, attempt("open /dev/tty", fcntl.ioctl, os.open("/dev/null", 0), 0x5412, b"x")]


def groups(event, context):
    """Out of one's cgroup."""
    path = read("/proc/self/cgroup", 4096)
    made = [{"tried": "see cgroups", "got": "ENOENT" if event["tree"] not in path else path}]
    for place in ("/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory/tasks"):
        made.append(attempt(f"join {place}", write, place, "0"))
    return made


def environment(event, context):
    leaked = [name for name in os.environ if name in event["names"]]
    return [{"tried": "the supervisor's environment", "got": leaked or "ENOENT"}]


# What ends the instance, or hurts it: the test looks at what is left.


def forge(event, context):
    """Speak for the host, on its own pipe."""
    import msgpack_free as pack

    kind = event["kind"]
    if kind == "another's result":
        os.write(4, pack.frame({"kind": "result", "id": event["id"], "payload": b'"forged"'}))
    elif kind == "two results":
        frame = pack.frame({"kind": "result", "id": context.aws_request_id, "payload": b'"forged"'})
        os.write(4, frame + frame)
    elif kind == "4 GB":
        os.write(4, b"\xff\xff\xff\xff" + b"x" * 1000)
    elif kind == "nesting":
        body = b"\x81\xa4kind" + b"\x91" * 100_000 + b"\xc0"
        os.write(4, struct.pack(">I", len(body)) + body)
    elif kind == "garbage":
        os.write(4, os.urandom(65536))
    elif kind == "out of order":
        os.write(4, pack.frame({"kind": "loaded", "forkable": True, "why": ""}))
    elif kind == "closed":
        os.close(4)
    time.sleep(event.get("s", 0))
    return "done"


def bomb(event, context):
    """Fork until it hurts; it never ends by itself."""
    while True:
        try:
            os.fork()
        except OSError:
            time.sleep(0.001)


def eat(event, context):
    hoard = []
    while True:
        hoard.append(bytearray(8 << 20))


def eat_tmp(event, context):
    """Page cache and tmpfs count as well."""
    number = 0
    while True:
        with open(f"/tmp/{number}", "wb") as file:
            for _ in range(16):
                file.write(bytes(1 << 20))
        number += 1


def fill(event, context):
    try:
        with open("/tmp/full", "wb") as file:
            while True:
                file.write(bytes(1 << 20))
    except OSError as error:
        os.unlink("/tmp/full")
        return errno.errorcode[error.errno]


def flood(event, context):
    block = b"x" * 65536 + b"\n"
    for _ in range(event["mb"] * 16):
        os.write(1, block)
    return "flooded"


def spin(event, context):
    for _ in range(8):
        threading.Thread(target=_spin, daemon=True).start()
    _spin()


def _spin():
    while True:
        pass


def exhaust_files(event, context):
    opened = []
    try:
        while True:
            opened.extend(os.pipe())
    except OSError as error:
        for fd in opened:
            os.close(fd)
        return errno.errorcode[error.errno]


def survive(event, context):
    """Leave detached processes behind, and zombies."""
    for _ in range(5):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for fd in range(5):
                    os.close(fd)
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(1000)
            os._exit(0)
    time.sleep(1000)


def crash(event, context):
    os.chdir("/tmp")
    os.kill(os.getpid(), signal.SIGSEGV)


def wait(event, context):
    time.sleep(event["s"])
    return sys.version_info[0]


def handler(event, context):
    """The attack that the event names."""
    return globals()[event["attack"]](event, context)
