"""Queues, topics and streams: what is sent, who gets it, and when it may be taken again."""
