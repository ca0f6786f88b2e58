from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput
from engine.ids import ContactId, TenantId
from services.manage_keys import _public, read_key, read_key_id
from services.unsubscribe import UnsubscribeLinkNotFound, Unsubscription, make_token, read_token

KEY_ID, SECRET = "a1B2c3D4", "s" * 43
TENANT = TenantId(UUID(int=7))
TOKEN = make_token("secret", TENANT, ContactId(UUID(int=8)), "email")


@given(st.uuids())
def test_a_key_names_its_tenant(tenant):
    public = _public(TenantId(tenant), KEY_ID)
    assert len(public) == 38
    assert read_key_id(public) == (tenant, KEY_ID)
    key = read_key(f"{public}_{SECRET}")
    assert key is not None
    assert (key.tenant_id, key.id, key.secret) == (tenant, KEY_ID, SECRET)


@pytest.mark.parametrize(
    "presented",
    [
        "",
        "kw_live_",
        _public(TENANT, KEY_ID),
        f"{_public(TENANT, KEY_ID)}_{SECRET}x",
        f"{_public(TENANT, KEY_ID)}-{SECRET}",
        f"kw_test_{_public(TENANT, KEY_ID)[8:]}_{SECRET}",
        f"kw_live_{'z' * 22}{KEY_ID}_{SECRET}",  # beyond 128 bits
        f"kw_live_{'é' * 22}{KEY_ID}_{SECRET}",
    ],
)
def test_what_is_not_a_key_is_not_read(presented):
    assert read_key(presented) is None


def test_a_wrong_id_says_where_to_find_the_right_one():
    with pytest.raises(InvalidInput, match="keepwell keys list"):
        read_key_id("n8n")


def test_a_secret_does_not_appear_where_a_key_is_printed():
    assert SECRET not in repr(read_key(f"{_public(TENANT, KEY_ID)}_{SECRET}"))


@given(st.uuids(), st.uuids(), st.sampled_from(["email", "sms", "call"]))
def test_a_token_says_who_leaves_which_channel(tenant, contact, channel):
    token = make_token("secret", TenantId(tenant), ContactId(contact), channel)
    assert read_token("secret", token) == Unsubscription(tenant, contact, channel)


# the last character has bits that stand for nothing
@given(st.integers(0, len(TOKEN) - 2), st.sampled_from("AZaz09-_"))
def test_a_changed_token_is_refused(position, character):
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]
    if changed != TOKEN:
        with pytest.raises(UnsubscribeLinkNotFound):
            read_token("secret", changed)


@pytest.mark.parametrize("token", ["", "x", "é" * 80, "A" * 5_000, TOKEN[:-4], TOKEN + "AAAA"])
def test_an_invented_token_is_refused(token):
    with pytest.raises(UnsubscribeLinkNotFound):
        read_token("secret", token)


def test_a_token_of_another_secret_is_refused():
    with pytest.raises(UnsubscribeLinkNotFound):
        read_token("another secret", TOKEN)
