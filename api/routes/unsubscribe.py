"""One-click unsubscribe (RFC 8058): no key, the link's token is the proof."""

from http import HTTPStatus

from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse

from api.dependencies import Now, RuntimeOf
from services.unsubscribe import read_token, unsubscribe

router = APIRouter(prefix="/v1/unsubscribe", tags=["unsubscribe"])

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex"><title>Unsubscribe</title></head>
<body><main><h1>{title}</h1>{rest}</main></body>
</html>
"""
_ASK = _PAGE.format(
    title="Stop these messages?",
    rest=(
        '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
        '<button type="submit">Yes, unsubscribe me</button></form>'
    ),
)
_DONE = _PAGE.format(title="You are unsubscribed.", rest="<p>You can close this page.</p>")
# the page has no script, style or picture; its form may only come back to us
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'"
}

Token = Path(description="From the link; signed by us, does not expire.")


@router.get("/{token}", summary="Ask before unsubscribing", response_class=HTMLResponse)
async def ask(runtime: RuntimeOf, token: str = Token) -> HTMLResponse:
    """Show a page with one button; changes nothing, since mail filters follow links."""
    read_token(runtime.settings.secret.get_secret_value(), token)
    return HTMLResponse(_ASK, headers=_HEADERS)


@router.post(
    "/{token}",
    summary="Unsubscribe",
    response_class=HTMLResponse,
    status_code=HTTPStatus.OK,
)
async def revoke(runtime: RuntimeOf, now: Now, token: str = Token) -> HTMLResponse:
    """Revoke all consent on the link's channel, suppress what is queued; may be repeated."""
    wish = read_token(runtime.settings.secret.get_secret_value(), token)
    async with runtime.database.transaction(wish.tenant_id) as connection:
        await unsubscribe(connection, wish, now=now)
    return HTMLResponse(_DONE, headers=_HEADERS)
