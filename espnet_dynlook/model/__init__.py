"""ESPnet's ASR models with what this plugin trains besides."""
