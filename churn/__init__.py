"""Who is about to leave: labels, a hazard model, a scorecard until there is one, health scores.

LightGBM is known to this package alone.
"""
