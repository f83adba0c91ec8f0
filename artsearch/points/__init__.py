"""The same work again: points that two pictures share, and whether they agree on where it is."""
