"""The page about the policy says what there is, and its example is a policy."""

import re
from pathlib import Path

from engine.reasons import Reason, Stage, code, stage_code
from rules.policy_data import SHIPPED, TENANT_MAY_SET, policy_values, read_policy, tenant_policy

PAGE = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")


def test_the_example_sets_every_section_a_tenant_may_set() -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    values = policy_values(example[1], "policy.md")
    assert set(values) == set(TENANT_MAY_SET)
    policy = tenant_policy(read_policy(), values, "healthcare")
    assert policy.budgets[0].limit_cents == 50_000
    assert policy.longest == (("sms", 160),)


def test_every_reason_stage_and_shipped_file_is_on_the_page() -> None:
    missing = [code(each) for each in Reason if each and f"`{code(each)}`" not in PAGE]
    stages = [stage_code(each).replace("_", " ") for each in Stage if each]
    missing += [name for name in stages if f"| {name} |" not in PAGE]
    missing += [file.name for file in SHIPPED.glob("*.yaml") if f"`{file.name}`" not in PAGE]
    assert missing == []


def test_a_tenant_of_healthcare_can_not_loosen_its_class() -> None:
    loose = {"caps": [{"purpose": "treatment", "in": "1 day", "at_most": 50}]}
    policy = tenant_policy(read_policy(), loose, "healthcare")
    counts = {
        (cap.purpose, cap.window_days): cap.max_count
        for cap in sorted(policy.caps, key=lambda cap: -cap.max_count)
    }
    assert counts["treatment", 1] == 1
    assert counts["treatment", 7] == 3
    assert tenant_policy(read_policy(), loose, "trades").caps[0].max_count == 50
