"""Who does the chunks of a long audit, or its properties: this thread, several threads or processes, or a Dask cluster.

A chunk is known by its number alone, and what it draws is seeded by that number, so results do not depend on how many workers there are.
"""

from __future__ import annotations

import abc
import hashlib
import importlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, ClassVar

from hurwicz._foundation import FormatError, InputError, MissingExtraError

Work = Callable[[int], Any]


class Executor(abc.ABC):
    """Runs numbered chunks and hands their results back in the order of their numbers.

    Attributes:
        shares_memory: whether work happens in this process, and may fill its arrays and call its functions.
    """

    shares_memory: bool = False

    @abc.abstractmethod
    def map(self, work: Work, numbers: Sequence[int]) -> Iterator[Any]:
        """``work(number)`` for each, in order."""

    def as_done(self, work: Work, numbers: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """(number, ``work(number)``) for each, as they come."""
        yield from zip(numbers, self.map(work, numbers), strict=True)

    def fill(self, work: Work, count: int) -> None:
        """``work(0), ..., work(count - 1)`` for their effect on arrays in this process."""
        for k in range(count):
            work(k)


class Serial(Executor):
    """One after another, here.

    Example:
        >>> list(Serial().map(lambda k: k * k, [0, 1, 2]))
        [0, 1, 4]
    """

    shares_memory = True

    def map(self, work: Work, numbers: Sequence[int]) -> Iterator[Any]:
        """``work(number)`` for each, in order."""
        return map(work, numbers)


class Threads(Executor):
    """Several threads of this process: for mechanisms in numpy or compiled code that keep no state of their own.

    Args:
        workers: how many; as many as there are cores if omitted.

    Example:
        >>> list(Threads(2).map(lambda k: k * k, [0, 1, 2]))
        [0, 1, 4]
    """

    shares_memory = True

    def __init__(self, workers: int | None = None) -> None:
        self.workers = _count(workers)

    def map(self, work: Work, numbers: Sequence[int]) -> Iterator[Any]:
        """``work(number)`` for each, in order."""
        with ThreadPoolExecutor(self.workers) as pool:
            yield from _windowed(lambda k: pool.submit(work, k), numbers, self.workers)

    def as_done(self, work: Work, numbers: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """(number, ``work(number)``) for each, as they come."""
        yield from _completed(ThreadPoolExecutor(self.workers), work, numbers)

    def fill(self, work: Work, count: int) -> None:
        """``work(0), ..., work(count - 1)`` for their effect on arrays in this process."""
        for _ in self.map(work, range(count)):
            pass


class Processes(Executor):
    """Several processes: for mechanisms in pure Python.

    What can be pickled is sent as it is. Lambdas and functions inside functions are sent by cloudpickle where that is installed (the
    ``cluster`` extra brings it).

    Args:
        workers: how many; as many as there are cores if omitted.
    """

    def __init__(self, workers: int | None = None) -> None:
        self.workers = _count(workers)

    def map(self, work: Work, numbers: Sequence[int]) -> Iterator[Any]:
        """``work(number)`` for each, in order.

        Raises:
            InputError: work that cannot be sent to another process.
        """
        sealed = _Sealed.of(work)
        try:
            with self._pool() as pool:
                yield from _windowed(lambda k: pool.submit(sealed, k), numbers, self.workers)
        except BrokenProcessPool as error:
            raise InputError(_BROKEN) from error

    def as_done(self, work: Work, numbers: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """(number, ``work(number)``) for each, as they come.

        Raises:
            InputError: work that cannot be sent to another process.
        """
        sealed = _Sealed.of(work)
        try:
            yield from _completed(self._pool(), sealed, numbers)
        except BrokenProcessPool as error:
            raise InputError(_BROKEN) from error

    def _pool(self) -> ProcessPoolExecutor:
        import multiprocessing

        return ProcessPoolExecutor(self.workers, mp_context=multiprocessing.get_context("spawn"))


_BROKEN = (
    "Processes: a worker ended before its work was done; expected a mechanism whose module other processes can import "
    "(its own lines on standard error say more), or use threads"
)


class _Sealed:
    """Work as bytes, opened once in each process."""

    opened: ClassVar[dict[bytes, Work]] = {}

    def __init__(self, content: bytes) -> None:
        self.content, self.name = content, hashlib.sha256(content).digest()

    @classmethod
    def of(cls, work: Work) -> _Sealed:
        import pickle

        refusals = (pickle.PicklingError, AttributeError, TypeError)
        try:
            return cls(pickle.dumps(work))
        except refusals as error:
            plain = error
        try:
            return cls(importlib.import_module("cloudpickle").dumps(work))
        except ImportError as error:
            raise InputError(
                f"Processes: expected a mechanism that can be pickled, got one that cannot ({plain}); define its functions at the top of a "
                "module, or install cloudpickle (pip install 'hurwicz[cluster]'), or use threads"
            ) from error
        except refusals as error:
            raise InputError(
                f"Processes: expected a mechanism that can be sent to another process, got one that cannot ({error}); "
                "it holds a lock, an open file or a solver: use threads"
            ) from error

    def __call__(self, number: int) -> Any:
        import pickle

        if self.name not in self.opened:
            self.opened.clear()
            self.opened[self.name] = pickle.loads(self.content)
        return self.opened[self.name](number)


class Dask(Executor):
    """A Dask cluster (the ``cluster`` extra): where one machine is outgrown.

    Args:
        client: a ``dask.distributed.Client``, the address of a scheduler, or ``None`` for a cluster of processes on this machine.
        workers: how many processes, for a cluster on this machine.

    Raises:
        MissingExtraError: Dask is not installed.
    """

    def __init__(self, client: Any = None, workers: int | None = None) -> None:
        self.client = client
        if client is None or isinstance(client, str):
            try:
                distributed = importlib.import_module("dask.distributed")
            except ImportError as error:
                raise MissingExtraError("audits on a cluster need Dask; pip install 'hurwicz[cluster]'") from error
            self.client = distributed.Client(client) if client else distributed.Client(n_workers=_count(workers), threads_per_worker=1)

    def map(self, work: Work, numbers: Sequence[int]) -> Iterator[Any]:
        """``work(number)`` for each, in order."""
        cores = max(1, sum(self.client.ncores().values()))
        yield from _windowed(lambda k: self.client.submit(work, k, pure=False), numbers, cores)


def executor_of(kind: str | Executor, workers: int | None = None) -> Executor:
    """An executor by name, or as given.

    Args:
        kind: ``"serial"``, ``"threads"``, ``"processes"``, ``"dask"`` (a cluster on this machine), or an :class:`Executor`.
        workers: how many.

    Raises:
        InputError: another word.

    Example:
        >>> type(executor_of("threads", 2)).__name__
        'Threads'
    """
    if isinstance(kind, Executor):
        return kind
    made: dict[str, Callable[[], Executor]] = {
        "serial": Serial,
        "threads": lambda: Threads(workers),
        "processes": lambda: Processes(workers),
        "dask": lambda: Dask(None, workers),
    }
    if kind not in made:
        raise InputError(f"executor: expected one of {sorted(made)} or an Executor (Dask(client), say), got {kind!r}")
    return made[kind]()


class Checkpoint:
    """Results of chunks in a file, one JSON line each, so that a long audit goes on where it was stopped.

    Args:
        path: where; made if it is not there.
        about: what the audit is (mechanism, seed, chunk size): a file about something else is refused.

    Raises:
        FormatError: a file that is no checkpoint, or of another audit.
    """

    def __init__(self, path: str | Path, about: dict[str, Any]) -> None:
        self.path, self.about = Path(path), json.loads(json.dumps(about))
        self.done: dict[int, Any] = {}
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps({"about": self.about}) + "\n", encoding="utf-8")
            return
        lines = self.path.read_text(encoding="utf-8").splitlines()
        try:
            first = json.loads(lines[0])["about"] if lines else None
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise FormatError("is no checkpoint of an audit: expected a first line that says what it is about", path=self.path) from error
        if first != self.about:
            raise FormatError(f"is a checkpoint of another audit: expected {self.about}, got {first}; name another file", path=self.path)
        for line in lines[1:]:
            try:
                entry = json.loads(line)
                self.done[int(entry["chunk"])] = entry["result"]
            except (json.JSONDecodeError, KeyError, TypeError, ValueError):
                continue  # a line cut short by the interruption: that chunk is done again

    def keep(self, chunk: int, result: Any) -> None:
        """Write one chunk's result."""
        self.done[chunk] = result
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"chunk": chunk, "result": result}) + "\n")


