"""Entry of the host of custom runtimes: `python -I -S bootstrap.py MSGPACK_DIR`, on fds 3, 4, 5.

Runs on Python 3.9 and newer with the standard library and msgpack. The modules that all forking
hosts share are mounted beside this file, or, where nothing can be mounted, with the Python host.
"""

import os
import sys


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    mounted = os.path.exists(os.path.join(here, "microfaas_host", "frames.py"))
    shared = here if mounted else os.path.join(os.path.dirname(here), "python")
    sys.path[:0] = [here, shared, sys.argv[1]]
    import msgpack
    from custom_host.custom import Custom
    from microfaas_host import frames, zygote

    frames.use(msgpack)
    zygote.run(Custom())


if __name__ == "__main__":
    main()
