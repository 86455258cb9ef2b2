"""What a running node reports about itself: state, metrics, watchdog."""
