"""One kit for every HTML page and figure."""
