"""Start commands without waiting for their imports: one process imports them, and each command is a fork of it.

A command started here is a process like any other, with its own session, environment, working directory, streams and
exit status. Only the imports are done. Tests of the start itself, of limits and of the environment at the start use
`subprocess`.

::

    test ── request, streams ─► warm process ── fork ─► command ── fork ─► workers
      ◄───────────── pid, then exit status ──────┘
"""

from __future__ import annotations

import functools
import gc
import importlib
import importlib.metadata
import json
import os
import resource
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NoReturn

_LONGEST_REQUEST = 100_000


def _modules_of(package: str) -> Iterator[str]:
    """Yield the names of all modules of a part of this package, without importing them."""
    folder = Path(__file__).parents[1] / "regionplot" / package
    return (f"regionplot.{package}.{path.stem}" for path in sorted(folder.glob("[a-z]*.py")))


WORKER_MODULES = (
    "cartopy.crs",
    "encodings.ascii",
    "encodings.utf_16_be",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "PIL.JpegImagePlugin",
    "pyogrio.raw",
    "rasterio.shutil",
    "regionplot.runs.digests",
    "regionplot.runs.task",
    *_modules_of("colors"),
    *_modules_of("layers"),
    *_modules_of("render"),
)
"""Modules that workers import, and that import most other modules."""
MODULES = (
    *WORKER_MODULES,
    "encodings.utf_8_sig",
    "pint",
    "platformdirs.unix",
    "rioxarray",
    "scipy.ndimage",
    *_modules_of("cli"),
    *_modules_of("executors"),
    *_modules_of("inputs"),
    *_modules_of("prepare"),
    *_modules_of("runs"),
)
"""Modules that commands import, and that import most other modules."""
USUAL_MODULES = ("click", "numpy", "pydantic", "pyproj", "rasterio", "shapely")
"""Modules that most runs import, but neither this package nor matplotlib."""


