"""Encoders whose attention masks are filled in by a kind of lookahead."""
