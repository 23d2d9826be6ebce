"""The least that each scenario could cost: programs that do one thing with nothing around it."""
