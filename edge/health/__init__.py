"""Health of a running node: state of its stages, metrics, watchdog."""
