"""What a visitor sees and does."""
