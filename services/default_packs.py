"""The shipped rule packs that a tenant without rules of its own starts with."""

# only packs without findings: a tenant's first release has to be sound
_BY_INDUSTRY = {
    "healthcare": ("healthcare/retention",),
}
_ANY_INDUSTRY = ("retail/retention",)
_EVERYBODY: tuple[str, ...] = ()


def default_packs(industry: str | None) -> tuple[str, ...]:
    """Return the names of the packs of an industry (None: unset) with those for everybody."""
    return (*_BY_INDUSTRY.get(industry or "", _ANY_INDUSTRY), *_EVERYBODY)
