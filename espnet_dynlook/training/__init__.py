"""Training: the Trainer and what it writes."""
