"""Mail about schedules: by which server, to whom, and a test message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QLineEdit, QWidget

from app.api import ConnectionLost, Failure, Pool, Ref
from ui.base.commands import Selection
from ui.base.dialogs import GAP, GROUP, Dialog, ask, label
from ui.base.failures import explain
from ui.base.workspace import Workspace
from ui.widgets.buttons import Segmented, button
from ui.widgets.fields import SpinBox
from ui.widgets.notice import Notice

SECURITIES: Final = (("starttls", "STARTTLS"), ("tls", "TLS"), ("none", "None"))
_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}
_ELSEWHERE: Final = {
    "file": "The engine reads it from the file that its administrator has named.",
    "credential": "The service manager hands it to the engine.",
}
_KEPT: Final = "kept in the keyring"


async def set_up_mail(workspace: Workspace, _selection: Selection) -> None:
    """Ask, and save; what the engine refuses is told in the dialog, which stays open."""
    found = workspace.cache.one(Pool)
    if found is None:
        return
    pool = found[0]
    dialog = MailDialog(workspace, pool, await workspace.session.pool.get_mail(pool), workspace.window)
    try:
        while await ask(dialog, keep=True):
            try:
                await save(workspace, pool, dialog)
            except Failure as failure:
                dialog.tell(_reason(workspace, failure), "bad")
            else:
                return
    finally:
        dialog.deleteLater()


async def save(workspace: Workspace, pool: Ref[Pool], dialog: MailDialog) -> None:
    """Send settings, then a password that was typed. :raise Failure: what was refused."""
    calls = workspace.session.pool
    await calls.set_mail(pool, dialog.wanted() if dialog.on.isChecked() else {})
    if dialog.on.isChecked() and dialog.password.text():
        await calls.set_mail_password(pool, dialog.password.text())


def _reason(workspace: Workspace, error: Failure | ConnectionLost) -> str:
    """The engine's own advice about a field, where it gave one."""
    if isinstance(error, Failure) and error.code == "INVALID_VALUE" and len(error.params) > 2:
        return error.params[2]
    words = explain(error, workspace.cache)
    return f"{words.why} {words.advice}".strip()


