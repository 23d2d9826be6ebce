"""Zygotes, instances and the pools of them: from a version to a finished invocation."""
