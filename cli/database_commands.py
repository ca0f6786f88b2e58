"""`keepwell db`: the schema."""

from cli.options import AsJson
from cli.output import console, errors_told, print_json
from embedded.servers import EmbeddedServers
from engine.errors import InvalidInput
from services.settings import Settings
from store.upgrade import upgrade


def upgrade_command(as_json: AsJson = False) -> None:
    """Bring the database to the newest schema: adopt the CRM that is there, or create it.

    Uses KEEPWELL_OWNER_DATABASE_URL, a role that owns the CRM's tables; without any address the
    embedded server.
    """
    settings = Settings()
    with errors_told():
        if settings.owner_database_url is not None:
            applied = upgrade(settings.owner_database_url)
        elif settings.database_url is not None:
            raise InvalidInput(
                "KEEPWELL_DATABASE_URL is the application's role, which must not own tables.",
                hint="Set KEEPWELL_OWNER_DATABASE_URL to the owner of the CRM's tables as well.",
            )
        else:
            with EmbeddedServers.start(settings.home) as servers:
                applied = upgrade(servers.owner_database_url)
    if as_json:
        print_json({"applied": applied})
    elif applied:
        console.print(f"applied: {', '.join(applied)}")
    else:
        console.print("nothing to do: the schema is the newest")