class Command:
    """A running command, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, report: socket.socket, out: IO[str] | None, err: IO[str] | None) -> None:
        self.stdout, self.stderr = out, err
        self.returncode: int | None = None
        self._report = report
        self.pid = int(self._receive())

    @property
    def run_pid(self) -> int:
        """Id of the process that runs the command. The process with the id `pid` is its guard."""
        while not (children := Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()):
            time.sleep(0.01)
        return int(children[0])

    def poll(self) -> int | None:
        """Return the exit code, or None while the command runs."""
        try:
            return self._finish(0)
        except BlockingIOError:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises
        ------
        subprocess.TimeoutExpired
            If the command runs longer.
        """
        try:
            return self._finish(timeout)
        except TimeoutError:
            raise subprocess.TimeoutExpired("regionplot", timeout or 0) from None

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read all that is printed, wait for the end, and return the text of stdout and of stderr."""
        deadline = time.monotonic() + (1e6 if timeout is None else timeout)
        printed = {stream: b"" for stream in (self.stdout, self.stderr) if stream}
        with selectors.DefaultSelector() as selector:
            for stream in printed:
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(deadline - time.monotonic())
                if not ready and time.monotonic() > deadline:
                    raise subprocess.TimeoutExpired("regionplot", timeout or 0)
                for key, _ in ready:
                    chunk = os.read(key.fd, 65536)
                    printed[key.fileobj] += chunk
                    if not chunk:
                        selector.unregister(key.fileobj)
                        key.fileobj.close()
        self.wait(max(deadline - time.monotonic(), 0.01))
        out, err = (printed.get(stream, b"").decode() for stream in (self.stdout, self.stderr))
        return out, err

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the command has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        for stream in filter(None, (self.stdout, self.stderr)):
            stream.close()
        self.wait()

    def _finish(self, timeout: float | None) -> int:
        if self.returncode is None:
            self._report.settimeout(timeout)
            self.returncode = int(self._receive())
            self._report.close()
        return self.returncode

    def _receive(self) -> str:
        answer = self._report.recv(_LONGEST_REQUEST).decode()
        assert answer, "the process that starts commands has died"
        return answer


class WarmProcess:
    """Starts commands, as a context manager.

    Parameters
    ----------
    modules : sequence of str
        Modules that the process imports before it starts a command.
    """

    def __init__(self, modules: Sequence[str] = MODULES) -> None:
        self._modules = modules

    def __enter__(self) -> WarmProcess:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")}
            command = [sys.executable, __file__, str(theirs.fileno()), *self._modules]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment, cwd="/")
        return self

    def __exit__(self, *_: object) -> None:
        self._requests.close()
        self._process.wait(10)

    def start(
        self,
        folder: Path,
        *arguments: object,
        script: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stdout: IO[str] | None = None,
        stderr: IO[str] | None = None,
    ) -> Command:
        """Start the command in a folder.

        Parameters
        ----------
        folder : Path
            Working directory.
        *arguments : object
            Command line, without the command's name.
        script : Path, optional
            Python file that runs the command, instead of `python -m regionplot`.
        environment : mapping, optional
            Environment of the command; by default, the environment of the tests.
        stdout, stderr : file, optional
            Where output goes; by default, a temporary file that `communicate` reads.
        """
        request = {
            "folder": str(folder),
            "arguments": [str(argument) for argument in arguments],
            "script": str(script) if script else None,
            "environment": dict(os.environ if environment is None else environment),
        }
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        out_read, out_write = _stream(stdout)
        err_read, err_write = _stream(stderr)
        with theirs, Path(os.devnull).open() as nothing:
            streams = [nothing.fileno(), out_write, err_write, theirs.fileno()]
            socket.send_fds(self._requests, [json.dumps(request).encode()], streams)
            for read, write in ((out_read, out_write), (err_read, err_write)):
                if read:
                    os.close(write)
        return Command(ours, out_read, err_read)


def _stream(given: IO[str] | None) -> tuple[IO[str] | None, int]:
    """Return the file with the output of a command, if the tests read the output, and the descriptor for the output."""
    if given is not None:
        return None, given.fileno()
    read, write = os.pipe()
    return os.fdopen(read, encoding="utf-8"), write


def _keep_versions() -> None:
    """Read the versions of the imported libraries once. Each digest of a run asks for many versions."""
    importlib.metadata.version = functools.cache(importlib.metadata.version)
    for name in {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names:
        with suppress(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version(name)


def _keep_imports() -> None:
    """Find what the modules that draw maps import. The digests of each run depend on it, and the package is fixed."""
    from regionplot.system.code import imported_libraries, library_version

    drawing = ("regionplot.layers.", "regionplot.inputs.", "regionplot.render.", "regionplot.writers.")
    for library in imported_libraries(*(name for name in sys.modules if name.startswith(drawing))):
        library_version(library)


def _keep_settings() -> None:
    """Build the classes of the settings, and register the drivers of GDAL. Each command would do so at first use."""
    import rasterio

    from regionplot.settings.loading import read_config

    read_config({"raster": {"path": "sample:relief"}})
    with rasterio.Env():
        pass


def _serve(requests: socket.socket) -> None:
    """Start a command for each request, and report each end, until the tests close their side."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # commands whose tests crash them leave no core files
    woken, wake = socket.socketpair()
    for end in (woken, wake):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    commands: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        for end in (requests, woken):
            selector.register(end, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if woken in ready:
                woken.recv(4096)
                _report_ends(commands)
            if requests in ready and not _start(requests, commands):
                return


def _report_ends(commands: dict[int, socket.socket]) -> None:
    for pid in list(commands):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with commands.pop(pid) as report, suppress(BrokenPipeError):  # the test may not wait for the end
                report.send(str(os.waitstatus_to_exitcode(status)).encode())


def _start(requests: socket.socket, commands: dict[int, socket.socket]) -> bool:
    """Fork for one request; return False if there will be no more."""
    message, descriptors, _, _ = socket.recv_fds(requests, _LONGEST_REQUEST, 4)
    if not message:
        return False
    pid = os.fork()
    if not pid:
        _run(json.loads(message), descriptors, [requests, *commands.values()])
    commands[pid] = socket.socket(fileno=descriptors.pop())
    for descriptor in descriptors:
        os.close(descriptor)
    return True


def _run(request: Mapping[str, object], descriptors: Sequence[int], sockets: Sequence[socket.socket]) -> NoReturn:
    """Become the command."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        for number, descriptor in enumerate(descriptors[:3]):
            os.dup2(descriptor, number)
        os.write(descriptors[-1], str(os.getpid()).encode())
        for descriptor in (*descriptors, *(end.fileno() for end in sockets)):
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(request["environment"])  # type: ignore[arg-type]
        time.tzset()
        os.chdir(str(request["folder"]))
        sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115 (open as long as the process lives)
        sys.stdout = open(1, "w", encoding="utf-8")  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1)  # noqa: SIM115
        sys.argv = [str(request["script"] or "regionplot"), *request["arguments"]]  # type: ignore[misc]
        if request["script"]:
            runpy.run_path(str(request["script"]), run_name="__main__")
            raise SystemExit(0)
        importlib.import_module("regionplot.cli").main()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
    except KeyboardInterrupt:  # the interpreter ends by the signal
        traceback.print_exc()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


if __name__ == "__main__":
    for name in sys.argv[2:]:
        importlib.import_module(name)
    _keep_versions()
    if "regionplot" in sys.modules:
        _keep_imports()
        _keep_settings()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as control:
        _serve(control)
