"""Rows of numbers, in memory and on disk."""
