"""The same scan in many processes: inputs by URL, shards, folders of parts, and one callable for other engines."""
