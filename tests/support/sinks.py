"""A sink for tests that run the chain without files and brokers."""


class Kept:
    """A sink that remembers."""

    def __init__(self):
        self.messages = []

    def write(self, message):
        """Keep it."""
        self.messages.append(message)

    def close(self):
        """Nothing is pending."""
