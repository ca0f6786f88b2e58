"""Words that generated text must not use, as compiled patterns. English; see `guards.py`.

Matched without regard to case on text in Unicode form NFKC. Wide on purpose: the approved template
serves when one is hit.
"""

import re


def _any_of(*phrases: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{'|'.join(phrases)})(?!\w)", re.IGNORECASE)


# Claims about health or results, and words that name a condition or a treatment.
MEDICAL = _any_of(
    r"cure[sd]?", r"heal(?:s|ed|ing)?", r"guarante\w+", r"pain[- ]?(?:free|less)", r"painless",
    r"risk[- ]free", r"(?:100|hundred) ?(?:%|percent)", r"diagnos\w+", r"prescri\w+", r"symptom\w*",
    r"disease\w*", r"infect\w+", r"cancer\w*", r"diabet\w+", r"cavit(?:y|ies)", r"decay\w*",
    r"surger\w+", r"therap\w+", r"medicat\w+", r"medicine\w*", r"treatment plan\w*", r"disorder\w*",
    r"depress\w+", r"anxiety", r"pregnan\w+", r"you (?:have|suffer|are suffering)(?: from)? an? "
    r"(?:serious|untreated|medical)\w*", r"your condition", r"clinically", r"proven",
    r"test results?", r"blood",
)  # fmt: skip

# Pressure and guilt.
URGENCY = _any_of(
    r"urgent\w*", r"immediately", r"act (?:now|fast|today)", r"hurry", r"last chance",
    r"final (?:notice|warning|reminder)", r"expir\w+", r"deadline\w*", r"limited[- ]time",
    r"while (?:it|they|supplies) lasts?", r"only (?:today|until|a few|\w+ left)",
    r"before it's too late",
    r"don't (?:miss|wait|delay)", r"at risk", r"danger\w*", r"or else", r"you must", r"warning",
    r"running out", r"spots? (?:is|are) (?:limited|going)", r"consequences",
)  # fmt: skip

# Offers: price, gift, discount. An offer's terms come from typed fields, never from a model.
OFFER = _any_of(
    r"free", r"freebies?", r"complimentary", r"gifts?", r"discount\w*", r"coupons?", r"voucher\w*",
    r"promo\w*", r"special offers?", r"offers?", r"bonus\w*", r"prizes?", r"win(?:ner)?",
    r"reward\w*", r"per ?cent",
    r"(?:half|percent|per cent) off", r"off your (?:next|first)", r"on us", r"no (?:charge|cost)",
    r"at no (?:charge|cost)", r"on the house", r"savings?", r"save", r"refund\w*", r"cash ?back",
    r"credits?", r"deals?", r"cheap\w*", r"dollars?", r"euros?", r"cents?", r"price\w*", r"pay\w*",
    r"invoices?", r"bills?", r"billing", r"balance", r"owe[sd]?", r"insurance",
)  # fmt: skip

# A model that answers about itself instead of writing.
REFUSAL = _any_of(
    r"as an ai", r"as a(?:n artificial)? (?:large )?language model", r"i'?m sorry,? but",
    r"i (?:can't|cannot|can not|am unable to|won't) (?:help|assist|write|comply|create|do)\w*",
    r"i'?m unable to", r"my (?:instructions|guidelines|training)", r"system prompt",
    r"ignore (?:all|the|previous)\w*",
    r"openai", r"chatgpt", r"here(?:'s| is) (?:the|a|your) (?:message|email|e-mail|draft|text)",
    r"\[(?:your|name|insert)[^\]]*\]", r"lorem ipsum",
)  # fmt: skip
