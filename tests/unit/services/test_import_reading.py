"""Rows of a CSV file: exact places, and one broken row never takes others with it."""

import csv
import gzip
import io
from datetime import timedelta
from itertools import repeat

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import InvalidInput
from services.import_reading import LINE, ROW, open_source


def read(tmp_path, content, *, after_row=0, size=1000):
    path = tmp_path / "rows.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(open_source(path, ",").chunks(after_row, repeat(size)))


def rows_and_rejects(chunks):
    rows = [row for chunk in chunks for row in chunk.frame.select("a", "b", LINE).rows()]
    rejects = [(r.line, r.reason) for chunk in chunks for r in chunk.rejects]
    return rows, rejects


def test_a_quoted_line_break_counts_as_a_line(tmp_path):
    chunks = read(tmp_path, 'a,b\n1,"two\nlines"\n3,4\n')
    assert rows_and_rejects(chunks) == ([("1", "two\nlines", 2), ("3", "4", 4)], [])


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"only one\n", "has 1 columns, the header has 2"),
        (b"1,2,3\n", "has 3 columns, the header has 2"),
        (b"caf\xe9,2\n", "holds bytes that are not UTF-8"),
        (b"nu\x00l,2\n", "holds a NUL character"),
        (b'"open,2\n', "can't be split into columns: unexpected end of data"),
        (b'"shut" wrongly,2\n', "can't be split into columns: ',' expected after '\"'"),
    ],
)
def test_a_broken_row_is_rejected_alone_with_its_line(tmp_path, bad, reason):
    chunks = read(tmp_path, b"a,b\n1,2\n" + bad + b"5,6\n7,8\n")
    rows, rejects = rows_and_rejects(chunks)
    assert rows == [("1", "2", 2), ("5", "6", 4), ("7", "8", 5)]
    assert rejects == [(3, reason)]
    assert sum(chunk.rows for chunk in chunks) == 4


@pytest.mark.parametrize(
    "long",
    [
        "x" * (1 << 20) + "ghost,2",  # the rest looks like a row
        ",".join(["x" * 90_000] * 11 + ["y" * 100_000]),  # so does the beginning
        '"' + "x\n" * 5 + "y" * (1 << 20) + '",2',
    ],
)
def test_no_part_of_a_line_that_is_too_long_passes_for_a_row(tmp_path, long):
    names = "a,b" if "ghost" in long or '"' in long else "a,b," + ",".join(map(str, range(10)))
    row = ",".join("z" * len(names.split(",")))
    chunks = read(tmp_path, f"{names}\n{long}\n{row}\n")
    rows, rejects = rows_and_rejects(chunks)
    assert rows == [("z", "z", 3 + long.count("\n"))]
    assert [line for line, _ in rejects] == list(range(2, 3 + long.count("\n")))


def test_a_span_of_time_in_parquet_is_no_text(tmp_path):
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"a": ["1"], "b": [timedelta(days=1)]}).write_parquet(path)
    (chunk,) = open_source(path, ",").chunks(0, repeat(9))
    assert chunk.frame.rows() == [("1", None, 1, 1)]


def test_two_lone_quotes_do_not_swallow_the_rows_between(tmp_path):
    rows, rejects = rows_and_rejects(read(tmp_path, 'a,b\n"x,1\n3,4\n5,6\ny",2,z\n7,8\n'))
    assert rows == [("3", "4", 3), ("5", "6", 4), ("7", "8", 6)]
    assert [line for line, _ in rejects] == [2, 5]


def test_reading_goes_on_after_any_row_with_the_same_lines_and_numbers(tmp_path):
    content = "a,b\n" + "".join(f'{n},"x\ny"\n' for n in range(10))
    whole = pl.concat([chunk.frame for chunk in read(tmp_path, content, size=3)])
    rest = pl.concat([chunk.frame for chunk in read(tmp_path, content, after_row=4, size=3)])
    assert rest.equals(whole.filter(pl.col(ROW) > 4))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\x00"))] * 2),
        max_size=8,
    )
)
def test_whatever_was_written_is_read(tmp_path, rows):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    found, rejects = rows_and_rejects(read(tmp_path, text.getvalue(), size=3))
    assert [row[:2] for row in found] == rows
    assert rejects == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "is empty: there is no header"),
        ("twice.csv", b"a,a\n1,2\n", "has the name 'a' twice"),
        ("latin.csv", b"caf\xe9,b\n1,2\n", "bytes that are not UTF-8"),
        ("table.xlsx", b"PK", "is neither .csv, .csv.gz nor .parquet"),
        ("broken.parquet", b"PAR1 no", "can't be read as Parquet"),
    ],
)
def test_a_file_that_can_not_be_read_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        open_source(path, ",")


def test_a_download_that_broke_off_is_told_and_not_taken_for_the_end(tmp_path):
    path = tmp_path / "rows.csv.gz"
    lines = b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * 7919) for n in range(50_000))
    path.write_bytes(gzip.compress(lines)[:-2000])
    with pytest.raises(InvalidInput, match="breaks off after line"):
        list(open_source(path, ",").chunks(0, repeat(1000)))


def test_numbers_of_parquet_are_read_as_a_person_would_write_them(tmp_path):
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"a": [13085.0, None, 6.95], "b": ["x", "y\x00", "z"]}).write_parquet(path)
    (chunk,) = open_source(path, ",").chunks(0, repeat(10))
    assert chunk.frame.select("a", LINE).rows() == [("13085", 1), ("6.95", 3)]
    assert [(r.line, r.reason) for r in chunk.rejects] == [(2, "holds a NUL character")]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text('ab,"\n\r \u00e9\x00', max_size=40), st.integers(1, 4))
def test_a_broken_last_row_changes_nothing_of_the_rows_before(tmp_path, text, size):
    content = f"a,b\n{text}\n"
    rows, rejects = rows_and_rejects(read(tmp_path, content, size=size))
    others, told = rows_and_rejects(read(tmp_path, content + "x,y,z\n", size=size))
    assert (others, told[:-1]) == (rows, rejects)
    assert told[-1][1] == "has 3 columns, the header has 2"


def test_odd_rows_far_inside_of_a_long_file_stand_where_they_stand(tmp_path):
    ordinary = [[str(n), "x" * (n % 50)] for n in range(30_000)]
    odd = {
        7: '7,"two\nlines"\n',
        9_000: "broken\n",
        9_001: "\n",
        15_000: '"open,1\n',
        29_999: '29999,"a ""b"""\n',
    }
    written = "".join(odd.get(n, f"{row[0]},{row[1]}\n") for n, row in enumerate(ordinary))
    whole = read(tmp_path, "a,b\n" + written, size=7_001)
    rows, rejects = rows_and_rejects(whole)
    assert [(chunk.rows, chunk.frame.height) for chunk in whole] == [
        (7_001, 7_001), (7_001, 7_000), (7_001, 7_000), (7_001, 7_001), (1_995, 1_995),
    ]  # fmt: skip
    assert rows[7] == ("7", "two\nlines", 9)
    assert rows[8] == ("8", "x" * 8, 11)
    assert rejects == [
        (9_003, "has 1 columns, the header has 2"),
        (15_003, "can't be split into columns: field larger than field limit (131072)"),
    ]
    assert rows[-1] == ("29999", 'a "b"', 30_002)
    rest = read(tmp_path, "a,b\n" + written, after_row=20_000, size=7_001)
    after = pl.concat([chunk.frame for chunk in whole]).filter(pl.col(ROW) > 20_000)
    assert pl.concat([chunk.frame for chunk in rest]).equals(after)
