"""The errors that XenServer answers for what is wrong with an .xva file."""

from __future__ import annotations

from app.api import Failure


def premature_eof() -> Failure:
    """It ends too early, or it is no archive at all: a XenServer says the same of both."""
    return Failure("IMPORT_ERROR_PREMATURE_EOF")


def unexpected_file(expected: str, found: str) -> Failure:
    """Another member comes next than should."""
    return Failure("IMPORT_ERROR_UNEXPECTED_FILE", expected, found)


def wrong_hash(member: str, original: str, recomputed: str) -> Failure:
    """A block does not have the hash that stands behind it."""
    text = f"Block {member} checksum failed: original = {original}; recomputed = {recomputed}"
    return Failure("IMPORT_ERROR", f'INTERNAL_ERROR: [ Stream_vdi.Invalid_checksum("{text}") ]')


def not_understood(sentence: str) -> Failure:
    """Anything else."""
    return Failure("IMPORT_ERROR_GENERIC", sentence)


def no_such_object(reference: str) -> Failure:
    """`ova.xml` names an object that it does not hold."""
    return Failure("IMPORT_ERROR_FAILED_TO_FIND_OBJECT", reference)


def disks_missing(names: str) -> Failure:
    """The archive ends properly, but not all of its disks are in it."""
    return Failure("IMPORT_ERROR_ATTACHED_DISKS_NOT_FOUND", names)
