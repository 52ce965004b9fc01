"""Small training runs: procedural images, tiny CLIP models, and the small ResNet that pilots and suspects share."""
