# A file whose loading fails.
fail "broken while loading"
