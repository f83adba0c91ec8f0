"""What all rooms stand on: errors, text, vectors, disk, progress, http."""
