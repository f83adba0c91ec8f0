"""Figures, maps and pages for readers."""
