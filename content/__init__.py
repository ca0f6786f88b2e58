"""What is said: templates that always serve, and drafts by a language model under guards."""
