"""SMS over a provider's HTTP interface that takes JSON and an idempotency key."""

from datetime import timedelta

import httpx

from engine.errors import ProviderRefused, ProviderUnavailable
from gateways.sender import AcceptanceUnknown, Message, MessageUnsendable, ProviderBusy, Receipt

TIMEOUT_SECONDS = 10.0
_AGAIN_LATER = frozenset({408, 409, 425})
_TOO_MANY = 429
_MAY_HAVE_BEEN_TAKEN = 500
_REFUSED = 400


class SmsSender:
    """Posts `{"to", "from", "text"}` to `<url>/messages`; the answer's `id` names the message.

    Args:
        url: base address of the provider.
        token: sent as bearer token; '' sends none.
        sender: number or name for messages that name none.
        key_lifetime: how long the provider remembers an Idempotency-Key; 24 hours is usual.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str,
        sender: str,
        key_lifetime: timedelta = timedelta(hours=24),
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.key_lifetime: timedelta | None = key_lifetime
        self._sender = sender
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=timeout_seconds,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            follow_redirects=False,
        )

    async def send(self, message: Message) -> Receipt:
        """Hand one SMS to the provider; see `Sender.send`."""
        if not message.recipient.removeprefix("+").isdigit():
            raise MessageUnsendable(
                "A telephone number has something else than digits in it.",
                hint="Numbers are stored like +15550123456.",
            )
        try:
            response = await self._client.post(
                "messages",
                json={
                    "to": message.recipient,
                    "from": message.sender or self._sender,
                    "text": message.text,
                },
                headers={"Idempotency-Key": str(message.send_id)},
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise ProviderUnavailable("The SMS provider can't be reached.") from error
        except httpx.HTTPError as error:
            raise AcceptanceUnknown(
                f"The SMS provider gave no answer: {type(error).__name__}."
            ) from error
        return _receipt(response, message)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _receipt(response: httpx.Response, message: Message) -> Receipt:
    status = response.status_code
    said = f"The SMS provider answered {status}."
    if status == _TOO_MANY:
        raise ProviderBusy(said, retry_after_seconds=_retry_after_seconds(response))
    if status in _AGAIN_LATER:
        raise ProviderUnavailable(said)
    if status >= _MAY_HAVE_BEEN_TAKEN:
        raise AcceptanceUnknown(said)
    if not response.is_success:
        raise ProviderRefused(said)
    return Receipt(provider_id=_named(response) or str(message.send_id))


def _named(response: httpx.Response) -> str:
    try:
        answer = response.json()
    except ValueError:
        return ""
    return str(answer.get("id", "")) if isinstance(answer, dict) else ""


def _retry_after_seconds(response: httpx.Response) -> int:
    # the header may also hold a date; a minute is what such providers mean by it
    said = response.headers.get("Retry-After", "")
    return min(int(said), 3600) if said.isdigit() else 60
