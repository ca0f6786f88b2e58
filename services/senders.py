"""Builds the channels of a process from its settings, once."""

from gateways.email import EmailSender
from services.deliver import Channels
from services.deliver_outcome import Terms
from services.settings import Settings

# Stands in only where neither the message nor the tenant names a sender.
_NOBODY = "no-reply@keepwell.invalid"


def make_channels(settings: Settings, terms: Terms | None = None) -> Channels:
    """Return the channels that the settings name; the caller closes them.

    Nothing is contacted yet.

    Raises:
        InvalidInput: KEEPWELL_SMTP_URL is not understood.
    """
    return Channels({"email": EmailSender(settings.smtp_url, sender=_NOBODY)}, terms or Terms())
