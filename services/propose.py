"""What rules propose: a candidate for each contact, rule that holds and subject it holds for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from engine.candidates import Proposals
from engine.columns import Floats, Ints
from engine.features.spec import CONTACT, Scalar
from engine.features.tables import FeatureTables
from engine.policy.marks import REASONS
from engine.profile import Profile, mark_key
from rules.compiled import CompiledRules
from rules.expression import leaves


@dataclass(frozen=True, slots=True)
class Matched:
    """Where rules hold, in no order.

    Attributes:
        contact: position of the profile, (m,).
        rule: position of the rule, which is that of its action, (m,).
        subject: 'contact' or e.g. 'contract:7', m of them.
    """

    contact: Ints
    rule: Ints
    subject: list[str]


def matched_one_by_one(
    rules: CompiledRules,
    profiles: Sequence[Profile],
    health: Mapping[str, Floats],
    trigger: str | None,
) -> Matched:
    """Return where rules hold, by durable-rules; `health` has a value per profile."""
    place = {rule_id: number for number, rule_id in enumerate(rules.rule_ids)}
    found: list[tuple[int, int, str]] = []
    for position, profile in enumerate(profiles):
        row: dict[str, Scalar] = {
            **profile.row,
            **{name: float(values[position]) for name, values in health.items()},
        }
        holding = rules.match_one(row, trigger)
        found += [(position, place[rule_id], CONTACT) for rule_id in holding]
        for each in profile.subjects:
            holding = rules.match_one({**row, **each.row}, trigger, each.kind)
            found += [(position, place[rule_id], each.subject) for rule_id in holding]
    contact, rule, subject = zip(*found, strict=True) if found else ((), (), ())
    return Matched(np.array(contact, dtype=np.int64), np.array(rule, dtype=np.int64), list(subject))


def matched_together(
    rules: CompiledRules,
    tables: FeatureTables,
    health: Mapping[str, Floats],
    trigger: str | None,
) -> Matched:
    """Return the same for all profiles at once, by columns."""
    contacts = tables.contacts.with_columns(
        pl.Series(name, values, nan_to_null=True) for name, values in health.items()
    )
    contact, rule = np.nonzero(rules.match_frame(contacts, trigger))
    found, subjects = [(contact, rule)], [CONTACT] * len(contact)
    for kind in rules.kinds:
        frame = _beside_contacts(rules, tables.subjects[kind], contacts, kind)
        at, rule = np.nonzero(rules.match_frame(frame, trigger, kind))
        found.append((frame["owner"].to_numpy()[at], rule))
        subjects += frame["subject"].gather(at).to_list()
    return Matched(
        np.concatenate([contact for contact, _ in found]).astype(np.int64),
        np.concatenate([rule for _, rule in found]).astype(np.int64),
        subjects,
    )


def _beside_contacts(
    rules: CompiledRules, table: pl.DataFrame, contacts: pl.DataFrame, kind: str
) -> pl.DataFrame:
    """The subjects with what rules about them read of their contact, and its position, `owner`."""
    read = {
        leaf.feature for e in rules.expressions if e.kind == kind for leaf in leaves(e.everything)
    }
    wanted = [name for name in contacts.columns if name in read and name not in table.columns]
    owners = contacts.with_row_index("owner").select("contact_id", "owner", *wanted)
    return table.join(owners, on="contact_id", how="inner", maintain_order="left")


def proposals_of(rules: CompiledRules, profiles: Sequence[Profile], matched: Matched) -> Proposals:
    """Return the proposals, ordered by contact, action and subject."""
    subjects = tuple(sorted({CONTACT, *matched.subject}))
    place = {subject: number for number, subject in enumerate(subjects)}
    subject = np.array([place[each] for each in matched.subject], dtype=np.int64)
    order = np.lexsort((subject, matched.rule, matched.contact))
    contact, rule, subject = matched.contact[order], matched.rule[order], subject[order]
    ids = rules.rule_ids
    rows = list(zip(contact.tolist(), rule.tolist(), subject.tolist(), strict=True))
    days = [profiles[c].days_since(ids[r], subjects[s]) for c, r, s in rows]
    return Proposals(
        contact,
        rule,
        np.array(days, dtype=np.float64),
        subject,
        subjects,
        marked=_told(profiles, rows, ids, subjects),
        waited_days=_waited(profiles, rows, ids, subjects),
    )


def _told(
    profiles: Sequence[Profile],
    rows: Sequence[tuple[int, int, int]],
    ids: Sequence[str],
    subjects: Sequence[str],
) -> Ints | None:
    """The reasons that people gave; most of the time nobody said anything."""
    if not any(profile.marks for profile in profiles):
        return None
    told = [profiles[c].marks.get(mark_key(ids[r], subjects[s]), "") for c, r, s in rows]
    return np.array([REASONS.get(each, 0) for each in told], dtype=np.int64)


def _waited(
    profiles: Sequence[Profile],
    rows: Sequence[tuple[int, int, int]],
    ids: Sequence[str],
    subjects: Sequence[str],
) -> Floats | None:
    if not any(profile.waited_days for profile in profiles):
        return None
    return np.array(
        [profiles[c].waited_days.get(mark_key(ids[r], subjects[s]), 0.0) for c, r, s in rows],
        dtype=np.float64,
    )
