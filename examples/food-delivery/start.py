"""Starts the stand-ins for the mail server and the SMS gateway, and microfaas; `./start` calls it.

Arguments are `microfaas run`'s.
"""

import signal
import subprocess
import sys
from pathlib import Path

import stand_ins


def main():
    with stand_ins.running():
        command = ["microfaas", "run", *sys.argv[1:]]
        try:
            # In a session of its own, so that Ctrl-C reaches it once, from here.
            served = subprocess.Popen(command, cwd=Path(__file__).parent, start_new_session=True)
        except FileNotFoundError:
            sys.exit("start: microfaas is not on the PATH; install it with: pip install microfaas")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: served.terminate())
        return served.wait()


if __name__ == "__main__":
    sys.exit(main())
