"""Earthquake detection on embedded seismometer nodes. The repository root is the package."""


class EqedgeError(Exception):
    """Something a user can put right: one line that names the thing and the remedy.

    The command line prints the message and exits with `exit_code`; nothing else in the project
    catches it to hide it.
    """

    exit_code = 2


def first_line(error: BaseException) -> str:
    """Shorten a library's message to a line that fits into one of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def reason_of(error: BaseException) -> str:
    """Return why something failed: the system's text without number and path, else a line."""
    return getattr(error, "strerror", None) or first_line(error)


def how_to_install(extra: str) -> str:
    """Return the remedy where a package of an extra is missing."""
    return f"in eqedge's checkout: pip install '.[{extra}]'"
