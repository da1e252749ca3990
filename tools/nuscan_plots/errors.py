"""What the package raises when something outside of it is wrong."""

from __future__ import annotations


class NuscanError(Exception):
    """A file that cannot be used, or a program that is missing or failed. One line: where, what is wrong, what to do."""
