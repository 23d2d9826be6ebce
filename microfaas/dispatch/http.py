"""Posts what is on its way to HTTP endpoints; the only client of others' HTTP."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from microfaas.dispatch.delivery import Verdict

CONNECT_S_MAX = 5.0
ANSWER_S_MAX = 15.0
CONNECTIONS_MAX = 100
# What of an answer is of interest, when it is a refusal.
ANSWER_BYTES_MAX = 500
# Of the client's faults these may pass by themselves.
_PASSING = (408, 425, 429)


class HttpSender:
    """One session for all endpoints. Redirects are not followed: a topic's messages go where its
    subscriber wants them, and nowhere else."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Verdict:
        """Post it, and say how that went."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
                timeout=aiohttp.ClientTimeout(total=ANSWER_S_MAX, connect=CONNECT_S_MAX),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        try:
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                if 200 <= answer.status < 300:
                    return Verdict("done")
                text = await answer.content.read(ANSWER_BYTES_MAX)
        except TimeoutError:
            return Verdict("later", f"cannot post to {url}: no answer within {ANSWER_S_MAX:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Verdict("later", f"cannot post to {url}: {error or type(error).__name__}")
        why = f"{url} answered {answer.status}: {text.decode(errors='replace')}"
        refused = 400 <= answer.status < 500 and answer.status not in _PASSING
        return Verdict("never" if refused else "later", why)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
