"""Mail about schedules: what is asked, sent, refused and told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QLineEdit

from app.api import Failure, Pool
from tests.support.fake_session import FakeEngine
from tests.ui.machines.windows import opened, until
from ui.base import theme
from ui.base.settings import Settings
from ui.base.workspace import Workspace
from ui.notifications import commands
from ui.notifications.alerts_page import AlertsPage
from ui.notifications.mail_dialog import MailDialog
from ui.widgets.buttons import ActionButton

KEPT = {
    "server": "smtp.example.com",
    "port": "587",
    "security": "starttls",
    "user": "robot",
    "from": "robot@example.com",
    "to": "admin@example.com",
    "password": "keyring",
    "keyring": "",
    "error": "",
}


@pytest.fixture
async def asked(qapp: QApplication, engine: FakeEngine, tmp_path: Path) -> AsyncIterator[Workspace]:
    theme.apply(qapp, theme.Theme.LIGHT)
    engine.put(Pool(name_label="pool"), "OpaqueRef:pool")
    made = Workspace(engine.session(), engine.cache, Settings(tmp_path / "settings.ini"))
    commands.register(made)
    yield made
    await made.commands.stop()
    await made.close()
    await engine.close()


async def show(engine: FakeEngine, workspace: Workspace, **told: str) -> MailDialog:
    engine.answer("pool.get_mail", {"password": "", "keyring": "", "error": "", **told})
    workspace.commands.run("pool.mail", ())
    return await opened(MailDialog)


async def test_what_is_typed_is_sent_with_the_password_apart(engine: FakeEngine, asked: Workspace) -> None:
    dialog = await show(engine, asked)
    assert not dialog.server.isEnabled() and not dialog.trial.isEnabled()
    assert dialog.primary is not None and dialog.primary.isEnabled()  # off can be saved
    dialog.on.setChecked(True)
    assert dialog.primary.toolTip() == "Name the mail server."
    dialog.server.setText(" smtp.example.com ")
    dialog.from_address.setText("robot@example.com")
    dialog.to.setText("admin@example.com")
    assert not dialog.password.isEnabled() and "no login" in dialog.password.toolTip()
    dialog.user.setText("robot")
    dialog.password.setText("s3cret")
    assert dialog.password.echoMode() is QLineEdit.EchoMode.Password
    dialog.security.set_current("tls")
    dialog.security.chosen.emit("tls")
    assert dialog.port.value() == 465
    dialog.accept()
    await until(lambda: engine.called("pool.set_mail_password"))
    ((pool, sent),) = engine.called("pool.set_mail")
    assert pool == "OpaqueRef:pool" and "s3cret" not in sent.values()
    assert (sent["server"], sent["port"], sent["security"], sent["user"]) == ("smtp.example.com", "465", "tls", "robot")
    assert engine.called("pool.set_mail_password") == [("OpaqueRef:pool", "s3cret")]


async def test_what_is_refused_is_told_and_the_dialog_stays(engine: FakeEngine, asked: Workspace) -> None:
    refusal = Failure("INVALID_VALUE", "mail:to", "nobody", "An address is needed, as in admin@example.com.")
    engine.answer("pool.set_mail", refusal)
    dialog = await show(engine, asked, **KEPT)
    assert dialog.password.placeholderText() == "kept in the keyring"
    dialog.accept()
    await until(lambda: dialog.isVisible() and dialog.said.sentence())
    assert dialog.said.sentence() == "An address is needed, as in admin@example.com."
    engine.answer("pool.set_mail", None)
    dialog.on.setChecked(False)
    dialog.accept()
    await until(lambda: engine.called("pool.set_mail")[-1] == ("OpaqueRef:pool", {}))
    assert engine.called("pool.set_mail_password") == []


async def test_a_test_message_says_how_it_went(engine: FakeEngine, asked: Workspace) -> None:
    dialog = await show(engine, asked, **{**KEPT, "error": "The server refused."})
    assert dialog.said.sentence() == "The last mail was not sent: The server refused."
    dialog.trial.click()
    await until(lambda: dialog.said.sentence().startswith("Sent to admin@example.com"))
    engine.answer("pool.send_test_mail", Failure("MAIL_NOT_SENT", "There is no server called smtp.example.com."))
    dialog.trial.click()
    await until(lambda: "no server called" in dialog.said.sentence())
    assert dialog.trial.isEnabled()
    dialog.security.set_current("none")
    dialog.security.chosen.emit("none")
    assert "over TLS" in dialog.trial.toolTip()
    dialog.reject()


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"password": "file"}, "administrator"),
        ({"password": "credential"}, "service manager"),
        ({"password": "", "keyring": "No keyring of the system can be reached from here."}, "No keyring"),
    ],
)
async def test_a_password_that_cannot_be_typed_says_why(
    engine: FakeEngine, asked: Workspace, told: dict[str, str], reason: str
) -> None:
    dialog = await show(engine, asked, **{**KEPT, **told})
    assert not dialog.password.isEnabled() and reason in dialog.password.toolTip()
    dialog.reject()


async def test_the_alerts_page_leads_to_it(engine: FakeEngine, asked: Workspace) -> None:
    engine.answer("pool.get_mail", {})
    page = AlertsPage(asked)
    (shown,) = (found for found in page.findChildren(ActionButton) if found.text() == "E-mail…")
    shown.click()
    (await opened(MailDialog)).reject()
    page.deleteLater()
