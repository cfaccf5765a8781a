"""Find damage, duplicates and shortcuts: properties that let a classifier guess labels."""
