"""Write the schemas anew: `python -m asli.schemas`."""

from asli.schemas import write_all

write_all()
