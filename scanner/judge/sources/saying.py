"""Sentences about sources, as the rules of several modules say them."""

from scanner.findings import finding_id
from scanner.judge.advice import Advice, Severity
from scanner.judge.sources.model import Source


def said(source: Source, rule: str, severity: Severity, sentence: str, about: str = "") -> Advice:
    """Return one sentence about a source, under an id that is the same in every run.

    ``about`` tells several sentences of one rule apart: a file's path, a kind of backup.
    """
    name = finding_id("source", source.id, about, None, rule, None)
    return Advice(name, rule, severity, source.name, sentence)
