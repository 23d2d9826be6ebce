"""Events and messages as AWS writes them: built from plain values, no I/O, no clock."""
