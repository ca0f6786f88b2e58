"""Standard features of what is said and agreed: messages, satisfaction, contracts, deals."""

from engine.features.catalogue_entry import CatalogueEntry, described, windows
from engine.features.spec import Feature

_SENT = ("message.sent",)
_ANSWERED = ("message.clicked", "message.replied")
_RATED = ("message.rated",)
_TICKET = ("ticket.opened",)
_TICKET_ENDS = ("ticket.closed",)
_COMPLAINT = ("complaint.opened",)
_COMPLAINT_ENDS = ("complaint.resolved",)
_SURVEYED = ("survey.answered",)
_CONTRACT = ("contract.started", "contract.renewed")
_CONTRACT_ENDS = ("contract.ended", "contract.cancelled")
_ASSET = ("asset.installed", "asset.recorded", "warranty.registered")
_OFFERED = ("estimate.sent", "proposal.sent", "plan.presented")
_TAKEN = ("estimate.accepted", "proposal.accepted", "plan.scheduled")
_DEAL_ENDS = ("deal.won", "deal.lost")
# channels of the CRM's activities, with how people call them
_CHANNELS = (("email", "e-mails"), ("sms", "text messages"), ("call", "calls"))


def _channel(name: str, label: str) -> tuple[CatalogueEntry, ...]:
    """How one channel of the CRM's activities is answered."""
    out, back = (f"activity.{name}_out",), (f"activity.{name}_in",)
    return (
        *windows(
            f"{name}_out_{{}}d", "count", out, (90, 365), label, f"{label} to them, {{}} days"
        ),
        *windows(
            f"{name}_in_{{}}d", "count", back, (90, 365), label, f"{label} from them, {{}} days"
        ),
        described(
            Feature(f"{name}_response_share_365d", "share", back, 365, of_types=out),
            "share",
            f"{label} from them, per one to them, in 365 days",
            "none went to them",
        ),
        described(
            Feature(f"{name}_response_days_365d", "median_latency_days", out, 365, of_types=back),
            "days",
            f"usual wait for an answer to {label} in 365 days",
            "nothing was answered",
        ),
    )


COMMUNICATION: tuple[CatalogueEntry, ...] = (
    *windows("messages_sent_{}d", "count", _SENT, (90, 365), "messages", "messages, {} days"),
    *windows("opens_{}d", "count", ("message.opened",), (90, 365), "opens", "opens, {} days"),
    *windows("clicks_{}d", "count", ("message.clicked",), (90, 365), "clicks", "clicks, {} days"),
    *windows(
        "replies_{}d", "count", ("message.replied",), (90, 365), "replies", "replies in {} days"
    ),
    described(
        Feature("message_response_share_365d", "share", _ANSWERED, 365, of_types=_SENT),
        "share",
        "answers per message in 365 days",
        "no message was sent",
    ),
    described(
        Feature(
            "message_response_days_365d", "median_latency_days", _SENT, 365, of_types=_ANSWERED
        ),
        "days",
        "usual wait for an answer to a message in 365 days",
        "nothing was answered",
    ),
    described(
        Feature("messages_since_reply", "count_since_last", _SENT, anchor="message.replied"),
        "messages",
        "messages since the last reply",
        "never replied",
    ),
    *(entry for name, label in _CHANNELS for entry in _channel(name, label)),
    *windows(
        "meetings_{}d", "count", ("activity.meeting",), (90, 365), "meetings", "meetings, {} days"
    ),
    *windows(
        "campaigns_joined_{}d",
        "count",
        ("campaign.joined",),
        (365,),
        "campaigns",
        "campaigns joined in {} days",
    ),
)

