"""The ids of imported records: the same on every machine, whatever reads the file."""

from uuid import UUID, uuid5

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from engine.ids import TenantId
from services.import_ids import KEEPWELL, internal_ids

TENANT = TenantId(UUID("3f2c1a00-0000-4000-8000-00000000000a"))


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=20))
def test_ids_by_columns_are_those_of_the_standard_library(keys):
    ids = internal_ids(TENANT, "contact", pl.Series(keys, dtype=pl.String))
    assert ids.to_list() == [str(uuid5(KEEPWELL, f"{TENANT}/contact/{key}")) for key in keys]
