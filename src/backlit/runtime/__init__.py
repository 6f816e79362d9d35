"""Running native code: the host, object code and its cache, threads, memory. Knows bytes, not mathematics."""
