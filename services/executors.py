"""Where independent pieces of work are done: here, in processes of this machine, or on a cluster.

One interface; the work is a module-level function of one argument that can be pickled, so each
place gives the same results. Results come in the order of the pieces.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Protocol, TypeVar

from engine.errors import InvalidInput

Piece = TypeVar("Piece")
Done = TypeVar("Done")
Made = TypeVar("Made", covariant=True)  # noqa: PLC0105 - the name of a type in a protocol


class Executor(Protocol):
    """Does pieces of work."""

    def map(self, work: Callable[[Piece], Done], pieces: Iterable[Piece]) -> Iterator[Done]:
        """Yield the results in order; an error of a piece is raised when its turn comes.

        Pieces are taken as places become free, so there may be more of them than fit into memory.
        """
        ...


class Here:
    """One piece after the other, in this process."""

    def map(self, work: Callable[[Piece], Done], pieces: Iterable[Piece]) -> Iterator[Done]:
        """See `Executor.map`."""
        return map(work, pieces)


class Processes:
    """So many processes of this machine; each starts afresh and knows nothing of this one.

    Args:
        count: at least 1.
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise InvalidInput(f"{count} processes were asked for.", hint="Ask for at least 1.")
        self._count = count

    def map(self, work: Callable[[Piece], Done], pieces: Iterable[Piece]) -> Iterator[Done]:
        """See `Executor.map`."""
        context = multiprocessing.get_context("spawn")  # a fork would share sockets and threads
        with ProcessPoolExecutor(self._count, mp_context=context) as pool:
            yield from in_order(lambda piece: pool.submit(work, piece), pieces, self._count + 1)


class Pending(Protocol[Made]):
    """A result that is being made."""

    def result(self) -> Made:
        """Wait for it; raises what went wrong."""
        ...

    def cancel(self) -> object:
        """Give it up, if it has not begun."""
        ...


def in_order(
    submit: Callable[[Piece], Pending[Done]], pieces: Iterable[Piece], at_once: int
) -> Iterator[Done]:
    """Yield the results of submitted pieces in order, at most `at_once` of them under way."""
    under_way: deque[Pending[Done]] = deque()
    try:
        for piece in pieces:
            under_way.append(submit(piece))
            if len(under_way) >= at_once:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for pending in under_way:
            pending.cancel()
