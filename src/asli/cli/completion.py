"""The command that completes commands and flags in a shell."""

from typing import Annotated, Literal

from cyclopts import Parameter

from asli.cli.common import OTHER, app, examples
from asli.errors import AsliError


@app.command(group=OTHER, help_epilogue=examples("completion --install", "completion bash"))
def completion(
    shell: Literal["bash", "zsh", "fish", "powershell"] | None = None,
    *,
    install: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Print a script that makes your shell complete commands and flags, or install it.

    Args:
        shell: The shell; by default the one that started this command.
        install: Write the script to its usual place, and a line that loads it to the shell's start file.
    """
    from cyclopts.completion import ShellDetectionError, detect_shell

    try:
        chosen = shell or detect_shell()
    except ShellDetectionError as error:
        raise AsliError("cannot tell which shell this is; name it, for example: asli completion bash") from error
    if not install:
        print(app.meta.generate_completion(shell=chosen))
        return
    print(f"installed in {app.meta.install_completion(shell=chosen)}; open a new shell to use it")
