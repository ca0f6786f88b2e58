"""Pieces of work on a Dask cluster: an optional extra, `pip install keepwell[dask]`."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from engine.errors import InvalidInput, Unavailable
from services.executors import in_order

Piece = TypeVar("Piece")
Done = TypeVar("Done")

_CONNECT_SECONDS = 10
_PER_WORKER = 2  # pieces under way for each thread of the cluster: one at work, one that waits


class SchedulerUnavailable(Unavailable):
    """The Dask scheduler can't be reached."""

    code = "scheduler_unavailable"


class Dask:
    """The workers of a scheduler; each needs this version of Keepwell and the database's address.

    Args:
        scheduler: address, e.g. 'tcp://10.0.0.5:8786'.
    """

    def __init__(self, scheduler: str) -> None:
        self._scheduler = scheduler

    def map(self, work: Callable[[Piece], Done], pieces: Iterable[Piece]) -> Iterator[Done]:
        """See `services.executors.Executor.map`.

        Raises:
            InvalidInput: the extra is not installed.
            SchedulerUnavailable: nobody answers.
        """
        try:
            from distributed import Client  # noqa: PLC0415 - an optional extra
        except ImportError:
            raise InvalidInput(
                "Dask is not installed.", hint="Install the extra: pip install 'keepwell[dask]'."
            ) from None
        try:
            connect: Any = Client  # without annotations
            client = connect(self._scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
        except OSError as error:
            raise SchedulerUnavailable(
                f"The Dask scheduler at {self._scheduler} can't be reached.",
                hint="Start it with 'dask scheduler', and workers with 'dask worker'.",
            ) from error
        with client:
            threads = max(1, sum(client.nthreads().values()))
            # not pure: the same piece again is done again
            yield from in_order(
                lambda piece: client.submit(work, piece, pure=False),
                pieces,
                threads * _PER_WORKER,
            )
