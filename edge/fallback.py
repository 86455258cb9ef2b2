"""Choose the model of a node: the one in its settings, or a packaged one in its place."""

from __future__ import annotations

import faulthandler
import logging
import os
import resource
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from ..firmware_bridge.measured import published, state_reason
from ..models.registry import DEFAULT_MODEL, Model, ModelError, open_model, shipped
from ..models.spec import ModelSpec, SpecError
from .detector import Detector
from .prepare import prepare
from .settings.node import Settings, TriggerSettings, WindowSettings
from .types import Message

logger = logging.getLogger(__name__)

LOADING_SECONDS = 60
"""A model that takes longer to load is refused."""
TRIAL_SECONDS = 5
"""Longest duration of a trial with one window."""


@dataclass(frozen=True)
class ModelUse:
    """Which model picks, and which one could not be used.

    Attributes:
        name: Of the model that picks.
        refused: Name or file of the settings' model where another one picks in its place.
        reason: Names both, and why the settings' model cannot be used; else empty.
    """

    name: str = field(metadata=published("model", "label", "Model that picks."))
    refused: str | None = field(
        default=None,
        metadata=published(
            "model_refused",
            "label",
            "Model of the settings that cannot be used; a packaged one picks in its place.",
        ),
    )
    reason: str = state_reason()

    @property
    def fallback(self) -> Message | None:
        """What `info` has of it; None where the settings' model picks."""
        if self.refused is None:
            return None
        return {"wanted": self.refused, "reason": self.reason}


@dataclass(frozen=True)
class Choice:
    """A model that can be run, with settings that suit it.

    Attributes:
        model: The picker.
        settings: Of the node; another preset or buffer where the settings' own suit only the model
            that was refused.
        use: For health and `info`.
    """

    model: Model
    settings: Settings
    use: ModelUse


def runnable(name: str) -> Model:
    """Read a model, check it against its card, load it, and try one that is not shipped.

    Raises:
        ModelError: It is damaged, is not the card's, or cannot be loaded or run.
        SpecError: Its card has a spec of another version.
        RuntimeMissing: No interpreter is installed.
    """
    model = open_model(name)
    if name not in shipped():
        _try_apart(model)
    Detector(model)
    return model


def _try_apart(model: Model) -> None:
    """Load a model and run it once in a child process: a damaged one can end its program.

    A model that only takes long passes: the node's own watch over the chain is for that.

    Raises:
        ModelError: It ended the child, or its outputs are no probabilities.
    """
    began = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which the child leaves
        child = os.fork()
    if child == 0:
        status = 0
        try:
            status = _trial(model)
        finally:
            os._exit(status)
    ended = os.waitpid(child, 0)[1]
    trouble = "" if ended == 0 else "its outputs are no probabilities"
    if os.WIFSIGNALED(ended):
        number = signal.Signals(os.WTERMSIG(ended))
        only_slow = number is signal.SIGALRM and time.monotonic() - began < LOADING_SECONDS
        trouble = "" if only_slow else f"it ends the runtime ({number.name})"
    if trouble:
        raise ModelError(f"model {model.name}: {trouble}; copy both files again, or convert again")


def _trial(model: Model) -> int:
    """Return 1 where a model that loads gives no probabilities."""
    faulthandler.disable()
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # those are the node's
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LOADING_SECONDS)
    try:
        detector = Detector(model)
    except Exception:  # the parent meets it too, and reports it
        return 0
    signal.alarm(TRIAL_SECONDS)
    noise = np.random.default_rng(0).standard_normal((model.spec.window_samples, 3))
    try:
        values = detector(prepare(noise, model.spec))
    except Exception:
        return 1
    return int(not bool(np.all((values > -0.01) & (values < 1.01))))


def choose_model(settings: Settings, *, attended: bool) -> Choice:
    """Return the settings' model, or, for an unattended node, a packaged one in its place.

    A node that restarts in the field must detect although its model was damaged meanwhile. A model
    that is good but does not suit the settings is no such case: that is for the operator to decide.

    Args:
        settings: Of the node.
        attended: Someone waits for the result with this very model: no other takes its place.

    Raises:
        ModelError: The model cannot be used, and none may or can take its place.
        SpecError: As before, by its card's spec.
        RuntimeMissing: No interpreter is installed.
    """
    try:
        model = runnable(settings.model)
    except (ModelError, SpecError) as error:
        if attended or not settings.model_fallback:
            raise
        reason = " ".join(str(error).split())
        for packaged in _packaged():
            if packaged.name != settings.model:
                logger.error(
                    "%s. Until that is mended and the node restarted, the packaged model %s picks "
                    "in place of %s",
                    reason,
                    packaged.name,
                    settings.model,
                )
                suited = _suited(replace(settings, model=packaged.name), packaged.spec)
                names = f"{packaged.name} picks in place of {settings.model}"
                use = ModelUse(packaged.name, settings.model, f"{names}: {reason}")
                return Choice(packaged, suited, use)
        raise
    return Choice(model, settings, ModelUse(model.name))


def _packaged() -> Iterator[Model]:
    """Yield the packaged models that can be run, the default one first."""
    for name in sorted(shipped(), key=lambda name: (name != DEFAULT_MODEL, name)):
        try:
            yield runnable(name)
        except (ModelError, SpecError) as error:
            logger.error("%s", error)


def _suited(settings: Settings, spec: ModelSpec) -> Settings:
    """Return settings that the packaged model can be run with."""
    trigger, window = settings.trigger, settings.window
    if trigger.preset not in spec.thresholds:
        preset = TriggerSettings.preset
        logger.error("%s has no preset %s; %s is used", spec.name, trigger.preset, preset)
        trigger = replace(trigger, preset=preset)
    if window.buffer_seconds * spec.sampling_rate_hz < 2 * spec.window_samples:
        window = replace(window, buffer_seconds=WindowSettings.buffer_seconds)
    return replace(settings, trigger=trigger, window=window)
