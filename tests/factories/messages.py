"""Messages for channels."""

from datetime import UTC, datetime
from uuid import uuid4

from engine.ids import SendId
from gateways.sender import Message


def make_message(**changes: object) -> Message:
    """An e-mail to ada@example.com."""
    values: dict[str, object] = {
        "send_id": SendId(uuid4()),
        "recipient": "ada@example.com",
        "text": "It is time.",
        "written_at": datetime(2026, 3, 3, 17, tzinfo=UTC),
        "subject": "Time for a check-up",
    }
    return Message(**(values | changes))  # type: ignore[arg-type]
