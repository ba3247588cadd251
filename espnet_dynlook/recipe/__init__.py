"""What a recipe needs: data directories, audio, tokens, scores and tables."""
