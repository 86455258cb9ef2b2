"""For programs started by fast tests: TensorFlow cannot be imported."""

import sys

sys.modules["tensorflow"] = sys.modules["keras"] = None
