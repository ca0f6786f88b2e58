"""Rules files as somebody sends them by mistake or on purpose, and a plain one beside them."""

from rules.vocabulary import Vocabulary, load_vocabulary

VOCABULARY = """
format: 1
events:
  appointment.no_show: {label: missed appointment}
  appointment.booked: {label: new booking}
  maintenance.visit: {label: visit}
  visit: {label: any visit, of: [maintenance.visit, appointment.kept]}
fields:
  patient.status: {type: text, one_of: [active, lapsed, moved], label: status}
  patient.note: {type: text, label: note}
  patient.score: {type: number, from: 0, to: 10, label: score}
  patient.insured: {type: flag, label: insured}
  contract.ends_on: {type: date, label: end of contract}
""".replace("  visit:", "  appointment.kept: {label: kept}\n  visit:")

THEN = """
    then:
      action: a
      template: healthcare/a
      purpose: service
      by: [sms, email]
      value: 120.50 USD
      cost: {sms: 0.02, email: 0.005}
      expect: {if_contacted: 0.25, if_left: 0.1, weight: 40}
      goal: appointment.booked within 2 weeks
"""


def vocabulary() -> Vocabulary:
    return load_vocabulary(VOCABULARY, "v.yaml")


def a_file(when: str = "- {field: patient.status, is: active}", more: str = "") -> str:
    indented = "\n".join("      " + line for line in when.splitlines())
    return (
        "format: 1\npack: test\nrules:\n  - id: a.rule\n    title: A rule\n    why: Because.\n"
        f"    status: live\n    owner: front-desk\n    when:\n{indented}{THEN}{more}"
    )


HOSTILE: dict[str, str] = {
    "brackets": "[" * 200_000,
    "braces": "{" * 200_000,
    "dashes": "- " * 100_000,
    "nested maps": "".join(" " * n + "a:\n" for n in range(600)),
    "question marks": "? " * 100_000,
    "many keys": "".join(f"k{n}: 1\n" for n in range(19_000)),
    "long key": "a" * 250_000 + ": 1",
    "long text": a_file().replace("A rule", "x" * 250_000),
    "unknown names": a_file("\n".join(f"- {{field: nope{n}, is: 1}}" for n in range(5_000))),
    "many rules": "format: 1\npack: p\nrules:\n" + "- {id: a}\n" * 15_000,
    "quotes": '"' * 250_000,
    "commas": "[" + "," * 250_000,
    "digits": a_file(f"- {{field: patient.score, is: {'9' * 250_000}}}"),
    "tags": "!" * 250_000,
    "too large": "# " + "x" * 300_000,
    "ten megabytes": a_file() + "# x\n" * 2_500_000,
    "five thousand rules": a_file()
    + "".join(f"  - {{id: r{n}, title: a, why: b}}\n" for n in range(5_000)),
    "many offers": "choose:\n"
    + "".join(
        f"  - id: t{n}\n    hit: only\n    columns: [patient.score]\n    rows:\n"
        + "".join(f"      - [{m % 9} or more, o{m}]\n" for m in range(48))
        for n in range(100)
    )
    + a_file().replace("    then:", "    then:\n      choose: t1"),
    "many allows": a_file().replace("A rule", "'A # rule'") + "# allow L304: x\n" * 12_000 + "x",
    "includes in a rule file": "include: [common.vocab.yaml]\n" + a_file(),
    "names with quotes and faces": a_file().replace("id: a.rule", "id: 'a\"😀'"),
    "a group in a group in a group": "format: 1\npack: p\nrules: " + "[any: " * 11 + "]" * 11,
    "billion laughs": "a: &a [x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]\n",
}
