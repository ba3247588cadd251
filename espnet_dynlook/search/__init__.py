"""Searches over the model's posteriors."""
