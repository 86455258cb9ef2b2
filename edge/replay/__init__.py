"""`--sim` and what it needs: STEAD files, the timeline, the score, synthetic records."""
