"""Large batches without the collector of cycles: what they are made of holds none."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Leave the collector off meanwhile; reference counts free everything as ever.

    It looks through all rows of a batch each time some more were made: of making the rows of
    20,000 decisions that took a third of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
