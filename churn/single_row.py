"""One row through LightGBM without the 20 microseconds that its Python wrapper takes.

LightGBM's C API keeps everything a row needs in a prepared configuration (`…SingleRowFast`); the
Python package doesn't offer it. The library and the booster are those of the package, so the trees
are walked by the same code and give the same bits.
"""

import ctypes
import threading
import weakref
from typing import Any

import lightgbm as lgb
import numpy as np

from churn.feature_rows import Array
from engine.errors import ModelUnusable

_RAW_SCORE = 1  # C_API_PREDICT_RAW_SCORE
_FLOAT64 = 1  # C_API_DTYPE_FLOAT64
_PARAMETERS = b"num_threads=1"


class SingleRow:
    """Raw scores of a few rows, one after another. Safe to share between threads.

    Args:
        booster: is kept alive as long as this; it must not be changed.

    Raises ModelUnusable where the installed LightGBM doesn't take the configuration.
    """

    def __init__(self, booster: lgb.Booster) -> None:
        self._booster = booster
        self._lock = threading.Lock()
        self._width = int(booster.num_feature())
        self._row = np.zeros(self._width)
        self._found = ctypes.c_double()
        self._length = ctypes.c_int64()
        self._config = ctypes.c_void_p()
        library: Any = vars(lgb.basic)["_LIB"]  # the C API has no other door
        failed = library.LGBM_BoosterPredictForMatSingleRowFastInit(
            booster._handle,  # noqa: SLF001
            ctypes.c_int(_RAW_SCORE),
            ctypes.c_int(0),
            ctypes.c_int(-1),
            ctypes.c_int(_FLOAT64),
            ctypes.c_int32(self._width),
            ctypes.c_char_p(_PARAMETERS),
            ctypes.byref(self._config),
        )
        if failed:
            raise ModelUnusable("LightGBM can't prepare the stored model for single rows.")
        self._free = weakref.finalize(self, library.LGBM_FastConfigFree, self._config)
        self._predict = library.LGBM_BoosterPredictForMatSingleRowFast
        self._arguments = (
            self._config,
            ctypes.c_void_p(self._row.ctypes.data),
            ctypes.byref(self._length),
            ctypes.byref(self._found),
        )

    def __call__(self, rows: Array) -> Array:
        """(n,) raw scores of (n, columns)."""
        if rows.ndim != 2 or rows.shape[1] != self._width:
            raise ModelUnusable(f"The model takes {self._width} columns, not {rows.shape}.")
        told = np.empty(len(rows))
        with self._lock:
            for place, row in enumerate(rows):
                self._row[:] = row
                if self._predict(*self._arguments):
                    raise ModelUnusable("LightGBM refused a single row of the stored model.")
                told[place] = self._found.value
        return told
