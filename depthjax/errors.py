"""The one error that users are meant to read."""


class UserError(Exception):
    """Something the user can mend: what is wrong, where, and what to do, in one line.

    The launcher prints it without a traceback and exits with `exit_code`.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ConfigError(UserError):
    """An unknown key, stage, file or value: refused before anything runs."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=2)
