"""What is computed from a history: for one contact, and for all of them as columns, alike."""
