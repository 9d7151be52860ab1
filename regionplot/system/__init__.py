"""Files, processes, memory and threads of the operating system. Imports only `errors` of the other packages."""
