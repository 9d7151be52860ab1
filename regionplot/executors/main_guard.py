"""Find out whether new processes can import the script of this program.

A worker that is not forked first imports the script. If the script lacks the line `if __name__ == "__main__":`, the
import starts the run again.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

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


def script_is_importable() -> bool:
    """Return True if new processes can import the script of this program.

    They cannot import a script from standard input, from another pipe, from `python -c` or from an interactive session.
    """
    main = sys.modules.get("__main__")
    file = getattr(main, "__file__", None)
    return getattr(main, "__spec__", None) is not None or (file is not None and Path(file).is_file())