SATISFACTION: tuple[CatalogueEntry, ...] = (
    *windows("complaints_{}d", "count", _COMPLAINT, (180,), "complaints", "complaints, {} days"),
    described(
        Feature("open_complaints", "open_count", _COMPLAINT, closed_by=_COMPLAINT_ENDS),
        "complaints",
        "complaints not yet resolved",
    ),
    described(
        Feature("oldest_complaint_days", "oldest_open_days", _COMPLAINT, closed_by=_COMPLAINT_ENDS),
        "days",
        "age of the oldest open complaint",
        "no complaint is open",
    ),
    *windows("tickets_{}d", "count", _TICKET, (90, 365), "tickets", "support tickets, {} days"),
    described(
        Feature("open_tickets", "open_count", _TICKET, closed_by=_TICKET_ENDS),
        "tickets",
        "support tickets not yet closed",
    ),
    described(
        Feature("oldest_ticket_days", "oldest_open_days", _TICKET, closed_by=_TICKET_ENDS),
        "days",
        "age of the oldest open ticket",
        "no ticket is open",
    ),
    described(
        Feature("ticket_days_365d", "median_latency_days", _TICKET, 365, of_types=_TICKET_ENDS),
        "days",
        "usual days to close a ticket in 365 days",
        "no ticket was closed",
    ),
    described(
        Feature("last_satisfaction", "last_value", _SURVEYED),
        "points of 10",
        "last satisfaction score",
        "no survey was answered",
    ),
    described(
        Feature("satisfaction_365d", "mean_value", _SURVEYED, 365),
        "points of 10",
        "mean satisfaction score in 365 days",
        "no survey was answered",
    ),
    described(
        Feature("satisfaction_change", "value_change", _SURVEYED),
        "points of 10",
        "last satisfaction score less the one before",
        "fewer than two surveys were answered",
    ),
    described(
        Feature("survey_response_share_365d", "share", _SURVEYED, 365, of_types=("survey.asked",)),
        "share",
        "surveys answered, of those asked in 365 days",
        "no survey was asked",
    ),
    described(
        Feature("last_review_stars", "last_value", ("review.posted",)),
        "stars of 5",
        "stars of the last public review",
        "no review was posted",
    ),
    described(
        Feature("last_sentiment", "last_value", _RATED),
        "tone from -1 to 1",
        "tone of the last message from them",
        "no message was rated",
    ),
    *(
        described(
            Feature(f"sentiment_{days}d", "mean_value", _RATED, days),
            "tone from -1 to 1",
            f"mean tone of their messages in {days} days",
            "no message was rated in the window",
        )
        for days in (90, 365)
    ),
    described(
        Feature("sentiment_change_90d", "mean_change", _RATED, 90),
        "tone from -1 to 1",
        "mean tone in 90 days less that in the 90 days before",
        "no message was rated in one of the windows",
    ),
)

BONDS: tuple[CatalogueEntry, ...] = (
    described(
        Feature("open_contracts", "open_count", _CONTRACT, closed_by=_CONTRACT_ENDS),
        "openings",
        "contracts in force",
    ),
    described(
        Feature("days_since_contract_start", "days_since_last", _CONTRACT),
        "days",
        "days since a contract was last started or renewed",
        "never had a contract",
    ),
    described(
        Feature("contract_ends_in_days", "days_until_date", _CONTRACT, property="ends_on"),
        "days",
        "days until the contract ends",
        "no contract says its end",
    ),
    described(
        Feature("warranty_ends_in_days", "days_until_date", _ASSET, property="warranty_until"),
        "days",
        "days until the warranty ends",
        "no equipment says its warranty",
    ),
    described(
        Feature("offers_taken_share_365d", "share", _TAKEN, 365, of_types=_OFFERED),
        "share",
        "estimates, proposals and plans taken, of those offered in 365 days",
        "nothing was offered",
    ),
    described(
        Feature("open_deals", "open_count", ("deal.opened",), closed_by=_DEAL_ENDS),
        "deals",
        "deals not yet won or lost",
    ),
    *windows("deals_won_{}d", "count", ("deal.won",), (365,), "deals", "deals won in {} days"),
    *windows("deals_lost_{}d", "count", ("deal.lost",), (365,), "deals", "deals lost in {} days"),
    *windows(
        "referrals_{}d", "count", ("referral.given",), (365,), "referrals", "referrals in {} days"
    ),
    described(
        Feature("household_members", "count", ("household.joined",)),
        "people",
        "other members of the household or company, twelve at most",
    ),
)
