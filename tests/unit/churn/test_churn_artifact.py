import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn import artifact
from churn.artifact import TrainedModel
from engine.errors import ModelUnusable


@pytest.fixture(scope="module")
def document(trained: TrainedModel) -> bytes:
    return artifact.dump(trained)


def test_what_was_written_is_read(trained: TrainedModel, document: bytes):
    loaded = artifact.load(document, expected_digest=artifact.digest(document))
    assert loaded == trained
    assert artifact.dump(loaded) == document


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_changed_byte_is_noticed(document: bytes, data: st.DataObject):
    place = data.draw(st.integers(0, len(document) - 1))
    changed = bytearray(document)
    changed[place] ^= data.draw(st.sampled_from([1, 2, 16, 32]))
    with pytest.raises(ModelUnusable):
        artifact.load(bytes(changed))


def test_a_document_somebody_rewrote_is_refused_even_with_equal_content(document: bytes):
    with pytest.raises(ModelUnusable, match="altered"):
        artifact.load(json.dumps(json.loads(document), indent=1).encode())


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.999])
def test_a_cut_document_is_refused(document: bytes, kept: float):
    with pytest.raises(ModelUnusable, match="cut"):
        artifact.load(document[: int(len(document) * kept)])


def test_another_format_version_is_refused_and_named(document: bytes):
    newer = json.loads(document) | {"format_version": 3}
    with pytest.raises(ModelUnusable, match="format version 3; this code reads 2"):
        artifact.load(json.dumps(newer).encode())


def test_another_document_is_not_taken_for_the_recorded_one(document: bytes):
    with pytest.raises(ModelUnusable, match="recorded is"):
        artifact.load(document, expected_digest="0" * 64)


@pytest.mark.parametrize("text", [b"[]", b"{}", b'{"format":"other"}'])
def test_something_else_is_refused(text: bytes):
    with pytest.raises(ModelUnusable, match="is not a"):
        artifact.load(text)


def resealed(document: bytes, **changes: object) -> bytes:
    """A document whose checksum holds, as another version of this code might have written it."""
    envelope = json.loads(document)
    content = {**envelope["model"], **changes}
    content = {name: value for name, value in content.items() if value is not None}
    checksum = artifact.hashlib.sha256(artifact._canonical(content)).hexdigest()
    return artifact._canonical(envelope | {"model": content, "sha256": checksum})


def test_another_major_version_of_lightgbm_is_refused(document: bytes):
    with pytest.raises(ModelUnusable, match=r"LightGBM 3\.3\.5"):
        artifact.load(resealed(document, libraries={"lightgbm": "3.3.5"}))


@pytest.mark.parametrize(
    "changes", [{"booster": None}, {"unheard_of": 1}, {"trained_until": "yesterday"}]
)
def test_fields_that_do_not_fit_are_refused(document: bytes, changes: dict[str, object]):
    with pytest.raises(ModelUnusable, match="lacks or misstates"):
        artifact.load(resealed(document, **changes))
