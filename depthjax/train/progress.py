"""How far training is: a bar with the time left on a terminal, a line every tenth otherwise."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


class Progress:
    """Shown on standard error.

    Args:
        total: steps in all.
        done: steps done before, by an earlier run.
        quiet: show nothing: another process does.
    """

    def __init__(self, total: int, done: int, *, quiet: bool = False) -> None:
        self.total, self.tenth, self.quiet = total, 10 * done // total, quiet
        disable = quiet or not sys.stderr.isatty()
        self.bar = tqdm(total=total, initial=done, unit="step", disable=disable, dynamic_ncols=True)

    def __call__(self, row: dict[str, Any]) -> None:
        """Take note of a new row of metrics."""
        step = row["step"]
        if not self.bar.disable:
            self.bar.set_postfix(g=f"{row['g_loss']:.3f}", d=f"{row['d_loss']:.3f}", refresh=False)
            self.bar.update(step - self.bar.n)
        elif 10 * step // self.total > self.tenth:
            left = _clock((self.total - step) / row["steps_per_second"])
            losses = f"generator {row['g_loss']:.3f}, discriminator {row['d_loss']:.3f}"
            self.say(f"step {step}/{self.total} (epoch {row['epoch']}): {losses}, {left} left")
        self.tenth = 10 * step // self.total

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        if self.quiet:
            return
        tqdm.write(line, file=sys.stderr)
        sys.stderr.flush()

    def close(self) -> None:
        """Leave the terminal as it was found."""
        self.bar.close()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
