"""One suite that every runtime passes; README.md says how a language joins it."""
