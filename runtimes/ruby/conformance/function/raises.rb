raise "broken while loading"
