"""Small training runs: image-caption pairs, recipes, tiny CLIP models."""
