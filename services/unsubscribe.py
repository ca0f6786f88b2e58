"""One-click unsubscribe (RFC 8058): the link's token is all the proof that is needed."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import NotFound
from engine.ids import ContactId, TenantId
from store.consents import Consent, add_consent, list_consents_held
from store.sends import suppress_queued

# who leaves a channel leaves it for every purpose: the link promises silence, not less noise
PURPOSES = ("treatment", "service", "marketing")

_VERSION = b"\x01"
_SIGNATURE_BYTES = 20
_IDS_BYTES = 1 + 16 + 16
_MAX_LENGTH = 200


class UnsubscribeLinkNotFound(NotFound):
    """The token was not made by us, or is damaged."""

    code = "unsubscribe_link_not_found"


@dataclass(frozen=True, slots=True)
class Unsubscription:
    """Who wants to hear nothing more, on which channel."""

    tenant_id: TenantId
    contact_id: ContactId
    channel: str


def make_token(secret: str, tenant_id: TenantId, contact_id: ContactId, channel: str) -> str:
    """Return the token of an unsubscribe link: URL-safe, signed, without expiry."""
    ids = _VERSION + tenant_id.bytes + contact_id.bytes + channel.encode("ascii")
    return base64.urlsafe_b64encode(_sign(secret, ids) + ids).rstrip(b"=").decode()


def read_token(secret: str, token: str) -> Unsubscription:
    """Return what the token stands for.

    Raises:
        UnsubscribeLinkNotFound: it is not one of ours.
    """
    signed = _decode(token)
    signature, ids = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:]
    genuine = hmac.compare_digest(signature, _sign(secret, ids))
    if not genuine or len(ids) <= _IDS_BYTES or ids[:1] != _VERSION:
        raise UnsubscribeLinkNotFound("There is no such unsubscribe link.")
    return Unsubscription(
        tenant_id=TenantId(UUID(bytes=ids[1:17])),
        contact_id=ContactId(UUID(bytes=ids[17:33])),
        channel=ids[_IDS_BYTES:].decode("ascii"),
    )


async def unsubscribe(connection: AsyncConnection, wish: Unsubscription, *, now: datetime) -> int:
    """Revoke all consent of this contact on this channel and suppress what is queued there.

    Both happen in the caller's transaction. A repeated wish adds no row to the ledger. Return how
    many queued sends were suppressed.
    """
    held = await list_consents_held(connection, wish.tenant_id, [wish.contact_id], now=now)
    holding = held.get(wish.contact_id, {})
    for purpose in PURPOSES:
        if holding.get((wish.channel, purpose)) != "revoked":
            await add_consent(connection, wish.tenant_id, _revocation(wish, purpose))
    return await suppress_queued(
        connection,
        wish.tenant_id,
        wish.contact_id,
        reason="consent_revoked",
        channel=wish.channel,
    )


def _revocation(wish: Unsubscription, purpose: str) -> Consent:
    return Consent(
        contact_id=wish.contact_id,
        channel=wish.channel,
        purpose=purpose,
        status="revoked",
        basis="revocation",
        source="unsubscribe_link",
        evidence={"method": "one-click"},
    )


def _sign(secret: str, ids: bytes) -> bytes:
    # the label keeps these signatures apart from whatever else the secret may sign
    return hmac.new(secret.encode(), b"unsubscribe:" + ids, hashlib.sha256).digest()[
        :_SIGNATURE_BYTES
    ]


def _decode(token: str) -> bytes:
    if len(token) > _MAX_LENGTH or not token.isascii():
        return b""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return b""
