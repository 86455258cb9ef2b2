"""Networks whose cards state another training than the shipped one's."""

import hashlib
import json
import shutil
from pathlib import Path

from eqedge.models.registry import weights_folder


def trained_by(folder: Path, split: str | None, begun_by: str | None = None) -> Path:
    """Copy a shipped model whose training card states a split.

    Args:
        folder: Where to.
        split: What the training held out; None for a model without a training card.
        begun_by: What the training held out of which it began; None for random weights.
    """
    folder.mkdir(parents=True)
    shipped = weights_folder()
    shutil.copy(shipped / "leqnet_gru_int8.tflite", folder / "mine.tflite")
    model = json.loads((shipped / "leqnet_gru_int8.json").read_text())
    del model["origin"]["training"]
    card = json.loads((shipped / "leqnet_gru.training.json").read_text())
    card |= {"split": {"by": split}, "initialisation": "random"}
    if begun_by is not None:
        before = json.dumps(card | {"split": {"by": begun_by}}).encode()
        (folder / "before.training.json").write_bytes(before)
        named = {"file": "before.training.json", "sha256": hashlib.sha256(before).hexdigest()}
        card["initialisation"] = {"weights": "before.weights.h5", "training": named}
    if split is not None:
        content = json.dumps(card).encode()
        (folder / "mine.training.json").write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        model["origin"]["training"] = {"file": "mine.training.json", "sha256": sha256}
    (folder / "mine.json").write_text(json.dumps(model))
    return folder / "mine.tflite"
