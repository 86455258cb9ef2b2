"""Store messages and their new picks for an MQTT broker, to which a thread delivers them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence

from ..dating.arrivals import host_synchronised
from ..settings.delivery import MqttSettings
from ..settings.node import CODE
from ..settings.validation import SettingsError
from ..types import Message
from .catch_up import Line, key_of
from .connection import ConnectionLoop
from .file import to_line
from .home_assistant import discovery_messages
from .login import read_credentials, tls_context
from .notices import Notices
from .pick_log import PickLog
from .session import NodeTopics
from .spool import Spool
from .spool_row import SpoolItems, line_hash

logger = logging.getLogger(__name__)


class Mqtt:
    """A sink that never waits for the broker: `write` stores, a thread of its own delivers.

    At least once, in order, with the event's own id. A clean end leaves `stopped` on the status
    topic; one by an error `offline`, which is also the will. The broker need not be reachable at
    the start.

    Args:
        settings: Of the broker.
        network: FDSN code, third last level of all topics.
        station: Station code, second last level.
        info: Content of `<prefix>/<net>/<sta>/info`, retained.
        spool: Keeps messages until they are acknowledged; `close` closes it.
        environ: May contain EQEDGE_MQTT_USERNAME and EQEDGE_MQTT_PASSWORD.
        synchronised: Whether the host knows UTC.

    Raises:
        SettingsError: Codes, certificates or credentials cannot be used.
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        network: str,
        station: str,
        info: Message,
        spool: Spool,
        environ: Mapping[str, str] = os.environ,
        synchronised: Callable[[], bool] = host_synchronised,
    ) -> None:
        for code in (network, station):
            if not CODE.fullmatch(code):
                raise SettingsError(f"code {code!r}: use 1 to 8 capital letters or digits")
        self._settings = settings
        self._spool = spool
        self._picks = PickLog()
        self._notices = Notices(logger)
        base = f"{settings.topic_prefix}/{network}/{station}"
        announced = discovery_messages(settings.home_assistant_prefix, base)
        credentials = read_credentials(settings, environ)
        if credentials is not None and credentials.warning:
            logger.warning(credentials.warning)
        self._connection = ConnectionLoop(
            settings,
            # The same at each start, so that the broker drops a half-dead connection of ours, and
            # its will with it, before it can call the new one offline.
            f"eqedge-{network}-{station}",
            NodeTopics(base, to_line(info), announced.payloads),
            spool,
            credentials=credentials,
            tls=tls_context(settings),
            listen_topic=announced.status_topic,
            synchronised=synchronised,
        )
        self.counts = self._connection.counts
        self._connection.start()

    def write(self, message: Message) -> None:
        """Store the message, and its new picks, for the broker."""
        self._store([Line(message, line_hash(to_line(message)))], self._picks, age_known=True)

    def catch_up(self, lines: Sequence[Line], *, again: bool) -> None:
        """Store lines that the output has and the spool does not know.

        Args:
            lines: Of an earlier run, or of this one if the spool was lost meanwhile.
            again: Publish their picks too, although this run may have published them.
        """
        self._store(lines, PickLog() if again else self._picks, age_known=False)

    def publish_health(self, record: Message) -> None:
        """Publish a health record once connected; only the newest is kept until then."""
        self._connection.publish_health(to_line(record))

    @property
    def progress_time(self) -> float:
        """When the thread last proved alive, on the monotonic clock."""
        return self._connection.progress_time

    @property
    def answered_time(self) -> float:
        """Since when a reachable broker owes an acknowledgement; now where it owes none."""
        return self._connection.answered_time

    def hasten(self) -> None:
        """Let `close` not wait for acknowledgements."""
        self._connection.hasten()

    def close(self, *, failed: bool = False) -> None:
        """Deliver what can be delivered within `drain_seconds`, disconnect, close the spool.

        Args:
            failed: An error ends the run; leave the status `offline`, not `stopped`.
        """
        self._connection.stop(b"offline" if failed else b"stopped")
        if len(self._spool):
            where = f"kept in {self._spool.path}" if self._spool.path else "lost, without a spool"
            count, address = len(self._spool), self._settings.address
            logger.warning("broker %s: %d message%s %s", address, count, "s"[: count > 1], where)
        self._spool.close()

    def _store(self, lines: Sequence[Line], picks: PickLog, *, age_known: bool) -> None:
        added = [
            SpoolItems(self._items(line.message, picks), key_of(line.message), line.hash)
            for line in lines
        ]
        self._spool.put_all(added, age_known=age_known)
        self._connection.messages_stored()

    def _items(self, message: Message, picks: PickLog) -> list[tuple[str, bytes]]:
        """Return (kind, payload) of the message and its new picks where short enough to be sent."""
        changed = picks.changed_picks(message)
        bodies = [("event", message), *(("pick", pick) for pick in changed)]
        items = [(kind, to_line(body)) for kind, body in bodies]
        fitting = [item for item in items if len(item[1]) <= self._settings.max_payload_bytes]
        if len(fitting) < len(items):
            self.counts.oversized += len(items) - len(fitting)
            text = f"a message of event {message['event_id']} is too long to be published"
            self._notices.change("size", f"broker {self._settings.address}: {text}")
        return fitting
