"""Which channel, send slot and wording: chosen by evidence, with the probability written down."""
