"""Score many images from any container, as a stream, with resume."""
