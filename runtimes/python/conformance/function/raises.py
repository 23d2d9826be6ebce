raise RuntimeError("broken while loading")
