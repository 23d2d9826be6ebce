"""What survives a restart: usage, the buckets' ledger, dead letters, and the code's own copies."""
