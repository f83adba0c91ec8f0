"""Rows ready to be asked for their nearest."""
