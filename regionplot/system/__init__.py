"""Files, processes, memory and threads of the operating system. These modules import no other part of regionplot."""
