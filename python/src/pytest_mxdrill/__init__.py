"""Tests of code that sends mail, with mail exchangers that fail when they are told to."""

from .api import ApiError
from .lab import Attempt, Fault, Finding, Lab, Message, NotSeen, Verdict
from .process import MxdrillProcess

__all__ = [
    "ApiError",
    "Attempt",
    "Fault",
    "Finding",
    "Lab",
    "Message",
    "MxdrillProcess",
    "NotSeen",
    "Verdict",
]
