"""From a name to a model, and from a picture to what goes in."""
