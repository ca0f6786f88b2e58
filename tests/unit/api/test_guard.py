"""The guard around a tiny application: what reaches it, and what never does."""

import asyncio

import orjson
import pytest

from api.guard import MAX_BODY_BYTES, Guard
from api.metrics import Metrics

FORMS = (b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x")
PERSON = "Ann Miller"


async def echo(scope, receive, send):
    message = await receive()
    body = message.get("body", b"")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def breaks(scope, receive, send):
    raise ZeroDivisionError(PERSON)


async def ask(*parts, app=echo, headers=(), path="/v1/events", seconds=5.0, method="POST"):
    """Return (status, headers, body) of one request whose body arrives in `parts`."""
    waiting = [
        {"type": "http.request", "body": part, "more_body": index < len(parts) - 1}
        for index, part in enumerate(parts)
    ]
    taken = []
    sent = []

    async def receive():
        if not waiting:
            await asyncio.Event().wait()
        taken.append(waiting.pop(0))
        return taken[-1]

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers), "state": {}}
    await Guard(app, metrics=Metrics(), body_seconds=seconds)(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), body, len(taken)


JSON = (b"content-type", b"application/json")
CHUNKED = (b"transfer-encoding", b"chunked")


def length(size):
    return (b"content-length", str(size).encode())


async def test_a_body_in_pieces_reaches_the_application_whole():
    status, _, body, _ = await ask(b'{"a"', b": 1}", headers=[JSON, length(8)])
    assert (status, body) == (200, b'{"a": 1}')


async def test_a_body_announced_as_too_large_is_refused_unread():
    status, _, body, taken = await ask(b"x", headers=[JSON, length(MAX_BODY_BYTES + 1)])
    assert (status, taken) == (413, 0)
    assert orjson.loads(body)["code"] == "payload_too_large"


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit():
    parts = [b"x" * (MAX_BODY_BYTES // 2)] * 6
    status, _, _, taken = await ask(*parts, headers=[JSON, CHUNKED])
    assert (status, taken) == (413, 3)


async def test_a_body_that_never_ends_is_given_up():
    status, headers, body, _ = await ask(headers=[JSON, length(5)], seconds=0.01)
    assert (status, orjson.loads(body)["code"]) == (408, "request_too_slow")
    assert headers[b"connection"] == b"close"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([JSON, length(2), CHUNKED], 400, "malformed_request"),
        ([JSON, length(2), length(2)], 400, "malformed_request"),
        ([JSON, (b"content-length", b"-2")], 400, "malformed_request"),
        ([(b"content-type", b"text/plain"), length(2)], 415, "unsupported_media_type"),
        ([length(2)], 415, "unsupported_media_type"),
        ([(b"content-type", b"application/json; charset=utf-16"), length(2)], 415, None),
        ([JSON, length(2), (b"content-encoding", b"gzip")], 415, "unsupported_media_type"),
        ([(b"x-%d" % n, b"") for n in range(101)], 431, "headers_too_large"),
        ([(b"x", b"y" * 70_000)], 431, "headers_too_large"),
    ],
)
async def test_ambiguous_or_foreign_requests_are_refused(headers, status, code):
    found, _, body, _ = await ask(b"{}", headers=headers)
    assert found == status
    assert code in {None, orjson.loads(body)["code"]}


@pytest.mark.parametrize("kind", FORMS)
async def test_only_the_unsubscribe_address_takes_a_form(kind):
    headers = [(b"content-type", kind), length(2)]
    assert (await ask(b"{}", headers=headers, path="/v1/unsubscribe/t"))[0] == 200
    assert (await ask(b"{}", headers=headers))[0] == 415


async def test_a_fault_of_ours_tells_nothing_about_it(caplog):
    status, _, body, _ = await ask(b"", app=breaks, method="GET")
    assert (status, orjson.loads(body)["code"]) == (500, "internal_error")
    assert "ZeroDivisionError" in caplog.text
    assert PERSON not in caplog.text + body.decode()


async def test_a_sound_request_id_is_kept_and_an_unsound_one_replaced():
    _, headers, _, _ = await ask(b"", headers=[(b"x-request-id", b"trace-1")], method="GET")
    assert headers[b"x-request-id"] == b"trace-1"
    _, headers, _, _ = await ask(b"", headers=[(b"x-request-id", b"a\nb")], method="GET")
    assert len(headers[b"x-request-id"]) == 32


async def test_every_answer_carries_the_security_headers():
    _, headers, _, _ = await ask(b"", method="GET")
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"cache-control"] == b"no-store"
