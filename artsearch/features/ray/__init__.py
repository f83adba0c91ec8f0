"""Features computed by Ray, on one machine or many."""
