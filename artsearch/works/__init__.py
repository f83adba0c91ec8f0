"""A folder of pictures, and what is known of each."""
