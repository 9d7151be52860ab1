"""Apply one task to many jobs, in this process or in other processes. Executors know nothing about maps.

This file imports none of the modules, so that `import regionplot` stays fast. `base` defines the interface. `choose`
resolves a name and builds an executor. The names are in `regionplot.registry.EXECUTORS`.
"""
