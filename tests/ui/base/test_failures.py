"""Failures in words: every code that a message may answer has a sentence, with names in place of references."""

from __future__ import annotations

import errno
import json

import pytest

from app.api import VM, ConnectionLost, Failure, classes
from app.client.manifests import ManifestError
from tests.support.fake_session import FakeEngine
from ui.base.failures import codes, explain


def test_every_declared_error_has_words() -> None:
    declared = {code for cls in classes().values() for message in cls.messages.values() for code in message.errors}
    assert declared <= codes()


@pytest.mark.parametrize("code", sorted(codes()))
def test_sentences_have_no_holes(engine: FakeEngine, code: str) -> None:
    vm = engine.put(VM(name_label="billing-db"))
    words = explain(Failure(code, vm, vm, vm, vm, vm), engine.cache)
    assert "OpaqueRef" not in words.why + words.advice
    assert "{" not in words.why + words.advice
    assert code in words.details


def test_a_lock_is_told_in_the_words_of_who_made_it(engine: FakeEngine) -> None:
    lock = {"reason": "Audit 2026", "owner": "Ada", "until": "2026-12-03T00:00:00+00:00", "since": ""}
    ref = engine.put(VM(name_label="Installed", other_config={"stillframe.lock": json.dumps(lock)}))
    words = explain(Failure("OPERATION_BLOCKED", ref, "locked"), engine.cache)
    assert words.why.replace("\xa0", " ").startswith("“Installed” is locked by Ada until ")
    assert words.why.endswith(": Audit 2026.")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"until": "never"}', '{"until": 3}'])
def test_a_lock_that_cannot_be_read_leaves_the_plain_words(engine: FakeEngine, text: str) -> None:
    ref = engine.put(VM(name_label="Installed", other_config={"stillframe.lock": text}))
    words = explain(Failure("OPERATION_BLOCKED", ref, "under investigation"), engine.cache)
    assert words.why == "“Installed” is locked against this: under investigation."


def test_bytes_are_sizes(engine: FakeEngine) -> None:
    words = explain(Failure("HOST_NOT_ENOUGH_FREE_MEMORY", "4294967296", "1073741824"), engine.cache)
    assert words.why.replace("\xa0", " ") == "The host has 1 GiB of memory free and 4 GiB are needed."


def test_the_systems_own_refusals_are_told(engine: FakeEngine) -> None:
    full = explain(OSError(errno.ENOSPC, "No space left on device", "/srv/web.xva.part"), engine.cache)
    assert full.why == "No space left on device: /srv/web.xva.part."
    assert "another folder" in full.advice
    assert explain(FileExistsError("it exists already"), engine.cache).why == "There is such a file already."
    assert explain(OSError("odd"), engine.cache).why == "odd."


def test_a_block_that_does_not_match_is_damage(engine: FakeEngine) -> None:
    failure = Failure("IMPORT_ERROR", 'INTERNAL_ERROR: [ Stream_vdi.Invalid_checksum("Ref:3/00000001") ]')
    assert "damaged" in explain(failure, engine.cache).why
    assert "damaged" not in explain(Failure("IMPORT_ERROR", "something else"), engine.cache).why


def test_a_manifest_says_itself_what_is_wrong(engine: FakeEngine) -> None:
    assert explain(ManifestError("It was changed."), engine.cache).why == "It was changed."


def test_a_lost_connection_says_that_nobody_knows(engine: FakeEngine) -> None:
    assert "not known" in explain(ConnectionLost("gone"), engine.cache).why
