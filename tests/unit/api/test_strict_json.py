import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import InvalidFields, MalformedJson
from api.strict_json import MAX_INTEGER, MAX_KEYS, read_json

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


@given(values)
def test_a_sound_document_is_read_as_written(value):
    assert read_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"{", id="unfinished"),
        pytest.param(b"{} {}", id="two documents"),
        pytest.param(b"\xff\xfe{\x00}\x00", id="UTF-16 with a byte order mark"),
        pytest.param(b'{"a": "\xe9"}', id="Latin-1"),
        pytest.param(b"\xef\xbb\xbf{}", id="UTF-8 with a byte order mark"),
        pytest.param(b'{"a": 1, "a": 1}', id="duplicate key"),
        pytest.param(b'{"p": {"a": 1, "a": 2}}', id="duplicate key inside"),
        pytest.param(b"[" * 100_000, id="100,000 brackets"),
        pytest.param(b'{"a": "\n"}', id="raw line feed in a text"),
    ],
)
def test_what_is_not_one_document_is_malformed(raw):
    with pytest.raises(MalformedJson):
        read_json(raw)


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        pytest.param(b'{"a": NaN}', "/a", id="NaN"),
        pytest.param(b'{"p": {"x": [1, -Infinity]}}', "/p/x/1", id="Infinity inside"),
        pytest.param(b'{"a": 1e400}', "/a", id="a float beyond all bounds"),
        pytest.param(b'{"a": 9223372036854775808}', "/a", id="an integer beyond 64 bits"),
        pytest.param(b'{"a": ' + b"9" * 5_000 + b"}", "", id="5,000 digits"),
        pytest.param(b'{"a": "x\\u0000"}', "/a", id="NUL"),
        pytest.param(b'{"p": ["\\ud800"]}', "/p/0", id="half a surrogate pair"),
        pytest.param(b'{"a\\u0000": 1}', "", id="NUL in a key"),
        pytest.param(b'{"a/b~": NaN}', "/a~1b~0", id="the place is an RFC 6901 pointer"),
        pytest.param(b"[" * 17 + b"]" * 17, "/0" * 16, id="17 levels"),
        pytest.param(b'{"a":' * 900 + b"1" + b"}" * 900, "/a" * 16, id="900 levels"),
    ],
)
def test_what_the_store_cannot_hold_is_named_by_its_place(raw, pointer):
    with pytest.raises(InvalidFields) as caught:
        read_json(raw)
    assert [place for place, _ in caught.value.faults] == [pointer]


def test_sixteen_levels_and_a_thousand_keys_are_accepted():
    assert read_json(b"[" * 16 + b"]" * 16)
    assert len(read_json(json.dumps({str(n): n for n in range(MAX_KEYS)}).encode())) == MAX_KEYS
    with pytest.raises(InvalidFields):
        read_json(json.dumps({str(n): n for n in range(MAX_KEYS + 1)}).encode())


def test_a_surrogate_pair_is_one_character():
    assert read_json(b'"\\ud83d\\ude00"') == "😀"
