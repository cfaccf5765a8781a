"""Write the JSON schemas that the package ships anew, from the dataclasses of the results."""

from pathlib import Path

from asli.schemas import SCHEMAS, file_name, generated

FOLDER = Path(__file__).parents[1] / "src" / "asli" / "schemas"

if __name__ == "__main__":
    for name in SCHEMAS:
        (FOLDER / file_name(name)).write_text(generated(name), encoding="utf-8")
