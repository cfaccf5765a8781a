"""Where a score comes from: maps over the picture, and a check whether they hold. They say where, not why."""
