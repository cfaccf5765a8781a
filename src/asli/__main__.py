"""`python -m asli` is the command `asli`."""

from asli.cli import main

if __name__ == "__main__":
    main()
