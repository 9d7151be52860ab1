"""Start processes of the method `spawn` from the forkserver, which has imported the libraries.

Such a process gets what a spawned process gets: the pickled target and the environment, stdout and stderr of the
parent. It inherits nothing else of the parent. Only the start of the interpreter and the imports are done.
"""

from __future__ import annotations

import os
from multiprocessing.context import SpawnProcess
from multiprocessing.popen_forkserver import Popen
from typing import Any

import pytest

_BECOME = """
import os
from multiprocessing import forkserver
for number, inherited in enumerate(forkserver.get_inherited_fds()[:2], 1):
    os.dup2(inherited, number)
os.environ.clear()
os.environ.update({environment!r})
"""


class _Surroundings:
    """Is unpickled in the new process, before its target: takes over the environment and the streams of the parent."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (_BECOME.format(environment=dict(os.environ)), {})


class _ServerPopen(Popen):
    """A process of the forkserver that takes over the environment and the streams of the parent."""

    def _launch(self, process: Any) -> None:
        for number in (1, 2):
            self.duplicate_for_child(number)
        process.__dict__ = {"_surroundings": _Surroundings(), **process.__dict__}  # unpickled in this order
        super()._launch(process)


def spawn_from_server(patch: pytest.MonkeyPatch) -> None:
    """Let `spawn` start its processes from the forkserver."""
    patch.setattr(SpawnProcess, "_Popen", staticmethod(_ServerPopen))
