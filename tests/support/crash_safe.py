"""A pytest-xdist distribution by file that survives a worker's death.

pytest-xdist 3.8 hands out again what a dead worker had finished and waits for ever for it to be finished once more; it
runs the deadly test again; and a new worker with one test left waits for a second (its issues 1323, 1327, 1371, 1378).
"""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController


class CrashSafeFileScheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist tells no types
    """As `--dist loadfile`; a dead worker's test has failed, and only the rest of its tests goes to others."""

    def remove_node(self, node: WorkerController) -> str | None:
        """Give away what `node` had still to do. :return: the test it died of."""
        rest = {
            scope: [test for test, is_done in unit.items() if not is_done]
            for scope, unit in self.assigned_work.pop(node).items()
        }
        waiting: list[tuple[str, str]] = [(scope, test) for scope, tests in rest.items() for test in tests]
        if not waiting:
            return None
        for scope, test in waiting[1:]:
            self.workqueue.setdefault(scope, {})[test] = False
        for other in self.assigned_work:
            self._reschedule(other)
        return waiting[0][1]

    def _reschedule(self, node: WorkerController) -> None:
        super()._reschedule(node)
        # A worker begins a test when it knows the next one, or that there is none.
        while self.workqueue and not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            self._assign_work_unit(node)
        if not self.workqueue:
            node.shutdown()
