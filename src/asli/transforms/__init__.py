"""Images in, network input out: preprocessing, augmentation, corruptions."""