def run_chunks(
    work: Work, numbers: Sequence[int], executor: Executor, *, checkpoint: Checkpoint | None = None
) -> Iterator[tuple[int, Any]]:
    """(number, result) in order of the numbers; what a checkpoint holds is not done again.

    Example:
        >>> list(run_chunks(lambda k: 2 * k, range(3), Serial()))
        [(0, 0), (1, 2), (2, 4)]
    """
    done = {} if checkpoint is None else dict(checkpoint.done)
    left = [k for k in numbers if k not in done]
    fresh = iter(executor.map(work, left))
    for k in numbers:
        if k in done:
            yield k, done[k]
            continue
        result = next(fresh)
        if checkpoint is not None:
            checkpoint.keep(k, result)
        yield k, result


def chunks_as_done(
    work: Work, numbers: Sequence[int], executor: Executor, *, checkpoint: Checkpoint | None = None
) -> Iterator[tuple[int, Any]]:
    """(number, result) as they come, each kept at once; what a checkpoint holds is not done again and comes first.

    Example:
        >>> sorted(chunks_as_done(lambda k: 2 * k, range(3), Threads(2)))
        [(0, 0), (1, 2), (2, 4)]
    """
    done = {} if checkpoint is None else dict(checkpoint.done)
    yield from ((k, done[k]) for k in numbers if k in done)
    for k, result in executor.as_done(work, [k for k in numbers if k not in done]):
        if checkpoint is not None:
            checkpoint.keep(k, result)
        yield k, result


def _completed(pool: ThreadPoolExecutor | ProcessPoolExecutor, work: Work, numbers: Sequence[int]) -> Iterator[tuple[int, Any]]:
    # an interruption drops what is not under way, and tells what is to stop
    waiting = {pool.submit(work, k): k for k in numbers}
    try:
        for future in as_completed(waiting):
            yield waiting[future], future.result()
    except BaseException:
        getattr(work, "stop", lambda: None)()
        workers = list((getattr(pool, "_processes", None) or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.terminate()
        raise
    pool.shutdown()


def _windowed(submit: Callable[[int], Any], numbers: Sequence[int], workers: int) -> Iterator[Any]:
    # results in order, with no more than a few chunks for each worker ahead of them
    waiting: list[Future[Any]] = []
    queue = iter(numbers)
    for k in queue:
        waiting.append(submit(k))
        if len(waiting) >= 3 * workers:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()


def _count(workers: int | None) -> int:
    if workers is not None and workers < 1:
        raise InputError(f"executor: expected at least one worker, got {workers}")
    return workers if workers is not None else os.cpu_count() or 1
