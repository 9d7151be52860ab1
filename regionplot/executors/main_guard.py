"""Detect a script that lacks `if __name__ == "__main__":`.

A worker that is not forked first imports the script of the program. Without this line, the import starts the run again.
"""

from __future__ import annotations

import os
import sys

MISSING_GUARD = 79
"""Exit code of a worker if importing the script has started another run."""
MESSAGE = (
    'the script starts workers when it is imported; put the call under the line if __name__ == "__main__":, '
    'or use [run] start_method = "serial"'
)


def exit_if_imported_by_worker() -> None:
    """Exit if this process is a new worker that is still importing the script of the program."""
    process = sys.modules.get("multiprocessing.process")  # a worker has imported it
    if process is not None and getattr(process.current_process(), "_inheriting", False):  # true during the import
        os._exit(MISSING_GUARD)  # sys.exit would lose the code in a worker of a fork server
