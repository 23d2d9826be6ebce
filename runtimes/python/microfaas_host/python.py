"""What is Python about the Python host: how a function is loaded, served and told of forks."""

import sys

from microfaas_host import errors, frames, invoking, loading, logs


class Python:
    """The language that a zygote or a spare runs."""

    # Why a zygote of this language never loads anything; empty when it does.
    why_bare = ""

    def begin(self):
        """The process has its variables."""
        logs.setup()

    def warm_up(self):
        invoking.warm_up()

    def load(self, handler_name):
        """Import the function, or report the fault and give None."""
        try:
            return loading.load(handler_name)
        except errors.InitFault as fault:
            logs.failure(fault.kind, fault.message, "", fault.stack)
            payload = errors.payload(fault.kind, fault.message, "", fault.stack)
            logs.flush()
            frames.write({"kind": "error", "id": "", "type": fault.kind, "payload": payload})
            return None

    def before_forks(self):
        _run_hooks("get_before_snapshot", reverse=True)

    def after_fork(self):
        _run_hooks("get_after_restore")

    def serve(self, handler):
        invoking.serve(handler)

    def flush(self):
        logs.flush()


def _run_hooks(name, reverse=False):
    """Functions registered through `snapshot_restore_py`, when the function uses it."""
    module = sys.modules.get("snapshot_restore_py")
    if module is None:
        return
    hooks = list(getattr(module, name)())
    for function, args, kwargs in reversed(hooks) if reverse else hooks:
        function(*args, **kwargs)
