"""The command line: thin commands, each of which calls the function of the same name.

Nothing heavy is imported before a command runs, so `asli --help` answers at once.
"""

import logging
import os
import signal
import sys
from typing import Annotated, Any

import cyclopts
from cyclopts import Parameter

# Importing a module of commands enters them into the table, in the order of `asli --help`.
from asli.cli import (  # noqa: F401
    adopting,
    completion,
    evaluating,
    folders,
    photographs,
    scanning,
    schema,
    study,
    tables,
    training,
    using,
)
from asli.cli.common import EVERYWHERE, app, follows, leave
from asli.errors import AsliError
from asli.files import visible
from asli.threads import configure_process


def main(tokens: list[str] | None = None) -> None:
    """Run a command and leave with its exit status.

    0 done, 1 bad data, 2 usage, 3 audit failed, 4 time is up (`--stop-after`), 130 interrupted.
    """
    configure_process()
    logger = logging.getLogger("asli")
    logger.setLevel(logging.ERROR if follows() else logging.INFO)
    logger.addHandler(_StandardError())
    try:
        app.meta(tokens, exit_on_error=False, print_error=False)
    except cyclopts.CycloptsError as error:
        asked = " ".join(("asli", *(error.command_chain or ())))
        leave(f"{_misunderstood(error)} (see {asked} --help)", 2)
    except AsliError as error:
        leave(str(error), error.exit_status)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # another one must not end in a traceback while Python ends
        leave("interrupted", 130)
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:  # a folder that may not be written to, a file where a folder must be
        leave(f"{error.filename or 'a file'}: {error.strerror or error}; give another place or make it usable", 1)


@app.meta.default
def _run(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    quiet: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            group=EVERYWHERE,
            help="Print results, warnings and errors only: no progress, no notes.",
        ),
    ] = False,
) -> Any:
    """Run a command; what all commands share is set here."""
    if quiet and not follows():
        logging.getLogger("asli").setLevel(logging.WARNING)
    return app(tokens, exit_on_error=False, print_error=False)


def _misunderstood(error: cyclopts.CycloptsError) -> str:
    """Return what is wrong with a command line; what is missing is named, not called an option without a value."""
    argument = error.argument
    if isinstance(error, cyclopts.MissingArgumentError) and argument is not None and error.keyword is None:
        positional = argument.index is not None
        return f"{argument.name.removeprefix('--').upper() if positional else argument.name} is missing"
    return " ".join(str(error).split())


class _StandardError(logging.Handler):
    """Print messages to whatever standard error is at that moment, since a live progress bar stands in for it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message, warnings marked as such."""
        mark = "warning: " if record.levelno >= logging.WARNING else ""
        text = "\n".join(map(visible, record.getMessage().split("\n")))
        print(f"{mark}{text}", file=sys.stderr, flush=True)
