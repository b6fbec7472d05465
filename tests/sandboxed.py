"""Tool calls of tests, in a sandbox or without one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agentgen.collect.fixture import nl2bash_fixture
from agentgen.collect.limits import Limits
from agentgen.collect.sandbox import Workplace

if TYPE_CHECKING:
    from agentgen.collect.sandbox import CallResult

FIXTURE = nl2bash_fixture()


def calls(
    *commands: str, directory: str = "/testbed", is_sandboxed: bool = True, limits: Limits | None = None
) -> list[CallResult]:
    """The results of commands of bash, one after the other in one sandbox."""

    async def run() -> list[CallResult]:
        workplace = Workplace(FIXTURE, is_sandboxed=is_sandboxed, limits=limits or Limits())
        async with workplace.open(directory) as sandbox:
            return [await sandbox.call(["bash", "-c", command]) for command in commands]

    return asyncio.run(run())
