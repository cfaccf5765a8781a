"""The exceptions that asli raises on purpose. Each message states in one line what is wrong and what to do."""


class AsliError(Exception):
    """Bad input or data. The command line prints the message without a traceback and leaves with `exit_status`."""

    exit_status = 1


class DataError(AsliError):
    """Images, manifests or labels that cannot be used as they are."""


class ImageError(DataError):
    """One image that cannot be decoded."""


class RecipeError(AsliError):
    """A recipe with an unknown key, a wrong type or settings that contradict each other."""


class WeightsError(AsliError):
    """Start weights that are missing or do not fit the network."""


class RunError(AsliError):
    """A run folder that exists already, is in use, or cannot be resumed."""


class DetectorError(AsliError):
    """A detector bundle that is damaged, foreign or newer than this asli."""


class WriteError(AsliError):
    """A file that could not be written, for lack of room or on a damaged disk.

    Args:
        path: The file or folder.
        why: In the system's words.
        then: What is safe and what to do.
    """

    def __init__(self, path: str, why: str, then: str) -> None:
        super().__init__(f"{path} could not be written: {why}; {then}")
        self.path, self.why = path, why


class MissingExtraError(AsliError):
    """An optional library is not installed.

    Args:
        library: What could not be imported.
        extra: The extra of asli that installs it; None where no extra does.
    """

    def __init__(self, library: str, extra: str | None) -> None:
        wanted = library if extra is None else f"'asli[{extra}]'"
        super().__init__(f"{library} is not installed; install it with: pip install {wanted}")


class FoundError(AsliError):
    """An image has the verdict that `--fail-on` watches for."""

    exit_status = 3


class Interrupted(AsliError):  # noqa: N818 - it is an outcome, not an error of the user's
    """The work was stopped by Ctrl-C or SIGTERM after its state was saved."""

    exit_status = 130


class TimeUp(AsliError):  # noqa: N818 - it is an outcome, as asked for
    """The time given by `--stop-after` is over; the state was saved."""

    exit_status = 4
