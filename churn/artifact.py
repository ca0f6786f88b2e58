"""A trained model as one JSON document that can't be cut, altered or misread unnoticed."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import lightgbm
import numpy as np

from churn.definition import ChurnDefinition
from churn.hazard_blend import LogisticMember
from churn.metrics import Scores
from churn.valuation import Valuation
from engine.errors import ModelUnusable

FORMAT = "keepwell.hazard-model"
FORMAT_VERSION = 2
# A model of the tenant's own rows alone; fields that say so are left out of the document.
OWN = "model"


@dataclass(frozen=True, slots=True)
class Calibration:
    """Platt's sigmoid on the log-odds of a 30-day hazard: slope x log-odds + intercept.

    Attributes:
        slope: positive; 1 with intercept 0 leaves the model as it is.
        rows, events: person-periods it was fitted on; 0 where there were too few to fit.
    """

    slope: float = 1.0
    intercept: float = 0.0
    rows: int = 0
    events: int = 0


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """All that is needed to score, to judge and to repeat.

    Attributes:
        booster: LightGBM's model text.
        logistic: the other member of the mixture.
        tree_share: the booster's part of the log-odds; the logistic has the rest.
        usual: per feature the values below and above which one in a hundred training rows lay,
            None where nothing was known: outside it the model has seen little.
        feature_names: columns of the matrix that `HazardModel.predict` takes, in order.
        families: family of each feature, for explanations.
        definition: when a contact counts as churned.
        tenant_median_days: the tenant's median interval at `trained_until`; limits of contacts
            scored by this model are computed with it.
        calibration: fitted on origins that neither member had seen when it was told of them;
            1 and 0 where the origins learnt from did not span a year, see `train`.
        trained_until: no event after this moment influenced the model.
        data_from, data_until: first and last event seen; what came after `trained_until` was used
            to test only.
        contacts: contacts with a visit up to `trained_until`.
        training_rows, training_events: person-periods the booster learnt from, and churns in them.
        metrics: by population ('all'; 'regular': at least three visits) and horizon in days.
        libraries: versions that trained it.
        tier: how much of it is the tenant's own, see `tiers.NAMES`.
        extension: LightGBM's text of own trees on top of the calibrated log-odds; None without.
        lenders: businesses that booster and logistic were learnt from beside or instead of the
            tenant; 0 = it alone.
        value: how money is told; None where no visit carried any.
    """

    booster: str
    logistic: LogisticMember
    tree_share: float
    usual: tuple[tuple[float, float] | None, ...]
    feature_names: tuple[str, ...]
    families: tuple[str, ...]
    definition: ChurnDefinition
    tenant_median_days: float
    calibration: Calibration
    trained_until: datetime
    data_from: datetime
    data_until: datetime
    contacts: int
    training_rows: int
    training_events: int
    metrics: dict[str, dict[int, Scores]]
    libraries: dict[str, str]
    tier: str = OWN
    extension: str | None = None
    lenders: int = 0
    value: Valuation | None = None


def library_versions() -> dict[str, str]:
    """Versions of what computes a prediction."""
    return {"lightgbm": lightgbm.__version__, "numpy": np.__version__}


def dump(model: TrainedModel) -> bytes:
    """The document, UTF-8; equal models give equal bytes."""
    content = _plain(model)
    return _canonical(
        {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "model": content,
            "sha256": hashlib.sha256(_canonical(content)).hexdigest(),
        }
    )


def digest(document: bytes) -> str:
    """SHA-256 of the document, hexadecimal: the name under which a model is recorded."""
    return hashlib.sha256(document).hexdigest()


def load(document: bytes, *, expected_digest: str | None = None) -> TrainedModel:
    """The model of a document that `dump` wrote.

    Raises:
        ModelUnusable: cut, altered, of another format version, written with another major version
            of LightGBM, or not the document that `expected_digest` names.
    """
    if expected_digest is not None and digest(document) != expected_digest:
        raise ModelUnusable(
            f"The stored model has digest {digest(document)[:12]}, recorded is "
            f"{expected_digest[:12]}.",
            hint="Restore the document or train again.",
        )
    content = _checked(document)
    try:
        model = _model(content)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelUnusable(f"The stored model lacks or misstates a field: {error!r}.") from error
    _check_library(model)
    return model


def _checked(document: bytes) -> dict[str, Any]:
    """The content, once format, version and checksum hold."""
    try:
        envelope = json.loads(document)
    except ValueError as error:
        raise ModelUnusable(
            f"The stored model is not readable JSON ({len(document)} bytes); it may be cut.",
            hint="Restore the document or train again.",
        ) from error
    if not isinstance(envelope, dict) or envelope.get("format") != FORMAT:
        raise ModelUnusable(f"The document is not a {FORMAT}.")
    if envelope.get("format_version") != FORMAT_VERSION:
        raise ModelUnusable(
            f"The stored model has format version {envelope.get('format_version')!r}; "
            f"this code reads {FORMAT_VERSION}.",
            hint="Train again with this version.",
        )
    content = envelope.get("model")
    if (
        not isinstance(content, dict)
        or hashlib.sha256(_canonical(content)).hexdigest() != envelope.get("sha256")
        or _canonical(envelope) != document
    ):
        raise ModelUnusable(
            "The stored model was altered: its checksum does not hold.",
            hint="Restore the document or train again.",
        )
    return content


def _check_library(model: TrainedModel) -> None:
    wrote, here = model.libraries.get("lightgbm", ""), lightgbm.__version__
    if wrote.partition(".")[0] != here.partition(".")[0]:
        raise ModelUnusable(
            f"The stored model was written with LightGBM {wrote or '?'}; installed is {here}.",
            hint="Train again with the installed version.",
        )


def _plain(model: TrainedModel) -> dict[str, Any]:
    moments = {"trained_until", "data_from", "data_until"}
    content: dict[str, Any] = {}
    for each in fields(model):
        value = getattr(model, each.name)
        content[each.name] = value.isoformat() if each.name in moments else value
    if model.tier == OWN:
        for name in ("tier", "extension", "lenders"):
            del content[name]
    content["value"] = None if model.value is None else asdict(model.value)
    if model.value is None:
        del content["value"]
    content["logistic"] = model.logistic.as_dict()
    content["definition"] = model.definition.stored()
    content["calibration"] = asdict(model.calibration)
    content["metrics"] = {
        population: {str(days): asdict(found) for days, found in horizons.items()}
        for population, horizons in model.metrics.items()
    }
    return content


def _model(content: dict[str, Any]) -> TrainedModel:
    moments = ("trained_until", "data_from", "data_until")
    return TrainedModel(
        **{
            **content,
            **{name: datetime.fromisoformat(content[name]) for name in moments},
            "logistic": LogisticMember.from_dict(content["logistic"]),
            "usual": tuple(None if each is None else tuple(each) for each in content["usual"]),
            "feature_names": tuple(content["feature_names"]),
            "families": tuple(content["families"]),
            "value": None if (told := content.get("value")) is None else Valuation.from_dict(told),
            "definition": ChurnDefinition.from_dict(content["definition"]),
            "calibration": Calibration(**content["calibration"]),
            "metrics": {
                population: {int(days): Scores(**found) for days, found in horizons.items()}
                for population, horizons in content["metrics"].items()
            },
        }
    )


def _canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
