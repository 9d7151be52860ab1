"""Apply one task to many jobs, in this process or in other processes. Executors know nothing about maps.

This file imports no other module, so that `import regionplot` stays fast. `base` defines the interface. `choose`
finds an executor by its name and builds the executor. The names are in `regionplot.registry.EXECUTORS`.
"""
