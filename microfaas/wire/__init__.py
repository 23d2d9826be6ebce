"""The conversation with hosts: frames, the order of messages, and the pipes that carry them."""
