"""The study: every table and figure of the paper, each claim answered with runs that anyone can repeat."""
