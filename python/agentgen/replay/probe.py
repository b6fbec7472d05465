"""Which request fields the servers refuse, found out with a short request before the replay."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from agentgen import _native
from agentgen.replay import urls
from agentgen.replay.split import source_options

if TYPE_CHECKING:
    from agentgen.replay.fetch import Page
    from agentgen.replay.prepare import PreparedReplay

REFUSED = {400, 422}
LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
# Fields that the replay adds by itself, and can do without.
OPTIONAL = (*LIMITS, "stream_options")


def without_refused_fields(prepared: PreparedReplay) -> PreparedReplay:
    """The replay without the fields that a server names in its refusal of a request with all of them.

    The limit of the answer then gets its next name. Servers are asked until they name no further field.
    """
    settings = prepared.spec.settings
    if prepared.embedded or settings.skip_checks or settings.max_tokens_field != "auto":
        return prepared
    refused: dict[str, str] = {}
    while True:
        body = json.loads(probe := _native.replay_probe(json.dumps(source_options(prepared))))
        added = [name for name in OPTIONAL if name in body and name not in settings.request_json]
        pages = prepared.servers.post(urls.PATHS[settings.endpoint], probe) if added else []
        said = [message for page in pages if (message := _refusal(prepared, page))]
        found = {name: message for name in added for message in said if re.search(rf"(?<!\w){name}(?!\w)", message)}
        if not found:
            break
        refused |= found
        dropped = {**settings.request_json, **dict.fromkeys(refused)}
        spec = replace(prepared.spec, settings=settings.model_copy(update={"request_json": dropped}))
        prepared = replace(prepared, spec=spec)
    limit = next((name for name in LIMITS if name in body), None)
    instead = dict.fromkeys(LIMITS, f"{limit} is sent instead" if limit else "no limit of the answer is sent")
    warnings = [
        f"the server refuses {name}; {instead.get(name, 'it is not sent')} ({message})"
        for name, message in refused.items()
    ]
    return replace(prepared, spec=replace(prepared.spec, warnings=[*prepared.spec.warnings, *warnings]))


def _refusal(prepared: PreparedReplay, page: Page) -> str:
    """What a server says when it refuses a request; empty if it does not."""
    if page.status not in REFUSED:
        return ""
    settings = prepared.spec.settings
    answer = _native.Answer(settings.endpoint, settings.stream, secrets=_native.Secrets(list(prepared.secrets)))
    answer.feed(page.body, 0)
    answer.end("refused", 0)
    return answer.message
