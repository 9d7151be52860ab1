"""Apply one task to many jobs, in this process or in others. Executors know nothing about maps."""

from regionplot.executors.base import Executor, Task, WorkerSettings
from regionplot.executors.choose import choose_start_method, make_executor
from regionplot.executors.processes import ProcessExecutor
from regionplot.executors.serial import SerialExecutor
from regionplot.executors.threads import ThreadExecutor

__all__ = [
    "Executor",
    "ProcessExecutor",
    "SerialExecutor",
    "Task",
    "ThreadExecutor",
    "WorkerSettings",
    "choose_start_method",
    "make_executor",
]
