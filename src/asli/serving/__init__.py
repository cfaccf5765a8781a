"""The detector over HTTP: an API that gives what `predict` gives, and a page for people."""
