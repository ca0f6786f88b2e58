"""A real HTTP server on the loopback that speaks the chat-completions protocol, well or badly."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

GOOD_SUBJECT = "Shall we find another time?"
GOOD_BODY = (
    "Hi {{first_name}},\n\nwe missed you and hope you are well. "
    "Would you like to choose another day?"
)

_TEXTS = {
    "good": (GOOD_SUBJECT, GOOD_BODY),
    "good_sms": (None, "Hi {{first_name}}, we missed you. Shall we find another time?"),
    "invented_offer": (GOOD_SUBJECT, "Come back this week and your next visit costs only $49!"),
    "injected_url": (GOOD_SUBJECT, "Please confirm at http://evil.test/login to keep your place."),
    "unknown_placeholder": (GOOD_SUBJECT, "Hi {{diagnosis}}, we missed you."),
    "medical_claim": (GOOD_SUBJECT, "Our new method is guaranteed to be pain-free."),
    "polite_refusal": (GOOD_SUBJECT, "I'm sorry, but as an AI I cannot help with that."),
    "too_long": (GOOD_SUBJECT, "We missed you. " * 400),
    "forged_header": ("Hello\r\nBcc: everyone@evil.test", GOOD_BODY),
}
_STATUS = {"server_error": 500, "rate_limited": 429, "unauthorised": 401, "overloaded": 503}
MODES = (
    *_TEXTS, *_STATUS, "slow", "drops_connection", "bad_json", "not_an_object", "wrong_fields",
    "empty", "no_choices", "refusal", "truncated", "html", "no_schema_support",
)  # fmt: skip


@dataclass
class LlmServer:
    """Set `mode` to change how it answers; `requests` keeps what it was sent."""

    mode: str = "good"
    base_url: str = ""
    requests: list[dict] = field(default_factory=list)
    authorization: list[str] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, request: dict) -> tuple[int, str]:
        """Status and body for a request."""
        mode = self.mode
        if mode in _STATUS:
            return _STATUS[mode], json.dumps({"error": {"message": mode, "type": mode}})
        if mode == "no_schema_support":
            if request["response_format"]["type"] == "json_schema":
                return 400, json.dumps({"error": {"message": "response_format is not supported"}})
            mode = "good"
        if mode == "html":
            return 200, "<html>gateway</html>"
        if mode == "no_choices":
            return 200, json.dumps(_completion("", choices=[]))
        if mode in _TEXTS:
            subject, body = _TEXTS[mode]
            return 200, json.dumps(_completion(json.dumps({"subject": subject, "body": body})))
        return 200, json.dumps(_completion(*_ODD[mode]))


_ODD = {
    "bad_json": ('{"subject": "Hi", "body": "we mis',),
    "not_an_object": ('["Hi", "we missed you"]',),
    "wrong_fields": ('{"subject": 3, "text": "we missed you"}',),
    "empty": ("",),
    "refusal": (None, "I can't write that."),
    "truncated": ('{"subject": "Hi", "body": "we"}', None, "length"),
}


def _completion(
    content: str | None,
    refusal: str | None = None,
    finish_reason: str = "stop",
    choices: list | None = None,
) -> dict:
    message = {"role": "assistant", "content": content, "refusal": refusal}
    one = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_750_000_000,
        "model": "stub-1",
        "choices": [one] if choices is None else choices,
        "usage": {"prompt_tokens": 200, "completion_tokens": 60, "total_tokens": 260},
    }


@asynccontextmanager
async def llm_server(mode: str = "good") -> AsyncIterator[LlmServer]:
    """A running server; stops answering and closes all connections at the end."""
    state = LlmServer(mode)
    stopped = asyncio.Event()
    writers: set[asyncio.StreamWriter] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while not stopped.is_set():
                if not await _serve_one(state, stopped, reader, writer):
                    break
        writers.discard(writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    state.base_url = f"http://127.0.0.1:{port}/v1"
    try:
        yield state
    finally:
        stopped.set()
        server.close()
        for writer in list(writers):
            writer.close()
        await server.wait_closed()


async def _serve_one(
    state: LlmServer,
    stopped: asyncio.Event,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> bool:
    """One request and answer; False when the connection is to end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    request = json.loads(await reader.readexactly(int(headers["content-length"])))
    assert head[0].startswith("POST /v1/chat/completions ")
    state.requests.append(request)
    state.arrived.set()
    state.authorization.append(headers.get("authorization", ""))
    if state.mode == "drops_connection":
        return False
    if state.mode == "slow":
        await stopped.wait()
        return False
    status, body = state.answer(request)
    kind = "text/html" if state.mode == "html" else "application/json"
    # Retry-After 0 keeps the client's retry from waiting.
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", "Retry-After: 0",
             f"Content-Length: {len(body.encode())}", "", ""]  # fmt: skip
    writer.write("\r\n".join(lines).encode() + body.encode())
    await writer.drain()
    return True