class MailDialog(Dialog):
    """The settings, a switch, and a test by what is typed, saved or not."""

    def __init__(
        self, workspace: Workspace, pool: Ref[Pool], told: Mapping[str, str], parent: QWidget | None = None
    ) -> None:
        super().__init__("E-mail about schedules", primary="Save", parent=parent)
        self._workspace, self._pool, self._told = workspace, pool, told
        self.add_sentence(
            "Failed and missed runs, and VMs that a schedule has let down, are told by mail: several at once in one "
            "message. The engine sends it, also when no window is open."
        )
        self.on = QCheckBox("Send mail")
        self.server, self.user, self.password = QLineEdit(), QLineEdit(), QLineEdit()
        self.from_address, self.to = QLineEdit(), QLineEdit()
        self.port = SpinBox("Port", 1, 65535)
        self.security = Segmented(SECURITIES, "Security")
        self.trial = button("Send a test message", "export")
        self.said = Notice("")
        self.said.hide()
        self._fill()
        self._lay_out_form()
        self._connect()
        self._follow()
        self.setMinimumWidth(560)

    def wanted(self) -> dict[str, str]:
        """What the fields say, for the engine."""
        return {
            "server": self.server.text().strip(),
            "port": str(self.port.value()),
            "security": self.security.current(),
            "user": self.user.text().strip(),
            "from": self.from_address.text().strip(),
            "to": self.to.text().strip(),
        }

    def tell(self, words: str, tone: str) -> None:
        """Say how it went."""
        self.said.say(words, tone)
        self.said.show()
        self.fit()

    # ---- layout -----------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        told = self._told
        self.on.setChecked("server" in told)
        self.security.set_current(told.get("security", "starttls"))
        self.server.setText(told.get("server", ""))
        self.port.setValue(int(told.get("port", "") or _PORTS[self.security.current()]))
        self.user.setText(told.get("user", ""))
        self.from_address.setText(told.get("from", ""))
        self.to.setText(told.get("to", ""))
        for field, hint in (
            (self.server, "smtp.example.com"),
            (self.user, "none: no login"),
            (self.from_address, "stillframe@example.com"),
            (self.to, "admin@example.com, second@example.com"),
        ):
            field.setPlaceholderText(hint)
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.password.setMaxLength(1024)
        self.port.setFixedWidth(96)
        if told.get("error"):
            self.said.say(f"The last mail was not sent: {told['error']}", "bad")
            self.said.show()

    def _lay_out_form(self) -> None:
        form = QFormLayout()
        form.setHorizontalSpacing(GROUP)
        form.setVerticalSpacing(GAP)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        server = QHBoxLayout()
        server.setSpacing(GAP)
        server.addWidget(self.server, 1)
        server.addWidget(label("port", "quiet"))
        server.addWidget(self.port)
        security = QHBoxLayout()
        security.addWidget(self.security)
        security.addStretch()
        rows: tuple[tuple[str, QWidget, QWidget | QHBoxLayout], ...] = (
            ("&Server", self.server, server),
            ("Security", self.security, security),
            ("&User", self.user, self.user),
            ("&Password", self.password, self.password),
            ("&From", self.from_address, self.from_address),
            ("&To", self.to, self.to),
        )
        for words, field, shown in rows:
            said = label(words, "quiet")
            said.setBuddy(field)
            said.setMinimumHeight(self.user.sizeHint().height())
            field.setAccessibleName(words.replace("&", ""))
            form.addRow(said, shown)
        self.content.addSpacing(GAP)
        self.content.addWidget(self.on)
        self.content.addLayout(form)
        self.content.addWidget(self.said)
        self.content.addStretch()
        self.buttons.insertWidget(0, self.trial)

    def _connect(self) -> None:
        self.on.toggled.connect(self._follow)
        self.security.chosen.connect(self._choose_security)
        for field in (self.server, self.user, self.password, self.from_address, self.to):
            field.textChanged.connect(self._follow)
        self.trial.clicked.connect(lambda: self._workspace.spawn(self._try(), "Sending a test message"))

    # ---- following --------------------------------------------------------------------------------------------

    def _choose_security(self, key: str) -> None:
        if self.port.value() in _PORTS.values():  # a port that nobody chose follows
            self.port.setValue(_PORTS[key])
        self._follow()

    def _follow(self) -> None:
        on = self.on.isChecked()
        for field in (self.server, self.port, self.security, self.user, self.from_address, self.to):
            field.setEnabled(on)
        self._follow_password(on)
        missing = self._why_incomplete()
        self.set_problem(missing if on else "")
        self.trial.setEnabled(on and not missing)
        self.trial.setToolTip("Turn mail on first." if not on else missing)

    def _follow_password(self, on: bool) -> None:
        source, keyring = self._told.get("password", ""), self._told.get("keyring", "")
        same = self.user.text().strip() == self._told.get("user", "")
        reason = _ELSEWHERE.get(source, "")
        if not reason and not self.user.text().strip():
            reason = "Without a user name there is no login."
        elif not reason and keyring:
            reason = f"{keyring} docs/mail.md tells how a service gets it from a file."
        self.password.setEnabled(on and not reason)
        self.password.setToolTip(reason)
        self.password.setPlaceholderText(_KEPT if source == "keyring" and same else reason)

    def _why_incomplete(self) -> str:
        wanted = self.wanted()
        for key, reason in (
            ("server", "Name the mail server."),
            ("from", "An address to send from is needed."),
            ("to", "Say to whom it goes."),
        ):
            if not wanted[key]:
                return reason
        return "A password is only sent over TLS." if wanted["user"] and wanted["security"] == "none" else ""

    async def _try(self) -> None:
        self.trial.setEnabled(False)
        self.tell("Sending…", "info")
        wanted = self.wanted()
        try:
            await self._workspace.session.pool.send_test_mail(self._pool, wanted, self.password.text())
        except (Failure, ConnectionLost) as error:
            self.tell(_reason(self._workspace, error), "bad")
        else:
            self.tell(f"Sent to {wanted['to']}. Look there for it.", "good")
        self._follow()
