"""Files, processes, memory and threads: what the operating system gives. Imports nothing but `errors`."""
