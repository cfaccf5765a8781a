"""From what people have to batches: layouts, manifest, packed images, deterministic order and augmentation."""
