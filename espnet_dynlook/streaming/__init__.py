"""Recognition of speech that is still coming in."""
