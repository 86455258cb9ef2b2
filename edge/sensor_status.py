"""Follow what the sensor reports about itself (Status), through its restarts."""

from __future__ import annotations

from dataclasses import dataclass

from ..firmware_bridge.counters import distance
from ..firmware_bridge.measured import Limit, counter, gauge
from ..firmware_bridge.packets import Hello, Packet, Status


@dataclass(frozen=True)
class SensorHealth:
    """What the sensor reported since the program began; None where it reported nothing."""

    samples_dropped: int = counter(
        "sensor_samples_dropped_total",
        "Samples lost in the sensor because its buffer was full.",
        degrades=1,
    )
    adc_faults: int = counter(
        "sensor_adc_faults_total",
        "Times the sensor's converter answered late, wrongly or not.",
        degrades=1,
    )
    adc_ok: bool | None = gauge(
        "sensor_adc_ok", "1 while the sensor's converter answers.", degrades=Limit(below=1)
    )
    temperature_celsius: float | None = gauge(
        "sensor_temperature_celsius", "Temperature that the sensor reports."
    )
    supply_volts: float | None = gauge(
        "sensor_supply_volts", "Supply voltage that the sensor reports."
    )


class SensorLog:
    """Follows the Status packets of a sensor that has sent its Hello.

    Its counters run since its boot and wrap; here they run since the program began.

    Attributes:
        health: As of the latest Status.
    """

    def __init__(self) -> None:
        self.health = SensorHealth()
        self._hello: Hello | None = None
        self._before: Status | None = None

    def push(self, packet: Packet) -> None:
        """Take one packet; only Hello and Status matter."""
        hello = self._hello
        if isinstance(packet, Hello):
            self._hello = packet
            if hello is not None and packet.boot_id != hello.boot_id:
                self._before = Status(tick=0, next_sample=0)
                self.health = SensorHealth(self.health.samples_dropped, self.health.adc_faults)
        elif isinstance(packet, Status) and hello is not None and packet.boot == hello.boot:
            self._learn(packet)

    def _learn(self, status: Status) -> None:
        before = self._before or status  # what was counted before the program began is left out
        self._before = status
        dropped = _growth(before.samples_dropped, status.samples_dropped)
        faults = _growth(before.adc_faults, status.adc_faults)
        self.health = SensorHealth(
            self.health.samples_dropped + dropped,
            self.health.adc_faults + faults,
            status.adc_ok,
            status.temperature_celsius,
            status.supply_volts,
        )


def _growth(before: int, now: int) -> int:
    """By how much a 32-bit counter grew; one that fell back began anew at zero."""
    step = distance(now, before, 32)
    return step if step >= 0 else now
