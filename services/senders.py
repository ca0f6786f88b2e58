"""Builds the channels of a process from its settings, once."""

from gateways.email import EmailSender
from gateways.sender import Sender
from gateways.sms import SmsSender
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
    senders: dict[str, Sender] = {"email": EmailSender(settings.smtp_url, sender=_NOBODY)}
    if settings.sms_url is not None:
        token = settings.sms_token.get_secret_value()
        senders["sms"] = SmsSender(settings.sms_url, token=token, sender=settings.sms_sender)
    return Channels(senders, terms or Terms())
