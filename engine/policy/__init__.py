"""What removes a candidate, stage by stage: consent, quiet hours, caps, rest, holdout."""
