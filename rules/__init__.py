"""Rule files: read with positions, checked, tested, and matched in three ways held equal."""
