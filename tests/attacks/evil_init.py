"""A module that attacks while it is loaded, from inside of the zygote."""

import os
import socket
import struct
import time

import hostile

MODE = os.environ["MODE"]


def _flood_control():
    control = socket.socket(fileno=os.dup(5))
    frame = b"\x82\xa4kind\xa6exited\xa3pid\x01"
    for _ in range(1000):
        control.send(frame)


def _lie_about_forks():
    """Answer a fork that was never made, with something that is no pidfd."""
    control = socket.socket(fileno=os.dup(5))
    body = b"\x83\xa4kind\xa7spawned\xa2id\xa1x\xa3pid\x02"
    socket.send_fds(control, [body], [os.open("/dev/null", os.O_RDONLY)])


def _claim_to_be_ready():
    os.write(4, struct.pack(">I", 1 << 31))


def _leave_links():
    os.symlink("/etc/shadow", "/tmp/shadow")
    os.mkdir("/tmp/folder")
    os.symlink("/", "/tmp/folder/root")
    os.mkfifo("/tmp/pipe")


def _evade():
    """Have the forks stay in the zygote's cgroup, with daemons that nobody ends."""
    from microfaas_host import fence

    fence.join = lambda fds: None


def _leave_daemons():
    """Have each fork leave a daemon in the zygote's cgroup before it goes to its own."""
    from microfaas_host import fence

    join = fence.join

    def leave_one(fds):
        if os.fork() == 0:
            os.setsid()
            os.closerange(3, 256)
            time.sleep(1000)
        join(fds)

    fence.join = leave_one


def _hang():
    time.sleep(1000)


def _exit():
    os._exit(0)


def _bomb():
    hostile.bomb({}, None)


def _eat():
    hostile.eat({}, None)


globals()[f"_{MODE}"]()


def handler(event, context):
    return sorted(os.listdir("/tmp"))
