"""Works from elsewhere."""
