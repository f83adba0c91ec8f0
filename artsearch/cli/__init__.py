"""The commands, and what sets a notebook up."""
