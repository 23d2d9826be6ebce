"""The Python host: speaks the protocol and calls the handler. It holds no policy."""
