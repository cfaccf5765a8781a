"""The checks of an audit, one module each. Other packages add theirs by the entry point group `asli.checks`."""
