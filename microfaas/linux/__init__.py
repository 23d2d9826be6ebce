"""Everything that knows the kernel: system calls, cgroups, namespaces, limits, the nursery."""
