"""What clients ask before they change or start a VM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.api import VIF, VM, Failure, Host, Ref, VMCalls
from app.ops.context import Operations

INTERFACES: Final = 7
"""As many as XenServer gives a VM."""


class VMQuestionOps(Operations, VMCalls):
    """Answers without an operation."""

    async def get_allowed_VIF_devices(self, vm: Ref[VM]) -> Sequence[str]:
        taken = {self.store.get(VIF, vif).device for vif in self.store.get(VM, vm).VIFs}
        return [str(number) for number in range(INTERFACES) if str(number) not in taken]

    async def get_possible_hosts(self, vm: Ref[VM]) -> Sequence[Ref[Host]]:
        self.store.get(VM, vm)
        return [ref for ref, host in self.store.all(Host).items() if host.enabled]

    async def assert_can_boot_here(self, vm: Ref[VM], host: Ref[Host]) -> None:
        self.store.get(VM, vm)
        if not self.store.get(Host, host).enabled:
            raise Failure("HOST_DISABLED", host)
