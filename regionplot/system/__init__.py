"""Files, processes, memory and threads of the operating system. Nothing here imports other parts of regionplot."""
