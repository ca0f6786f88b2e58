"""Which consent holds for a contact: the CRM's flags forbid, else the ledger, else implied."""

from collections.abc import Iterable, Mapping
from typing import Any

from engine.actions import PURPOSES
from engine.candidates import CONSENT_FLAGGED, CONSENT_GRANTED, CONSENT_REVOKED
from services.tenant_settings import TenantSettings

# one ledger row in force: channel, purpose, status
Ledger = tuple[str, str, str]

_FLAGS = {"email": "do_not_email", "sms": "do_not_sms", "call_task": "do_not_call"}


def consent_held(
    settings: TenantSettings, row: Mapping[str, Any], ledger: Iterable[Ledger]
) -> dict[str, int]:
    """Return 'channel:purpose' -> CONSENT_ code, sorted; what is absent is no consent.

    `row` has the CRM's flags as `store.profiles.get_profile_row` gives them.
    """
    held = dict.fromkeys(settings.implied_consent, CONSENT_GRANTED)
    for channel, purpose, status in ledger:
        granted = CONSENT_GRANTED if status == "granted" else CONSENT_REVOKED
        held[f"{channel}:{purpose}"] = granted
    for channel, flag in _FLAGS.items():
        for purpose in PURPOSES:
            if row[flag] or (row["unsubscribed"] and purpose == "marketing"):
                held[f"{channel}:{purpose}"] = CONSENT_FLAGGED
    return dict(sorted(held.items()))
